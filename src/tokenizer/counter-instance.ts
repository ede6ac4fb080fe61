/** A fresh instance of the counter's WebAssembly with the tables of a vocabulary and a way of splitting in its memory. */
import type { CharacterVocabulary } from "./characters.ts";
import type { SplitPlan } from "./plan.ts";
import type { MatcherTables } from "./regex-program.ts";
import { matcherTables } from "./regex-program.ts";
import { PAGE_NUMBERS, unicodePages } from "./unicode-classes.ts";
import type { UnigramVocabulary } from "./unigram.ts";
import type { Vocabulary } from "./vocabulary.ts";
import { wordKinds } from "./word-splitting.ts";
import type { WordLevelVocabulary, WordPieceVocabulary } from "./word-vocabulary.ts";

/** A model's tables, as the host makes them. */
export type ModelTables =
  | { readonly kind: "byte-level"; readonly vocabulary: Vocabulary }
  | { readonly kind: "characters"; readonly vocabulary: CharacterVocabulary }
  | { readonly kind: "unigram"; readonly vocabulary: UnigramVocabulary }
  | { readonly kind: "word-piece"; readonly vocabulary: WordPieceVocabulary }
  | { readonly kind: "word-level"; readonly vocabulary: WordLevelVocabulary };

export interface CounterExports {
  readonly memory: WebAssembly.Memory;
  allocClasses(pages: number): number;
  allocVocabulary(bytes: number, tokens: number): number;
  allocTokenEnds(): number;
  indexTokens(wholePieces: number): void;
  addTokens(first: number, end: number): void;
  allocMerges(count: number): number;
  indexMerges(count: number): void;
  addMerges(list: number, first: number, end: number): void;
  indexBytePairs(): void;
  allocByteTokens(): number;
  indexCharacters(unknownId: number, flags: number): void;
  indexAdjacent(list: number, count: number): void;
  allocScores(): number;
  indexUnigram(unknownId: number, unknownScore: number, byteFallback: number): void;
  allocBoundaries(removed: number): number;
  allocPrefix(bytes: number): number;
  indexWordPieces(unknownId: number, longestWord: number): void;
  indexWords(unknownId: number): void;
  allocSetPages(bytes: number): number;
  allocSetBits(bytes: number): number;
  allocPrograms(words: number): number;
  allocLevels(count: number): number;
  allocByteCharacters(): number;
  hasGivenUp(): number;
  start(model: number, family: number, maxDigits: number, bareWords: number): void;
  reserve(bytes: bigint, documents: bigint, ids: bigint): void;
  input(): number;
  offsets(): number;
  counts(): number;
  ids(): number;
  countDocuments(documents: number): void;
  encodeText(bytes: number): number;
}

/** Numbers of the models in assembly/model.ts. */
const MODEL = { "byte-level": 0, characters: 1, unigram: 2, "word-piece": 3, "word-level": 4 } as const;
/** Numbers of the families without a pattern in assembly/split.ts. */
const FAMILY = { cuts: 4, steps: 5, whole: 6, spaces: 7, words: 8 } as const;

const SLICE = 2048;

export function instantiate(module: WebAssembly.Module, model: ModelTables, split: SplitPlan): CounterExports {
  const wasm = new WebAssembly.Instance(module).exports as unknown as CounterExports;
  const write: Write = (data, address) =>
    new Uint8Array(wasm.memory.buffer).set(
      new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
      address >>> 0,
    );
  const pages = split.kind === "words" ? unicodePages(wordKinds()) : unicodePages();
  write(pages, wasm.allocClasses((pages.length - PAGE_NUMBERS) >> 8));
  const { vocabulary } = model;
  write(vocabulary.bytes, wasm.allocVocabulary(vocabulary.bytes.length, vocabulary.ends.length - 1));
  write(vocabulary.ends, wasm.allocTokenEnds());
  writeModel(model, split, wasm, write);
  if (split.kind === "steps") writeSteps(matcherTables(split.steps), wasm, write);
  if (split.kind === "words") write(Uint16Array.from(split.boundaries), wasm.allocBoundaries(split.removed));
  const { maxDigits, bareWords } = split.kind === "pattern" ? split : { maxDigits: 0, bareWords: false };
  wasm.start(MODEL[model.kind], familyOf(split, model), maxDigits, bareWords ? 1 : 0);
  return wasm;
}

