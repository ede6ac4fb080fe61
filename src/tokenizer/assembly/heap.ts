// Merges of long pieces: a binary heap of rank << 32 | position, with entries that are checked when they come up rather
// than removed when they go stale. Per symbol 4 bytes of ids, a bit, and up to two heap entries. The id of a token
// stands at its first symbol.
import { NONE, SCRATCH, ensure } from "./memory";
import { setTokens } from "./tokens";
import { mergeResult, pairRank } from "./vocabulary";

/** Symbols that are merged at a time where there are more: their heap stays in the second-level cache. */
const WINDOW: u32 = 8192;
/** What lies behind a window can change its last tokens; those that end in so many symbols are made again. */
const MARGIN: u32 = 1024;

let LONG_IDS: usize = 0;
let STARTS: usize = 0; // bit per symbol: a token starts here; all ones behind the last
let HEAP: usize = 0;
let heapSize: u32 = 0;
let heapEnd: u64 = 0;

// @ts-ignore: decorator
@inline
function startsAt(i: u32): bool {
  return ((<u32>load<u8>(STARTS + (i >> 3)) >> (i & 7)) & 1) != 0;
}

/** The first start behind i; at or behind the last symbol where there is none. */
function startAfter(i: u32): u32 {
  let at = i + 1;
  let bits = load<u64>(STARTS + ((<usize>(at >> 6)) << 3)) >> <u64>(at & 63);
  while (bits == 0) {
    at = (at | 63) + 1;
    bits = load<u64>(STARTS + ((<usize>(at >> 6)) << 3));
  }
  return at + <u32>ctz(bits);
}

/** The last start before i > 0; symbol 0 is always one. */
function startBefore(i: u32): u32 {
  let at = i - 1;
  let bits = load<u64>(STARTS + ((<usize>(at >> 6)) << 3)) << <u64>(63 - (at & 63));
  while (bits == 0) {
    at = (at & ~63) - 1;
    bits = load<u64>(STARTS + ((<usize>(at >> 6)) << 3));
  }
  return at - <u32>clz(bits);
}

// @ts-ignore: decorator
@inline
function idAt(i: u32): u32 {
  return load<u32>(LONG_IDS + ((<usize>i) << 2));
}

// @ts-ignore: decorator
@inline
function heapAt(i: u32): u64 {
  return load<u64>(HEAP + ((<usize>i) << 3));
}

// @ts-ignore: decorator
@inline
function setHeap(i: u32, key: u64): void {
  store<u64>(HEAP + ((<usize>i) << 3), key);
}

// @ts-ignore: decorator
@inline
function append(key: u64): void {
  const end = <u64>HEAP + ((<u64>heapSize + 1) << 3);
  if (end > heapEnd) {
    ensure(end);
    heapEnd = (<u64>memory.size()) << 16;
  }
  setHeap(heapSize++, key);
}

function push(key: u64): void {
  append(key);
  let i = heapSize - 1;
  while (i) {
    const parent = (i - 1) >> 1;
    const above = heapAt(parent);
    if (above <= key) break;
    setHeap(i, above);
    i = parent;
  }
  setHeap(i, key);
}

/** Puts key at i or below, where the subtrees of i are heaps. */
function sink(i: u32, key: u64): void {
  while (true) {
    let child: u32 = 2 * i + 1;
    if (child >= heapSize) break;
    if (child + 1 < heapSize && heapAt(child + 1) < heapAt(child)) child++;
    const below = heapAt(child);
    if (below >= key) break;
    setHeap(i, below);
    i = child;
  }
  setHeap(i, key);
}

function pop(): u64 {
  const least = heapAt(0);
  heapSize--;
  if (heapSize) sink(0, heapAt(heapSize));
  return least;
}

/** Where to put the ids of up to n symbols that `mergeHeap` or `mergeWindows` is to merge. */
export function heapSymbols(n: u32): usize {
  ensure(<u64>SCRATCH + ((<u64>n) << 2));
  return SCRATCH;
}

