// Byte-pair merges of one piece, exact by construction: always the pair of lowest rank, the leftmost of equals.
import { NONE, SCRATCH, alloc, ensure } from "./memory";
import { setTokens } from "./tokens";
import { byteId, bytePairRank, find, mergeResult, pairRank, setWholePiece, tokenLength, wholePiece } from "./vocabulary";

/** Longest piece for which scanning all ranks for each merge is faster than a heap. */
const SHORT: u32 = 100;

let SHORT_IDS: usize = 0; // u32[SHORT]
let SHORT_RANKS: usize = 0; // u32[SHORT + a vector]: rank of the pair that the token at this byte is the left one of
let NEXT: usize = 0; // u8[SHORT]: first byte of the next token, the piece's length behind the last one
let BEFORE: usize = 0; // u8[SHORT]: first byte of the token before, of no meaning for the first

export function initMerge(): void {
  SHORT_IDS = alloc(SHORT * 4);
  SHORT_RANKS = alloc((SHORT + 4) * 4);
  NEXT = alloc(SHORT);
  BEFORE = alloc(SHORT + 1);
}

/** Tokens of the piece of n ≥ 1 bytes at p; their ids are at TOKENS until the next call. */
export function mergePiece(p: usize, n: u32): u32 {
  setTokens(SHORT_IDS);
  if (n == 1) {
    store<u32>(SHORT_IDS, byteId(load<u8>(p)));
    return 1;
  }
  const whole = find(p, n);
  if (whole == NONE) return n <= SHORT ? mergeShort(p, n) : mergeLong(p, n);
  const reached = wholePiece(whole);
  if (reached == 1) {
    store<u32>(SHORT_IDS, whole);
    return 1;
  }
  const count = n <= SHORT ? mergeShort(p, n) : mergeLong(p, n);
  if (reached == 0) setWholePiece(whole, count == 1);
  return count;
}

/**
 * Up to SHORT bytes: each token stands at its first byte, linked to the next and the previous one; the ranks of all
 * pairs are looked through with vectors for the lowest.
 */
function mergeShort(p: usize, n: u32): u32 {
  const last = n - 1;
  for (let i: u32 = 0; i < last; i++) {
    store<u32>(SHORT_RANKS + (i << 2), bytePairRank(p + i));
    store<u32>(SHORT_IDS + (i << 2), byteId(load<u8>(p + i)));
    store<u8>(NEXT + i, <u8>(i + 1));
    store<u8>(BEFORE + i + 1, <u8>i);
  }
  store<u32>(SHORT_IDS + (last << 2), byteId(load<u8>(p + last)));
  store<u8>(NEXT + last, <u8>n);
  v128.store(SHORT_RANKS + (last << 2), i32x4.splat(-1)); // no pair, and none behind up to a whole vector
  const end = SHORT_RANKS + (n << 2);
  while (true) {
    let lowest = v128.load(SHORT_RANKS);
    for (let q = SHORT_RANKS + 16; q < end; q += 16) lowest = i32x4.min_u(lowest, v128.load(q));
    lowest = i32x4.min_u(lowest, v128.shuffle<u32>(lowest, lowest, 2, 3, 0, 1));
    lowest = i32x4.min_u(lowest, v128.shuffle<u32>(lowest, lowest, 1, 0, 3, 2));
    const rank = <u32>i32x4.extract_lane(lowest, 0);
    if (rank == NONE) break;
    let q = SHORT_RANKS;
    let found = i32x4.bitmask(i32x4.eq(v128.load(q), lowest));
    while (found == 0) {
      q += 16;
      found = i32x4.bitmask(i32x4.eq(v128.load(q), lowest));
    }
    const at = (<u32>(q - SHORT_RANKS) >> 2) + <u32>ctz(found);
    const right: u32 = load<u8>(NEXT + at);
    const behind: u32 = load<u8>(NEXT + right);
    const id = mergeResult(rank);
    store<u32>(SHORT_IDS + (at << 2), id);
    store<u32>(SHORT_RANKS + (right << 2), NONE);
    store<u8>(NEXT + at, <u8>behind);
    let following: u32 = NONE;
    if (behind < n) {
      store<u8>(BEFORE + behind, <u8>at);
      following = pairRank(id, load<u32>(SHORT_IDS + (behind << 2)));
    }
    store<u32>(SHORT_RANKS + (at << 2), following);
    if (at) {
      const before: u32 = load<u8>(BEFORE + at);
      store<u32>(SHORT_RANKS + (before << 2), pairRank(load<u32>(SHORT_IDS + (before << 2)), id));
    }
  }
  let count: u32 = 0;
  for (let i: u32 = 0; i < n; i = load<u8>(NEXT + i)) {
    store<u32>(SHORT_IDS + (count << 2), load<u32>(SHORT_IDS + (i << 2))); // count ≤ i
    count++;
  }
  return count;
}