type Write = (data: Uint8Array | Uint16Array | Uint32Array | Float64Array, address: number) => void;

function writeModel(model: ModelTables, split: SplitPlan, wasm: CounterExports, write: Write): void {
  switch (model.kind) {
    case "byte-level":
      indexTokens(model.vocabulary, wasm, model.vocabulary.wholePieces);
      writeMerges(model.vocabulary, wasm, write);
      return;
    case "characters": {
      indexTokens(model.vocabulary, wasm, false);
      write(model.vocabulary.byteTokens, wasm.allocByteTokens());
      wasm.indexCharacters(model.vocabulary.unknownId, characterFlags(model.vocabulary, split));
      const { list, count } = writeMerges(model.vocabulary, wasm, write);
      wasm.indexAdjacent(list, count);
      return;
    }
    case "unigram": {
      const { scores, byteTokens, unknownId, unknownScore, byteFallback } = model.vocabulary;
      const address = wasm.allocScores();
      write(scores, address);
      write(byteTokens, (address >>> 0) + scores.byteLength);
      wasm.indexUnigram(unknownId, unknownScore, byteFallback ? 1 : 0);
      return;
    }
    case "word-piece": {
      const { continuingPrefix, unknownId, longestWord } = model.vocabulary;
      write(continuingPrefix, wasm.allocPrefix(continuingPrefix.length));
      wasm.indexWordPieces(unknownId, longestWord);
      return;
    }
    case "word-level":
      indexTokens(model.vocabulary, wasm, false);
      wasm.indexWords(model.vocabulary.unknownId);
      return;
    default:
      model satisfies never;
  }
}

function writeMerges({ merges }: Vocabulary, wasm: CounterExports, write: Write): { list: number; count: number } {
  const count = merges.length / 3;
  const list = wasm.allocMerges(count);
  write(merges, list);
  wasm.indexMerges(count);
  inSlices(count, (first, end) => wasm.addMerges(list, first, end));
  wasm.indexBytePairs();
  return { list, count };
}

function indexTokens({ ends }: { readonly ends: Uint32Array }, wasm: CounterExports, wholePieces: boolean): void {
  wasm.indexTokens(wholePieces ? 1 : 0);
  inSlices(ends.length - 1, (first, end) => wasm.addTokens(first, end));
}

/** V8 makes a function fast between its calls, not in the middle of one: a long loop is better called a slice at a time. */
function inSlices(count: number, work: (first: number, end: number) => void): void {
  for (let first = 0; first < count; first += SLICE) work(first, Math.min(first + SLICE, count));
}

function familyOf(split: SplitPlan, model: ModelTables): number {
  if (split.kind === "pattern") return split.family;
  if (split.kind !== "whole") return FAMILY[split.kind];
  // BPE of characters finds out itself where a text can be cut
  return model.kind === "characters" ? FAMILY.cuts : split.words ? FAMILY.spaces : FAMILY.whole;
}

function writeSteps(tables: MatcherTables, wasm: CounterExports, write: Write): void {
  write(tables.setPages, wasm.allocSetPages(tables.setPages.length));
  write(tables.setBits, wasm.allocSetBits(tables.setBits.length));
  write(tables.programs, wasm.allocPrograms(tables.programs.length));
  write(tables.levels, wasm.allocLevels(tables.levels.length / 4));
  write(tables.byteCharacters, wasm.allocByteCharacters());
}

/** As assembly/characters.ts numbers them. */
function characterFlags(vocabulary: CharacterVocabulary, split: SplitPlan): number {
  const words = split.kind === "whole" && split.words;
  const { fuseUnknown, byteFallback, fallbackMerges } = vocabulary;
  return (words ? 1 : 0) | (fuseUnknown ? 2 : 0) | (byteFallback ? 4 : 0) | (fallbackMerges ? 8 : 0);
}
