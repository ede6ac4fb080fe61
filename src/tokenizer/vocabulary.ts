/** A byte-level vocabulary as flat tables, ready for the counter's memory. */
import type { TokenTable } from "./token-table.ts";

/** What text each id stands for. */
export interface TokenStrings {
  /** all tokens' bytes, in order of id */
  readonly bytes: Uint8Array;
  /** length ids + 1: token i is bytes[ends[i]..ends[i + 1]], empty where the id has no bytes */
  readonly ends: Uint32Array;
}

export interface Vocabulary extends TokenStrings {
  /** left id, right id, resulting id of each merge by priority */
  readonly merges: Uint32Array;
  /** a piece that equals a token is that token whatever the merges say */
  readonly wholePieces: boolean;
}

/** Writes what text a token stands for to `out` at `to`: how many bytes, −1 for a token that text never becomes. */
export type TokenDecoder = (bytes: Uint8Array, start: number, end: number, out: Uint8Array, to: number) => number;

/** The tokens' bytes in order of id; empty for an id that text never becomes, or that no token has. */
export function byId(vocab: TokenTable, decode: TokenDecoder): TokenStrings {
  const { strings, ids, idEnd } = vocab;
  const placeOf = new Int32Array(idEnd).fill(-1);
  for (let i = 0; i < ids.length; i++) placeOf[ids[i]!] = i;
  const bytes = new Uint8Array(strings.bytes.length);
  const ends = new Uint32Array(idEnd + 1);
  let size = 0;
  for (let id = 0; id < idEnd; id++) {
    const i = placeOf[id]!;
    if (i >= 0) size += Math.max(decode(strings.bytes, strings.ends[i]!, strings.ends[i + 1]!, bytes, size), 0);
    ends[id + 1] = size;
  }
  return { bytes: bytes.subarray(0, size), ends };
}
