// Which model makes tokens of a piece.
import { mergeCharacters } from "./characters";
import { initMerge, mergePiece } from "./merge";

/** BPE of bytes. */
export const BYTE_LEVEL: i32 = 0;
/** BPE of characters. */
export const CHARACTERS: i32 = 1;

let MODEL: i32 = BYTE_LEVEL;

export function initModel(model: i32): void {
  MODEL = model;
  initMerge();
}

/** Tokens of the piece of n ≥ 1 bytes at p; their ids are at TOKENS until the next call. */
export function tokenize(p: usize, n: u32): u32 {
  if (MODEL == CHARACTERS) return mergeCharacters(p, n);
  return mergePiece(p, n);
}