/** Merges the n symbols whose ids are where `heapSymbols` said: how many tokens, whose ids are at TOKENS. */
export function mergeHeap(n: u32): u32 {
  const count = mergeInPlace(SCRATCH, n, SCRATCH + ((<usize>n) << 2));
  let from: u32 = 0;
  for (let k: u32 = 0; k < count; k++) {
    store<u32>(LONG_IDS + ((<usize>k) << 2), idAt(from)); // k ≤ from: never overwrites an id that is still to be read
    from = startAfter(from);
  }
  setTokens(LONG_IDS);
  return count;
}

/**
 * As `mergeHeap`, in time and memory that grow with n alone: by windows, each of which begins with the last token that
 * is kept of the one before. Any run of tokens in what merges give is what they give for the run's text alone, since no
 * merge went across its ends; and tokens of which all neighbours, taken two by two, are so left alone, are what merges
 * give for the whole: the first merge across a border would be the first for those two as well. So where each window
 * gives its first token again, all are right. Where one does not, one heap takes the whole.
 */
export function mergeWindows(n: u32): u32 {
  if (n <= WINDOW) return mergeHeap(n);
  const ids = SCRATCH;
  const tokens = ids + ((<usize>n) << 2);
  const window = tokens + ((<usize>n) << 2);
  ensure(<u64>ids + ((<u64>n) << 3) + ((<u64>WINDOW) << 2));
  let count: u32 = 0;
  let from: u32 = 0;
  let first: u32 = NONE; // the token that the window must begin with, and its symbols
  let firstLength: u32 = 0;
  while (true) {
    const m = min(WINDOW, n - from);
    const isLast = from + m == n;
    memory.copy(window, ids + ((<usize>from) << 2), (<usize>m) << 2);
    mergeInPlace(window, m, window + ((<usize>WINDOW) << 2));
    if (first != NONE && (idAt(0) != first || startAfter(0) != firstLength)) return mergeHeap(n);
    const sure = isLast ? m : m - MARGIN;
    let at: u32 = 0;
    let next = startAfter(0);
    while (next <= sure) {
      store<u32>(tokens + ((<usize>count) << 2), idAt(at));
      count++;
      at = next;
      if (at == m) break;
      next = startAfter(at);
    }
    if (isLast) break;
    if (at == 0) return mergeHeap(n);
    first = idAt(at);
    firstLength = next - at;
    from += at;
  }
  setTokens(tokens);
  return count;
}

/** Merges the n symbols at ids; what else is needed goes behind `free`. How many tokens are left, at their first symbols. */
function mergeInPlace(ids: usize, n: u32, free: usize): u32 {
  LONG_IDS = ids;
  STARTS = (free + 15) & ~15;
  HEAP = STARTS + (((n >> 6) + 2) << 3);
  ensure(<u64>HEAP);
  heapEnd = (<u64>memory.size()) << 16;
  heapSize = 0;
  memory.fill(STARTS, 0xff, HEAP - STARTS);
  for (let i: u32 = 0; i + 1 < n; i++) {
    const rank = pairRank(idAt(i), idAt(i + 1));
    if (rank != NONE) append(((<u64>rank) << 32) | <u64>i);
  }
  for (let i: i32 = <i32>(heapSize >> 1) - 1; i >= 0; i--) sink(i, heapAt(i));

  let count = n;
  while (heapSize) {
    const key = pop();
    const left = <u32>key;
    if (!startsAt(left)) continue;
    const right = startAfter(left);
    if (right >= n) continue;
    const rank = <u32>(key >> 32);
    // as in the reference implementation, what counts is that the pair still makes the same token
    const now = pairRank(idAt(left), idAt(right));
    if (now == NONE || mergeResult(now) != mergeResult(rank)) continue;

    const id = mergeResult(rank);
    const next = startAfter(right);
    const bits = STARTS + (right >> 3);
    store<u8>(bits, load<u8>(bits) & ~(<u8>1 << <u8>(right & 7)));
    store<u32>(LONG_IDS + ((<usize>left) << 2), id);
    count--;
    if (next < n) {
      const following = pairRank(id, idAt(next));
      if (following != NONE) push(((<u64>following) << 32) | <u64>left);
    }
    if (left) {
      const before = startBefore(left);
      const preceding = pairRank(idAt(before), id);
      if (preceding != NONE) push(((<u64>preceding) << 32) | <u64>before);
    }
  }
  return count;
}
