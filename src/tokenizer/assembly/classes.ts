// Unicode classes of scalar values, from the frozen table that the host puts in (never those of the running engine).
import { alloc } from "./memory";

export const LETTER: u32 = 1;
export const NUMBER: u32 = 2;
export const SPACE: u32 = 4;
/** Lu and Lt: only in o200k's first word class. */
export const UPPER: u32 = 16;
/** Ll: only in o200k's second word class. */
export const LOWER: u32 = 32;
/** Lm, Lo and M: in both word classes of o200k. */
export const CASELESS: u32 = 64;
/** Not a class: the end of the text. */
export const END: u32 = 128;

/** What ends a run of punctuation and symbols. */
export const NOT_SYMBOL: u32 = LETTER | NUMBER | SPACE | END;

let PAGES: usize = 0; // u8[0x1100]: page of each 256 scalar values
let DATA: usize = 0; // u8[pages][256]: class bits

/** Bytes of the scalar value that `classAt` looked at last, and its value. */
export let width: u32 = 0;
export let scalar: u32 = 0;

/** Memory for the table: 0x1100 bytes of page numbers, then the pages. */
export function allocClasses(pages: u32): usize {
  PAGES = alloc(0x1100 + (pages << 8));
  DATA = PAGES + 0x1100;
  return PAGES;
}

/** Class bits of the scalar value at p; sets `width` and `scalar`. The text is valid UTF-8. */
// @ts-ignore: decorator
@inline
export function classAt(p: usize, end: usize): u32 {
  if (p >= end) {
    width = 0;
    scalar = 0xffffffff;
    return END;
  }
  const c: u32 = load<u8>(p);
  let u: u32 = c;
  if (c < 0x80) {
    width = 1;
  } else if (c < 0xe0) {
    width = 2;
    u = ((c & 31) << 6) | (<u32>load<u8>(p, 1) & 63);
  } else if (c < 0xf0) {
    width = 3;
    u = ((c & 15) << 12) | ((<u32>load<u8>(p, 1) & 63) << 6) | (<u32>load<u8>(p, 2) & 63);
  } else {
    width = 4;
    u = ((c & 7) << 18) | ((<u32>load<u8>(p, 1) & 63) << 12) | ((<u32>load<u8>(p, 2) & 63) << 6) | (<u32>load<u8>(p, 3) & 63);
  }
  scalar = u;
  return load<u8>(DATA + ((<usize>load<u8>(PAGES + (u >> 8))) << 8) + (u & 255));
}
