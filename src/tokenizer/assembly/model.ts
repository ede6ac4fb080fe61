// Which model makes tokens of a piece.
import { initMerge, mergePiece } from "./merge";

export function initModel(): void {
  initMerge();
}

/** Tokens of the piece of n ≥ 1 bytes at p; their ids are at TOKENS until the next call. */
export function tokenize(p: usize, n: u32): u32 {
  return mergePiece(p, n);
}
