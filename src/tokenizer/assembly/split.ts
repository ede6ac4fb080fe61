// Where a piece ends, by the pattern families' own rules, for any text: what pieces.ts must agree with, and where it
// is unsure, falls back to. Each function stands for alternatives of the regular expressions in patterns.ts (host side).
import { CASELESS, END, LETTER, LOWER, NOT_SYMBOL, NUMBER, SPACE, UPPER, classAt, scalar, width } from "./classes";

/** GPT-2: r50k, p50k, ByteLevel(use_regex). */
export const R50K: i32 = 0;
export const CL100K: i32 = 1;
/** cl100k as first published, which Llama 3 and (with single digits) Qwen 2 use: differs in white space at the end. */
export const LLAMA3: i32 = 2;
export const O200K: i32 = 3;
/** No pattern: the model takes the text whole, and characters.ts cuts it where that changes nothing. */
export const CUTS: i32 = 4;
/** Regular expressions of any kind, one after the other: matcher.ts. */
export const STEPS: i32 = 5;
/** The text is one piece. */
export const WHOLE: i32 = 6;
/** A piece begins at every space. */
export const SPACES: i32 = 7;
/** By the kinds of characters: words.ts. */
export const WORDS: i32 = 8;

export let FAMILY: i32 = 0;
/** Most digits in a piece; r50k has no limit. */
export let MAX_DIGITS: u32 = 3;

/** o200k's words without 's and the like at their ends, as Mistral's Tekken has them. */
export let BARE_WORDS: bool = false;

export function setPattern(family: i32, maxDigits: u32, bareWords: bool): void {
  FAMILY = family;
  MAX_DIGITS = maxDigits;
  BARE_WORDS = bareWords;
}

const APOSTROPHE: u32 = 39;
const CR: u32 = 13;
const LF: u32 = 10;
const SLASH: u32 = 47;

// @ts-ignore: decorator
@inline
function isNewline(c: u32): bool {
  return c == CR || c == LF;
}

/** Length of 's 't 're 've 'm 'll 'd at p (an apostrophe), else 0. Folding case, 'ſ (U+017F) is 's too. */
export function contraction(p: usize, end: usize, foldCase: bool): u32 {
  if (p + 1 >= end) return 0;
  let c: u32 = load<u8>(p, 1);
  if (foldCase) {
    if (c == 0xc5) return p + 2 < end && load<u8>(p, 2) == 0xbf ? 3 : 0;
    if (c - 65 < 26) c |= 32;
  }
  if (c == 115 || c == 116 || c == 109 || c == 100) return 2;
  if (p + 2 >= end) return 0;
  let d: u32 = load<u8>(p, 2);
  if (foldCase && d - 65 < 26) d |= 32;
  return (d == 101 && (c == 114 || c == 118)) || (c == 108 && d == 108) ? 3 : 0;
}

function lettersEnd(p: usize, end: usize): usize {
  while ((classAt(p, end) & LETTER) != 0) p += width;
  return p;
}

/**
 * o200k's two word alternatives, in the order in which a backtracking engine tries them: with the prefix character,
 * then without, for each. Returns p where none matches.
 */
function o200kWordEnd(p: usize, end: usize): usize {
  const first = classAt(p, end);
  const firstWidth = width;
  const mayBePrefix = (first & (LETTER | NUMBER | END)) == 0 && !isNewline(scalar);
  for (let alternative = 0; alternative < 2; alternative++) {
    for (let skipPrefix = mayBePrefix ? 0 : 1; skipPrefix < 2; skipPrefix++) {
      const start = skipPrefix ? p : p + firstWidth;
      let q = start;
      let lastCaseless: usize = 0; // end of the last character that the second class could take back
      let c = classAt(q, end);
      while ((c & (UPPER | CASELESS)) != 0) {
        q += width;
        if ((c & CASELESS) != 0) lastCaseless = q;
        c = classAt(q, end);
      }
      let wordEnd: usize = 0;
      if (alternative == 0) {
        if ((c & LOWER) != 0) wordEnd = lowerEnd(q, end);
        else wordEnd = lastCaseless;
      } else if (q > start) {
        wordEnd = lowerEnd(q, end);
      }
      if (wordEnd) {
        return !BARE_WORDS && wordEnd < end && load<u8>(wordEnd) == APOSTROPHE ? wordEnd + contraction(wordEnd, end, true) : wordEnd;
      }
    }
  }
  return p;
}

function lowerEnd(p: usize, end: usize): usize {
  while ((classAt(p, end) & (LOWER | CASELESS)) != 0) p += width;
  return p;
}

/** End of the run of punctuation and symbols at p, with the newlines (and slashes) that some families add to it. */
function symbolsEnd(p: usize, end: usize): usize {
  while ((classAt(p, end) & NOT_SYMBOL) == 0) p += width;
  if (FAMILY != R50K) {
    while (p < end) {
      const c: u32 = load<u8>(p);
      if (!isNewline(c) && !(FAMILY == O200K && c == SLASH)) break;
      p++;
    }
  }
  return p;
}

function spaceEnd(p: usize, end: usize): usize {
  let q = p;
  let last = p; // start of the last space of the run
  let newlineEnd: usize = 0;
  while ((classAt(q, end) & SPACE) != 0) {
    last = q;
    q += width;
    if (isNewline(scalar)) newlineEnd = q;
  }
  if (q >= end && FAMILY <= CL100K) return q; // \s++$ comes before the newline rule
  if (FAMILY != R50K && newlineEnd) return newlineEnd; // \s*[\r\n]: through the last newline
  if (q >= end || last == p) return q;
  return last; // \s+(?!\S): the last space goes to what follows
}

/** End of the piece that starts at p < end. */
export function pieceEnd(p: usize, end: usize): usize {
  const family = FAMILY;
  const first = classAt(p, end);
  const firstWidth = width;
  const firstScalar = scalar;
  if (family == O200K) {
    const word = o200kWordEnd(p, end);
    if (word > p) return word;
  } else {
    if (firstScalar == APOSTROPHE) {
      const n = contraction(p, end, family != R50K);
      if (n) return p + n;
    }
    if ((first & LETTER) != 0) return lettersEnd(p + firstWidth, end);
    const mayBePrefix = family == R50K ? firstScalar == 32 : (first & NUMBER) == 0 && !isNewline(firstScalar);
    if (mayBePrefix && (classAt(p + firstWidth, end) & LETTER) != 0) return lettersEnd(p + firstWidth + width, end);
  }
  if (family != R50K && (first & NUMBER) != 0) {
    let q = p + firstWidth;
    for (let digits: u32 = 1; digits < MAX_DIGITS && (classAt(q, end) & NUMBER) != 0; digits++) q += width;
    return q;
  }
  const afterSpace = firstScalar == 32 ? p + 1 : p;
  const c = classAt(afterSpace, end);
  if (family == R50K && (c & NUMBER) != 0) {
    let q = afterSpace;
    while ((classAt(q, end) & NUMBER) != 0) q += width;
    return q;
  }
  if ((c & NOT_SYMBOL) == 0) return symbolsEnd(afterSpace, end);
  return spaceEnd(p, end);
}
