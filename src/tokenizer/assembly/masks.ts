// Character classes of a window of text as bit masks, one bit per byte: ASCII sixteen bytes at a time, other characters
// by the class table, with all bytes of a character in its class. Knows nothing of pieces.
import { CASELESS, LETTER, NUMBER, SPACE, UPPER, classAt, width } from "./classes";
import { alloc } from "./memory";

/** Bytes of text that are looked at together; their masks stay in the first-level cache. */
export const WINDOW: u32 = 4096;
const WORDS: u32 = WINDOW / 64;

/** Masks of 64 bytes of text each; one zeroed entry follows the last, so that the next can always be read. */
const ENTRY: usize = 96;
let MASKS: usize = 0;

export function initMasks(): void {
  MASKS = alloc((WORDS + 1) * <u32>ENTRY);
}

// @ts-ignore: decorator
@inline
function at(word: u32): usize {
  return MASKS + <usize>word * ENTRY;
}
/** Letters; for a pattern with cases, marks as well. */
// @ts-ignore: decorator
@inline
export function letters(word: u32): u64 {
  return load<u64>(at(word));
}
// @ts-ignore: decorator
@inline
export function numbers(word: u32): u64 {
  return load<u64>(at(word), 8);
}
/** White space. */
// @ts-ignore: decorator
@inline
export function whites(word: u32): u64 {
  return load<u64>(at(word), 16);
}
/** U+0020 alone. */
// @ts-ignore: decorator
@inline
export function spaces(word: u32): u64 {
  return load<u64>(at(word), 24);
}
/** Carriage returns and line feeds. */
// @ts-ignore: decorator
@inline
export function newlines(word: u32): u64 {
  return load<u64>(at(word), 32);
}
// @ts-ignore: decorator
@inline
export function apostrophes(word: u32): u64 {
  return load<u64>(at(word), 40);
}
/** Bytes that are not ASCII. */
// @ts-ignore: decorator
@inline
export function wides(word: u32): u64 {
  return load<u64>(at(word), 48);
}
/** Lu and Lt; only with cases, as the three below. */
// @ts-ignore: decorator
@inline
export function uppers(word: u32): u64 {
  return load<u64>(at(word), 56);
}
/** Lm, Lo and marks. */
// @ts-ignore: decorator
@inline
export function caselesses(word: u32): u64 {
  return load<u64>(at(word), 64);
}
// @ts-ignore: decorator
@inline
export function marks(word: u32): u64 {
  return load<u64>(at(word), 72);
}
// @ts-ignore: decorator
@inline
export function slashes(word: u32): u64 {
  return load<u64>(at(word), 80);
}

// @ts-ignore: decorator
@inline
function gather(a: v128, b: v128, c: v128, d: v128): u64 {
  return (
    <u64>(<u32>i8x16.bitmask(a)) |
    (<u64>(<u32>i8x16.bitmask(b)) << 16) |
    (<u64>(<u32>i8x16.bitmask(c)) << 32) |
    (<u64>(<u32>i8x16.bitmask(d)) << 48)
  );
}
// @ts-ignore: decorator
@inline
function isLetter(v: v128): v128 {
  return i8x16.lt_u(i8x16.sub(v128.or(v, i8x16.splat(0x20)), i8x16.splat(97)), i8x16.splat(26));
}
// @ts-ignore: decorator
@inline
function isDigit(v: v128): v128 {
  return i8x16.lt_u(i8x16.sub(v, i8x16.splat(48)), i8x16.splat(10));
}
// @ts-ignore: decorator
@inline
function isControlSpace(v: v128): v128 {
  return i8x16.lt_u(i8x16.sub(v, i8x16.splat(9)), i8x16.splat(5));
}
// @ts-ignore: decorator
@inline
function isUpper(v: v128): v128 {
  return i8x16.lt_u(i8x16.sub(v, i8x16.splat(65)), i8x16.splat(26));
}
// @ts-ignore: decorator
@inline
function isNewline(v: v128): v128 {
  return v128.or(i8x16.eq(v, i8x16.splat(10)), i8x16.eq(v, i8x16.splat(13)));
}
// @ts-ignore: decorator
@inline
function is(v: v128, byte: i8): v128 {
  return i8x16.eq(v, i8x16.splat(byte));
}

