// Linear memory: tables that live as long as the instance, laid out once by `alloc`, and behind them the work area of
// the current call (input, offsets, counts, ids, then scratch for long merges), laid out anew by every `reserve`.
// Nothing here frees: the host drops an instance that has grown too large.

/** What a table lookup returns for "not there"; also sorts after every rank. */
export const NONE: u32 = 0xffffffff;

/** Bytes behind the input that may be read, never believed: the rest of 64 bytes (masks.ts) and one vector. */
const PADDING: u64 = 128;

let top: u64 = 0;

export let INPUT: usize = 0;
export let OFFSETS: usize = 0;
export let COUNTS: usize = 0;
export let IDS: usize = 0;
export let SCRATCH: usize = 0;

/** Makes addresses below `end` usable, or traps: the host reports the document as too large. */
export function ensure(end: u64): void {
  const have = <u64>memory.size() << 16;
  if (end <= have) return;
  // an eighth more than asked for, so that a growing heap does not grow the memory page by page
  const want = (end - have + (have >> 3) + 0xffff) >> 16;
  if (memory.grow(<i32>want) < 0 && memory.grow(<i32>((end - have + 0xffff) >> 16)) < 0) unreachable();
}

/** A zeroed table of `bytes`, aligned to a cache line. Only before the first `reserve`. */
export function alloc(bytes: u64): usize {
  if (top == 0) top = aligned(<u64>__heap_base);
  const start = top;
  top = aligned(top + bytes);
  ensure(top);
  return <usize>start;
}

/** Where the next table will be: `bytes` that may be used until then, and must be zero again by then. */
export function unallocated(bytes: u64): usize {
  if (top == 0) top = aligned(<u64>__heap_base);
  ensure(top + bytes);
  return <usize>top;
}

/** Lays out the work area for one call. */
export function reserve(bytes: u64, documents: u64, ids: u64): void {
  INPUT = <usize>top;
  const offsets = aligned(top + bytes + PADDING);
  const counts = aligned(offsets + (documents + 1) * 4);
  const idsStart = aligned(counts + documents * 4);
  const scratch = aligned(idsStart + ids * 4);
  ensure(scratch);
  OFFSETS = <usize>offsets;
  COUNTS = <usize>counts;
  IDS = <usize>idsStart;
  SCRATCH = <usize>scratch;
  memory.fill(INPUT + <usize>bytes, 0, <usize>PADDING);
}

// @ts-ignore: decorator
@inline
function aligned(address: u64): u64 {
  return (address + 63) & ~63;
}
