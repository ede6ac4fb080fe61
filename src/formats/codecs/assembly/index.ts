// LZ4 blocks, strictly: literals and matches of sixteen bytes at a time where there is room, and never a byte read before
// the history or written beyond the output. The host reserves room, writes the block, and reads the output.

/** What `decodeBlock` returns in place of a length. */
export const ENDS_IN_LENGTH: i32 = -1;
export const LITERALS_BEYOND: i32 = -2;
export const ENDS_IN_OFFSET: i32 = -3;
export const OFFSET_BEFORE: i32 = -4;
export const MATCH_BEYOND: i32 = -5;

const MIN_MATCH: usize = 4;
/** Bytes behind input and output that vectors touch and nobody believes. */
const PADDING: usize = 32;

let INPUT: usize = 0;
let OUTPUT: usize = 0;

/** Room for the largest block and for all of the output. What was in them is lost. */
export function reserve(inputBytes: u32, outputBytes: u32): void {
  INPUT = (__heap_base + 15) & ~15;
  OUTPUT = (INPUT + inputBytes + PADDING + 15) & ~15;
  const end = <u64>OUTPUT + outputBytes + PADDING;
  const pages = <i32>((end + 0xffff) >> 16) - memory.size();
  if (pages > 0 && memory.grow(pages) < 0) unreachable();
}

export function input(): usize {
  return INPUT;
}
export function output(): usize {
  return OUTPUT;
}

/**
 * The block of `bytes` bytes at `input`, to `output` from `start` on and not beyond `limit`; matches may reach back to
 * `history`. All three are offsets in the output.
 * @returns the offset after the last byte written, or what is wrong
 */
export function decodeBlock(bytes: u32, start: u32, limit: u32, history: u32): i32 {
  const end = INPUT + bytes;
  const last = OUTPUT + limit;
  const first = OUTPUT + history;
  let at = INPUT;
  let to = OUTPUT + start;
  while (at < end) {
    const token = <usize>load<u8>(at++);
    let literals = token >> 4;
    if (literals == 15) {
      let more: usize = 255;
      while (more == 255) {
        if (at >= end) return ENDS_IN_LENGTH;
        more = <usize>load<u8>(at++);
        literals += more;
      }
    }
    if (literals > end - at || literals > last - to) return LITERALS_BEYOND;
    if (literals <= 32) {
      v128.store(to, v128.load(at));
      v128.store(to, v128.load(at, 16), 16);
    } else memory.copy(to, at, literals);
    at += literals;
    to += literals;
    if (at == end) break;
    if (end - at < 2) return ENDS_IN_OFFSET;
    const offset = <usize>load<u16>(at);
    at += 2;
    let match = token & 15;
    if (match == 15) {
      let more: usize = 255;
      while (more == 255) {
        if (at >= end) return ENDS_IN_LENGTH;
        more = <usize>load<u8>(at++);
        match += more;
      }
    }
    match += MIN_MATCH;
    if (offset == 0 || offset > to - first) return OFFSET_BEFORE;
    if (match > last - to) return MATCH_BEYOND;
    copyMatch(to, offset, match);
    to += match;
  }
  return <i32>(to - OUTPUT);
}

/** A match repeats itself where it is longer than its offset. Vectors write up to sixteen bytes beyond it. */
function copyMatch(to: usize, offset: usize, length: usize): void {
  const end = to + length;
  if (offset >= 16) {
    for (; to < end; to += 16) v128.store(to, v128.load(to - offset));
    return;
  }
  let back = offset;
  if (offset < 8) {
    // What repeats every `offset` bytes repeats at every multiple of it: the first that is at least eight.
    back = offset * (7 / offset + 1);
    for (const ready = to - offset + back; to < end && to < ready; to++) store<u8>(to, load<u8>(to - offset));
  }
  for (; to < end; to += 8) store<u64>(to, load<u64>(to - back));
}
