/** A byte-level vocabulary as flat tables, ready for the counter's memory, and how to read tiktoken's files into it. */
import { DoremiError } from "../lib/errors.ts";
import type { TokenTable } from "./token-table.ts";

export interface Vocabulary {
  /** all tokens' bytes, in order of id */
  readonly bytes: Uint8Array;
  /** length ids + 1: token i is bytes[ends[i]..ends[i + 1]], empty where the id has no bytes */
  readonly ends: Uint32Array;
  /** left id, right id, resulting id of each merge by priority; null: any two tokens that make a token, lower id first */
  readonly merges: Uint32Array | null;
  /** a piece that equals a token is that token whatever the merges say */
  readonly wholePieces: boolean;
}

/** Writes what text a token stands for to `out` at `to`: how many bytes, −1 for a token that text never becomes. */
export type TokenDecoder = (bytes: Uint8Array, start: number, end: number, out: Uint8Array, to: number) => number;

/** The tokens' bytes in order of id; empty for an id that text never becomes, or that no token has. */
export function byId(vocab: TokenTable, decode: TokenDecoder): Pick<Vocabulary, "bytes" | "ends"> {
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

const BASE64 = (() => {
  const values = new Uint8Array(256).fill(255);
  for (let i = 0; i < 64; i++) {
    values["ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".charCodeAt(i)] = i;
  }
  return values;
})();

/** Lines of `base64(token) rank`, in order of rank (ranks may be left out). Decoded in one pass: it is start-up time. */
export function parseTiktoken(file: Uint8Array, path: string): Vocabulary {
  const bytes = new Uint8Array(Math.ceil((file.length * 3) / 4));
  const ends: number[] = [];
  let size = 0;
  let at = 0;
  let line = 1;
  const fail = (found: string): DoremiError =>
    new DoremiError(
      "bad-data",
      "bad-vocabulary",
      `${path}:${line}: each line must be a token in base64, a space and its rank, ranks ascending; found ${found}; ` +
        "install the gpt-tokenizer package again",
      { file: path, line },
    );
  while (at < file.length) {
    const start = size;
    let bits = 0;
    let held = 0;
    for (; at < file.length && file[at] !== 32; at++) {
      const byte = file[at]!;
      if (byte === 61) continue;
      const value = BASE64[byte]!;
      if (value === 255) throw fail(`byte ${byte}`);
      bits = (bits << 6) | value;
      held += 6;
      if (held >= 8) {
        held -= 8;
        bytes[size++] = (bits >> held) & 255;
      }
    }
    let rank = 0;
    for (at++; at < file.length && file[at] !== 10; at++) {
      const digit = file[at]! - 48;
      if (digit === -35) continue; // a carriage return
      if (digit < 0 || digit > 9) throw fail(`byte ${file[at]}`);
      rank = rank * 10 + digit;
    }
    at++;
    line++;
    if (size === start || rank < ends.length) throw fail(size === start ? "an empty token" : `rank ${rank}`);
    while (ends.length <= rank) ends.push(start);
  }
  ends.push(size);
  return { bytes: bytes.slice(0, size), ends: Uint32Array.from(ends), merges: null, wholePieces: true };
}
