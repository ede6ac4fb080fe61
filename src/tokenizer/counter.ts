/**
 * The counter: a WebAssembly instance with its tables, fed UTF-8 bytes. Knows vocabularies and patterns; what a
 * tokenizer.json says is settled before.
 */
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { DoremiError } from "../lib/errors.ts";
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

/** Whether each document gets a space before it, which empty ones never do. */
export type Prefix = "none" | "always" | "unless-there";

interface CounterExports {
  readonly memory: WebAssembly.Memory;
  allocClasses(pages: number): number;
  allocVocabulary(bytes: number, tokens: number): number;
  allocTokenEnds(): number;
  indexTokens(wholePieces: number): void;
  allocMerges(count: number): number;
  indexMerges(list: number, count: number): void;
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

/** Bytes of text that go into one call: small enough to stay in the second-level cache, large enough to be rare. */
const CHUNK_BYTES = 1 << 18;
/** An instance that a huge document made larger than its tables and this is replaced by a fresh one. */
const SPARE_BYTES = 96 << 20;

let compiled: Promise<WebAssembly.Module> | undefined;

async function compile(): Promise<WebAssembly.Module> {
  const path = fileURLToPath(new URL("./counter.wasm", import.meta.url));
  let code: Uint8Array<ArrayBuffer>;
  try {
    code = new Uint8Array(await readFile(path));
  } catch (cause) {
    throw new DoremiError(
      "internal",
      "counter-not-built",
      `${path}: the compiled token counter must be here and can't be read; build it with \`npm run build\`, or reinstall doremi`,
      { file: path, cause },
    );
  }
  return WebAssembly.compile(code);
}

export class Counter {
  readonly #module: WebAssembly.Module;
  readonly #model: ModelTables;
  readonly #split: SplitPlan;
  #wasm: CounterExports;
  #tableBytes: number;

  private constructor(module: WebAssembly.Module, model: ModelTables, split: SplitPlan) {
    this.#module = module;
    this.#model = model;
    this.#split = split;
    this.#wasm = instantiate(module, model, split);
    this.#tableBytes = this.#wasm.memory.buffer.byteLength;
  }

  static async create(model: ModelTables, split: SplitPlan): Promise<Counter> {
    compiled ??= compile();
    try {
      return new Counter(await compiled, model, split);
    } catch (error) {
      compiled = undefined;
      throw error;
    }
  }

  /** Bytes of memory that the instance holds now. */
  get memoryBytes(): number {
    return this.#wasm.memory.buffer.byteLength;
  }

  /** Tokens of each document bytes[offsets[i]..offsets[i + 1]], all valid UTF-8. */
  count(bytes: Uint8Array, offsets: Uint32Array, counts: Uint32Array, prefix: Prefix): void {
    const documents = offsets.length - 1;
    let first = 0;
    while (first < documents) {
      let last = first + 1;
      while (last < documents && offsets[last + 1]! - offsets[first]! <= CHUNK_BYTES) last++;
      this.#countChunk(bytes, offsets.subarray(first, last + 1), counts.subarray(first, last), prefix);
      first = last;
    }
  }

  #countChunk(bytes: Uint8Array, offsets: Uint32Array, counts: Uint32Array, prefix: Prefix): void {
    const start = offsets[0]!;
    const size = offsets[offsets.length - 1]! - start;
    const reserved = size + (prefix === "none" ? 0 : counts.length);
    this.#run(size, () => {
      const wasm = this.#wasm;
      wasm.reserve(BigInt(reserved), BigInt(counts.length), 0n);
      const input = new Uint8Array(wasm.memory.buffer, wasm.input() >>> 0, reserved);
      const bounds = new Uint32Array(wasm.memory.buffer, wasm.offsets() >>> 0, offsets.length);
      if (prefix === "none") {
        input.set(bytes.subarray(start, start + size));
        for (let i = 0; i < offsets.length; i++) bounds[i] = offsets[i]! - start;
      } else {
        writePrefixed(bytes, offsets, prefix, input, bounds);
      }
      wasm.countDocuments(counts.length);
      counts.set(new Uint32Array(wasm.memory.buffer, wasm.counts() >>> 0, counts.length));
    });
  }

  /** Ids of one document of valid UTF-8. */
  encode(bytes: Uint8Array): Uint32Array {
    let ids = new Uint32Array(0);
    this.#run(bytes.length, () => {
      const wasm = this.#wasm;
      wasm.reserve(BigInt(bytes.length), 0n, BigInt(bytes.length));
      new Uint8Array(wasm.memory.buffer, wasm.input() >>> 0, bytes.length).set(bytes);
      const count = wasm.encodeText(bytes.length);
      ids = new Uint32Array(wasm.memory.buffer, wasm.ids() >>> 0, count).slice();
    });
    return ids;
  }

  #run(size: number, work: () => void): void {
    try {
      work();
    } catch (cause) {
      // a trap leaves the instance as it was in the middle of the call
      const gaveUp = this.#wasm.hasGivenUp() !== 0;
      this.#replace();
      if (gaveUp) {
        throw new DoremiError(
          "bad-data",
          "document-too-slow",
          `a document of ${size} bytes: the tokenizer's split pattern must not backtrack thousands of times for each byte, and does in it; filter it out`,
          { cause },
        );
      }
      if (!(cause instanceof WebAssembly.RuntimeError || cause instanceof RangeError)) throw cause;
      throw new DoremiError(
        "bad-data",
        "document-too-large",
        `a document of ${size} bytes: the tokenizer must hold it in WebAssembly's 4 GiB and can't; split it or filter it out`,
        { cause },
      );
    }
    if (this.memoryBytes > this.#tableBytes + SPARE_BYTES) this.#replace();
  }

  #replace(): void {
    this.#wasm = instantiate(this.#module, this.#model, this.#split);
    this.#tableBytes = this.memoryBytes;
  }
}

const SPACE = 0x20;

/** Writes the documents, each with the space before it, and where each begins. */
function writePrefixed(
  bytes: Uint8Array,
  offsets: Uint32Array,
  prefix: Prefix,
  input: Uint8Array,
  bounds: Uint32Array,
): void {
  let size = 0;
  for (let i = 0; i + 1 < offsets.length; i++) {
    const start = offsets[i]!;
    const end = offsets[i + 1]!;
    if (end > start && (prefix === "always" || bytes[start] !== SPACE)) input[size++] = SPACE;
    input.set(bytes.subarray(start, end), size);
    size += end - start;
    bounds[i + 1] = size;
  }
  bounds[0] = 0;
}

/** Numbers of the models in assembly/model.ts. */
const MODEL = { "byte-level": 0, characters: 1, unigram: 2, "word-piece": 3, "word-level": 4 } as const;
/** Numbers of the families without a pattern in assembly/split.ts. */
const FAMILY = { cuts: 4, steps: 5, whole: 6, spaces: 7, words: 8 } as const;

function instantiate(module: WebAssembly.Module, model: ModelTables, split: SplitPlan): CounterExports {
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
      wasm.indexTokens(model.vocabulary.wholePieces ? 1 : 0);
      writeMerges(model.vocabulary, wasm, write);
      return;
    case "characters": {
      wasm.indexTokens(0);
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
      wasm.indexTokens(0);
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
  wasm.indexMerges(list, count);
  return { list, count };
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
