/**
 * BPE of characters as SentencePiece's vocabularies have it (Llama 2, Mistral, Gemma): its tables, and what of it can be
 * honoured. A character that is not in the vocabulary becomes the tokens of its bytes, or the unknown token.
 */
import { mergeIds } from "./merge-list.ts";
import type { SpacesPlan } from "./plan.ts";
import { MARK } from "./text-steps.ts";
import type { TokenTable } from "./token-table.ts";
import type { BpeModel } from "./tokenizer-json.ts";
import { bad, unsupported } from "./tokenizer-json.ts";
import type { TokenDecoder, Vocabulary } from "./vocabulary.ts";
import { byId } from "./vocabulary.ts";

export interface CharacterVocabulary extends Vocabulary {
  /** id of each byte's token; NO_ID where there is none */
  readonly byteTokens: Uint32Array;
  /** what a character becomes that is not in the vocabulary; NO_ID: nothing */
  readonly unknownId: number;
  /** unknown characters side by side are one token */
  readonly fuseUnknown: boolean;
  readonly byteFallback: boolean;
  /** tokens of bytes or the unknown token take part in merges */
  readonly fallbackMerges: boolean;
}

const NO_ID = 0xffff_ffff;
const SPACE = 0x20;

/** @throws DoremiError bad-tokenizer, unsupported-tokenizer */
export function characterVocabulary(model: BpeModel, spaces: SpacesPlan, path: string): CharacterVocabulary {
  const { vocab, unk_token: unknownToken } = model;
  const marked = spaces !== "kept";
  if (marked && vocab.idOf("\u2581") === undefined) throw unsupported(path, "its vocabulary has no token for a space");
  if (model.ignore_merges) throw unsupported(path, "a text that is a token whole becomes it whatever the merges say");
  const unknownId = unknownToken ? vocab.idOf(unknownToken) : NO_ID;
  if (unknownId === undefined) throw bad(path, `model.unk_token ${JSON.stringify(unknownToken)} is not in model.vocab`);
  const byteFallback = model.byte_fallback === true;
  const byteTokens = byteFallback ? byteTokensOf(vocab) : new Uint32Array(256).fill(NO_ID);
  const { bytes, ends } = byId(vocab, tokenDecoder(spaces));
  const merges = mergeIds(vocab, model.merges, (id) => ends[id + 1]! > ends[id]!, path);
  return {
    bytes,
    ends,
    merges,
    wholePieces: false,
    byteTokens,
    unknownId,
    fuseUnknown: model.fuse_unk === true,
    byteFallback,
    fallbackMerges: haveMerge(merges, new Set([...byteTokens, unknownId])),
  };
}

/** Whether a merge has one of the tokens. */
function haveMerge(merges: Uint32Array, ids: ReadonlySet<number>): boolean {
  for (let i = 0; i < merges.length; i++) if (i % 3 < 2 && ids.has(merges[i]!)) return true;
  return false;
}

/** How a vocabulary's token stands in the text that the counter gets. */
export function tokenDecoder(spaces: SpacesPlan): TokenDecoder {
  return spaces === "kept" ? decodeKept : decodeMarked;
}

function decodeKept(bytes: Uint8Array, start: number, end: number, out: Uint8Array, to: number): number {
  out.set(bytes.subarray(start, end), to);
  return end - start;
}

/** U+2581 as a space; text has no other spaces. */
function decodeMarked(bytes: Uint8Array, start: number, end: number, out: Uint8Array, to: number): number {
  let size = 0;
  for (let at = start; at < end; ) {
    const byte = bytes[at]!;
    if (byte === SPACE) return -1;
    const isMark = byte === MARK[0] && bytes[at + 1] === MARK[1] && bytes[at + 2] === MARK[2];
    out[to + size++] = isMark ? SPACE : byte;
    at += isMark ? MARK.length : 1;
  }
  return size;
}

/** Id of each byte's token; NO_ID where there is none. */
export function byteTokensOf(vocab: TokenTable): Uint32Array {
  return Uint32Array.from(
    { length: 256 },
    (_, byte) => vocab.idOf(`<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`) ?? NO_ID,
  );
}

/** Whether no character can be unknown to the model. */
export function hasByteFallback({ byte_fallback, vocab }: BpeModel): boolean {
  return byte_fallback === true && !byteTokensOf(vocab).includes(NO_ID);
}
