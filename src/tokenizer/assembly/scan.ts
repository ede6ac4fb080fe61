// Pieces of common ASCII text, found with one 16-byte load: words, digits, punctuation, white space. Each function
// returns the piece's length, or 0 where it can't be sure (not ASCII, an apostrophe, longer than 15 bytes, or at the
// end of the text), and then split.ts decides. So a byte behind `end` is read but never changes a result.
import { SHORT_PIECE } from "./cache";
import { FAMILY, MAX_DIGITS, O200K, R50K } from "./split";

// @ts-ignore: decorator
@inline
function ones(mask: u32): u32 {
  return ctz<u32>(~mask);
}

// @ts-ignore: decorator
@inline
function isDigit(c: u32): bool {
  return c - 48 < 10;
}

/** Bit i: v's byte i, made lower case, is a letter a to z. */
// @ts-ignore: decorator
@inline
function letterMask(v: v128): u32 {
  return i8x16.bitmask(i8x16.lt_u(i8x16.sub(v128.or(v, i8x16.splat(0x20)), i8x16.splat(97)), i8x16.splat(26)));
}

// @ts-ignore: decorator
@inline
function spaces(v: v128): v128 {
  return v128.or(i8x16.eq(v, i8x16.splat(32)), i8x16.lt_u(i8x16.sub(v, i8x16.splat(9)), i8x16.splat(5)));
}

// @ts-ignore: decorator
@inline
function digits(v: v128): v128 {
  return i8x16.lt_u(i8x16.sub(v, i8x16.splat(48)), i8x16.splat(10));
}

/** Length of the piece at p, whose first 16 bytes are in v, or 0. */
// @ts-ignore: decorator
@inline
export function asciiPiece(p: usize, end: usize, v: v128): u32 {
  const letters = letterMask(v);
  const c: u32 = load<u8>(p);
  const startsWord = letters & 1;
  if (startsWord || ((letters & 2) != 0 && isWordPrefix(c))) return word(p, end, v, letters, startsWord);
  if (c >= 0x80 || c == 39) return 0;
  if (isDigit(c) || (FAMILY == R50K && c == 32 && isDigit(load<u8>(p, 1)))) return number(p, end, v, c);
  if (c > 32 || (c == 32 && <u32>load<u8>(p, 1) > 32 && !isDigit(load<u8>(p, 1)))) return symbols(p, end, v, letters, c);
  if (c == 32 || c - 9 <= 4) return space(p, end, v, letters, c);
  return 0;
}

/** Whether ASCII c, not a letter, may stand before the letters of a word. */
// @ts-ignore: decorator
@inline
function isWordPrefix(c: u32): bool {
  return c == 32 || (FAMILY != R50K && c < 0x80 && c != 13 && c != 10 && c != 39 && !isDigit(c));
}

// @ts-ignore: decorator
@inline
function word(p: usize, end: usize, v: v128, letters: u32, startsWord: u32): u32 {
  const prefix = startsWord ^ 1;
  let n: u32;
  if (FAMILY != O200K) {
    n = ones(letters | prefix);
  } else {
    const upper = i8x16.bitmask(i8x16.lt_u(i8x16.sub(v, i8x16.splat(65)), i8x16.splat(26)));
    const upperEnd = prefix + ones(upper >> prefix);
    n = upperEnd + ones((letters & ~upper) >> upperEnd);
  }
  if (n > SHORT_PIECE || p + n > end) return 0;
  const next: u32 = load<u8>(p + n);
  return next >= 0x80 || (FAMILY == O200K && next == 39) ? 0 : n;
}

// @ts-ignore: decorator
@inline
function number(p: usize, end: usize, v: v128, c: u32): u32 {
  let n: u32;
  if (FAMILY == R50K) {
    n = ones(i8x16.bitmask(digits(v)) | (c == 32 ? 1 : 0));
    if (n > SHORT_PIECE) return 0;
  } else {
    n = min<u32>(ones(i8x16.bitmask(digits(v))), MAX_DIGITS);
    if (n == MAX_DIGITS) return p + n > end ? 0 : n;
  }
  return p + n > end || load<u8>(p + n) >= 0x80 ? 0 : n;
}

/** A run of punctuation, after one space or none. */
// @ts-ignore: decorator
@inline
function symbols(p: usize, end: usize, v: v128, letters: u32, c: u32): u32 {
  const others = (~(letters | i8x16.bitmask(v128.or(v128.or(spaces(v), digits(v)), v))) & 0xffff) | (c == 32 ? 1 : 0);
  const n = ones(others);
  if (n >= SHORT_PIECE - 1 || (n == 1 && c == 32)) return 0;
  let q = p + n;
  let next: u32 = load<u8>(q);
  if (FAMILY != R50K) {
    while (q < end && (next == 13 || next == 10 || (FAMILY == O200K && next == 47))) {
      q++;
      next = load<u8>(q);
    }
  }
  return next >= 0x80 || q > end || q - p > SHORT_PIECE ? 0 : <u32>(q - p);
}

// @ts-ignore: decorator
@inline
function space(p: usize, end: usize, v: v128, letters: u32, c: u32): u32 {
  const run = ones(i8x16.bitmask(spaces(v)));
  if (run > SHORT_PIECE || p + run >= end) return 0;
  const next: u32 = load<u8>(p + run);
  if (next >= 0x80) return 0;
  if (run == 1 && c == 32) return FAMILY != R50K && isDigit(next) ? 1 : 0;
  if (FAMILY != R50K) {
    const newlines =
      i8x16.bitmask(v128.or(i8x16.eq(v, i8x16.splat(13)), i8x16.eq(v, i8x16.splat(10)))) & ((1 << run) - 1);
    if (newlines) return 32 - clz<u32>(newlines);
    if (run == 1) return (letters & 2) != 0 ? 0 : 1; // a tab before letters belongs to the word
  }
  return run == 1 ? 1 : run - 1;
}
