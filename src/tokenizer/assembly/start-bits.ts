// One bit per byte of a window: where pieces start, and where the masks can't tell.
import { WINDOW } from "./masks";
import { alloc } from "./memory";

const WORDS: u32 = WINDOW / 64;

export let STARTS: usize = 0; // u64[WORDS + 1]: a piece starts at this byte
export let UNSURE: usize = 0; // u64[WORDS + 1]: pieces about this byte are for split.ts

export function initStartBits(): void {
  STARTS = alloc((WORDS + 1) * 8);
  UNSURE = alloc((WORDS + 1) * 8);
}

// @ts-ignore: decorator
@inline
export function word(table: usize, k: u32): u64 {
  return load<u64>(table + (<usize>k << 3));
}
// @ts-ignore: decorator
@inline
export function bit(table: usize, at: u32): bool {
  return ((word(table, at >> 6) >> <u64>(at & 63)) & 1) != 0;
}
// @ts-ignore: decorator
@inline
export function setStart(at: u32): void {
  store<u64>(STARTS + (<usize>(at >> 6) << 3), word(STARTS, at >> 6) | ((<u64>1) << <u64>(at & 63)));
}
// @ts-ignore: decorator
@inline
export function clearStart(at: u32): void {
  store<u64>(STARTS + (<usize>(at >> 6) << 3), word(STARTS, at >> 6) & ~((<u64>1) << <u64>(at & 63)));
}
/** Bit i: whether the byte before byte i is in the class, of which `before` is the mask of the word before. */
// @ts-ignore: decorator
@inline
export function previous(mask: u64, before: u64): u64 {
  return (mask << 1) | (before >> 63);
}
/** Bit i: whether the byte behind byte i is in the class. */
// @ts-ignore: decorator
@inline
export function next(mask: u64, after: u64): u64 {
  return (mask >> 1) | (after << 63);
}

/** The first start behind `at`, up to the limit, or 0. At the text's end the limit is one. */
export function nextStart(at: u32, limit: u32): u32 {
  const words = (limit + 64) >> 6;
  let k = (at + 1) >> 6;
  let bits = k < words ? word(STARTS, k) & (~(<u64>0) << <u64>((at + 1) & 63)) : 0;
  while (bits == 0) {
    if (++k >= words) return 0;
    bits = word(STARTS, k);
  }
  const found = (k << 6) + <u32>ctz(bits);
  return found <= limit ? found : 0;
}

export function isUnsure(from: u32, to: u32): bool {
  for (let k = from >> 6; k <= to >> 6 && k < WORDS; k++) {
    let bits = word(UNSURE, k);
    if (bits == 0) continue;
    if (k == from >> 6) bits &= ~(<u64>0) << <u64>(from & 63);
    if (k == to >> 6) bits &= ~(<u64>0) >> <u64>(63 - (to & 63));
    if (bits) return true;
  }
  return false;
}