// Long pieces: a binary heap of rank << 32 | position, with entries that are checked when they come up rather than
// removed when they go stale. Per byte of the piece 4 bytes of ids, a bit, and up to two heap entries.
// The id of a token stands at its first byte; the last byte of a longer token holds the position of its first.
let LONG_IDS: usize = 0;
let STARTS: usize = 0; // bit per byte: a token starts here
let HEAP: usize = 0;
let heapSize: u32 = 0;
let heapEnd: u64 = 0;

// @ts-ignore: decorator
@inline
function startsAt(i: u32): bool {
  return ((<u32>load<u8>(STARTS + (i >> 3)) >> (i & 7)) & 1) != 0;
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

function mergeLong(p: usize, n: u32): u32 {
  LONG_IDS = SCRATCH;
  STARTS = LONG_IDS + ((<usize>n) << 2);
  HEAP = (STARTS + (n >> 3) + 16) & ~15;
  ensure(<u64>SCRATCH + ((<u64>n) << 2) + <u64>(n >> 3) + 64);
  heapEnd = (<u64>memory.size()) << 16;
  heapSize = 0;
  memory.fill(STARTS, 0xff, (n >> 3) + 1);
  for (let i: u32 = 0; i < n; i++) {
    store<u32>(LONG_IDS + ((<usize>i) << 2), byteId(load<u8>(p + i)));
    if (i + 1 == n) break;
    const rank = bytePairRank(p + i);
    if (rank != NONE) append(((<u64>rank) << 32) | <u64>i);
  }
  for (let i: i32 = <i32>(heapSize >> 1) - 1; i >= 0; i--) sink(i, heapAt(i));

  let count = n;
  while (heapSize) {
    const key = pop();
    const left = <u32>key;
    if (!startsAt(left)) continue;
    const leftId = idAt(left);
    const right = left + tokenLength(leftId);
    if (right >= n) continue;
    const rightId = idAt(right);
    const rank = <u32>(key >> 32);
    if (pairRank(leftId, rightId) != rank) continue;

    const id = mergeResult(rank);
    const next = right + tokenLength(rightId);
    const bits = STARTS + (right >> 3);
    store<u8>(bits, load<u8>(bits) & ~(<u8>1 << <u8>(right & 7)));
    store<u32>(LONG_IDS + ((<usize>(next - 1)) << 2), left);
    store<u32>(LONG_IDS + ((<usize>left) << 2), id);
    count--;
    if (next < n) {
      const following = pairRank(id, idAt(next));
      if (following != NONE) push(((<u64>following) << 32) | <u64>left);
    }
    if (left) {
      const before = startsAt(left - 1) ? left - 1 : idAt(left - 1);
      const preceding = pairRank(idAt(before), id);
      if (preceding != NONE) push(((<u64>preceding) << 32) | <u64>before);
    }
  }

  let from: u32 = 0;
  for (let k: u32 = 0; k < count; k++) {
    const id = idAt(from);
    store<u32>(LONG_IDS + ((<usize>k) << 2), id); // k ≤ from: never overwrites an id that is still to be read
    from += tokenLength(id);
  }
  setTokens(LONG_IDS);
  return count;
}