/**
 * Masks of the n ≤ WINDOW bytes at p, which begin with a whole character. Up to 63 bytes behind them are read, and
 * never believed.
 */
export function classify(p: usize, n: u32, withCases: bool): void {
  const words = (n + 63) >> 6;
  let wide: u64 = 0;
  for (let k: u32 = 0; k < words; k++) {
    const q = p + (<usize>k << 6);
    const a = v128.load(q);
    const b = v128.load(q, 16);
    const c = v128.load(q, 32);
    const d = v128.load(q, 48);
    const left = n - (k << 6);
    const valid: u64 = left < 64 ? ((<u64>1) << left) - 1 : ~(<u64>0);
    const m = at(k);
    const space = gather(is(a, 32), is(b, 32), is(c, 32), is(d, 32)) & valid;
    const control = gather(isControlSpace(a), isControlSpace(b), isControlSpace(c), isControlSpace(d)) & valid;
    const high = gather(a, b, c, d) & valid;
    store<u64>(m, gather(isLetter(a), isLetter(b), isLetter(c), isLetter(d)) & valid);
    store<u64>(m, gather(isDigit(a), isDigit(b), isDigit(c), isDigit(d)) & valid, 8);
    store<u64>(m, space | control, 16);
    store<u64>(m, space, 24);
    store<u64>(m, gather(isNewline(a), isNewline(b), isNewline(c), isNewline(d)) & valid, 32);
    store<u64>(m, gather(is(a, 39), is(b, 39), is(c, 39), is(d, 39)) & valid, 40);
    store<u64>(m, high, 48);
    if (withCases) {
      store<u64>(m, gather(isUpper(a), isUpper(b), isUpper(c), isUpper(d)) & valid, 56);
      store<u64>(m, 0, 64);
      store<u64>(m, 0, 72);
      store<u64>(m, gather(is(a, 47), is(b, 47), is(c, 47), is(d, 47)) & valid, 80);
    }
    wide |= high;
  }
  memory.fill(at(words), 0, ENTRY);
  if (wide) classifyWide(p, n, words, withCases);
}

function classifyWide(p: usize, n: u32, words: u32, withCases: bool): void {
  const end = p + n + 4; // a character may begin in the window and end behind it; the text is valid UTF-8
  for (let k: u32 = 0; k < words; k++) {
    let left = wides(k);
    while (left) {
      const i = <u32>ctz(left);
      const q = p + (<usize>k << 6) + i;
      if (load<u8>(q) < 0xc0) {
        left &= left - 1; // the rest of a character that the word before began
        continue;
      }
      const c = classAt(q, end);
      const bytes = ((<u64>1) << width) - 1;
      left &= ~(bytes << i);
      if (c & (LETTER | CASELESS)) {
        if ((c & LETTER) != 0 || withCases) mark(k, 0, bytes, i);
        if (withCases) {
          if (c & UPPER) mark(k, 56, bytes, i);
          if (c & CASELESS) mark(k, 64, bytes, i);
          if ((c & LETTER) == 0) mark(k, 72, bytes, i);
        }
      } else if (c & NUMBER) mark(k, 8, bytes, i);
      else if (c & SPACE) mark(k, 16, bytes, i);
    }
  }
  // what lies behind the window belongs to the next one
  const behind = n & 63;
  if (behind) {
    const valid = ((<u64>1) << behind) - 1;
    for (let offset: usize = 0; offset < ENTRY; offset += 8) {
      const m = at(words - 1) + offset;
      store<u64>(m, load<u64>(m) & valid);
    }
  }
  memory.fill(at(words), 0, ENTRY);
}

/** Sets the character's bits in the mask at `offset`, also where they go on in the next word. */
// @ts-ignore: decorator
@inline
function mark(word: u32, offset: usize, bytes: u64, i: u32): void {
  const m = at(word) + offset;
  store<u64>(m, load<u64>(m) | (bytes << i));
  if (i > 60) store<u64>(m + ENTRY, load<u64>(m + ENTRY) | (bytes >> (64 - i)));
}
