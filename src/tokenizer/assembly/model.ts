// Which model makes tokens of a piece.
import { mergeCharacters } from "./characters";
import { initMerge, mergePiece } from "./merge";
import { FAMILY, WORDS } from "./split";
import { bestTokens } from "./unigram";
import { wholeWord, wordPieces, wordStart } from "./words";

/** BPE of bytes. */
export const BYTE_LEVEL: i32 = 0;
/** BPE of characters. */
export const CHARACTERS: i32 = 1;

export const UNIGRAM: i32 = 2;
export const WORD_PIECE: i32 = 3;
export const WORD_LEVEL: i32 = 4;

let MODEL: i32 = BYTE_LEVEL;

export function initModel(model: i32): void {
  MODEL = model;
  initMerge();
}

/** Tokens of the piece of n ≥ 1 bytes at p; their ids are at TOKENS until the next call. */
export function tokenize(p: usize, n: u32): u32 {
  if (FAMILY == WORDS) {
    const start = wordStart(p, p + n);
    n -= <u32>(start - p);
    if (n == 0) return 0;
    p = start;
  }
  switch (MODEL) {
    case CHARACTERS:
      return mergeCharacters(p, n);
    case UNIGRAM:
      return bestTokens(p, n);
    case WORD_PIECE:
      return wordPieces(p, n);
    case WORD_LEVEL:
      return wholeWord(p, n);
    default:
      return mergePiece(p, n);
  }
}
