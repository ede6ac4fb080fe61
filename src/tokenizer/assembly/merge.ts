// Byte-pair merges of one piece, exact by construction: always the pair of lowest rank, the leftmost of equals.
import { heapSymbols, mergeWindows } from "./heap";
import { NONE, alloc } from "./memory";
import { setTokens } from "./tokens";
import { byteId, bytePairRank, find, mergeResult, pairRank, setWholePiece, wholePiece } from "./vocabulary";

/** Longest piece for which looking through all ranks for each merge is faster than a heap. */
const SHORT: u32 = 60;
/** The id of what is not there: no pair has it. */
const NO_TOKEN: u32 = 0x1fffff;

let SHORT_IDS: usize = 0; // u32[64]
let KEYS: usize = 0; // u32[64]
let LANES: usize = 0; // v128[4]: each lane alone

export function initMerge(): void {
  SHORT_IDS = alloc(64 * 4);
  store<u32>(SHORT_IDS, NO_TOKEN, 63 * 4);
  KEYS = alloc(64 * 4);
  LANES = alloc(4 * 16);
  for (let lane: u32 = 0; lane < 4; lane++) store<u32>(LANES + lane * 20, NONE);
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

/** Where to put the ids of up to n symbols that `mergeSymbols` is to merge. */
export function symbols(n: u32): usize {
  return n <= SHORT ? SHORT_IDS : heapSymbols(n);
}

/** Merges the count symbols of any kind at ids, what `symbols` gave: how many tokens, whose ids are at TOKENS. */
export function mergeSymbols(ids: usize, count: u32): u32 {
  if (count > SHORT) return mergeWindows(count);
  setTokens(SHORT_IDS);
  if (ids != SHORT_IDS) memory.copy(SHORT_IDS, ids, (<usize>count) << 2);
  if (count < 2) return count;
  clearKeys(count);
  for (let i: u32 = 0; i + 1 < count; i++) {
    const id = SHORT_IDS + (i << 2);
    store<u32>(KEYS + (i << 2), keyOf(pairRank(load<u32>(id), load<u32>(id, 4)), i));
  }
  return mergeKeys(count);
}

function mergeLong(p: usize, n: u32): u32 {
  const ids = heapSymbols(n);
  for (let i: u32 = 0; i < n; i++) store<u32>(ids + ((<usize>i) << 2), byteId(load<u8>(p + i)));
  return mergeWindows(n);
}

/** Puts a value into a lane with a store of the whole vector, so that the next load of it need not wait. */
// @ts-ignore: decorator
@inline
function setKey(lane: u32, key: u32): void {
  const q = KEYS + (<usize>(lane >> 2) << 4);
  v128.store(q, v128.bitselect(i32x4.splat(key), v128.load(q), v128.load(LANES + (<usize>(lane & 3) << 4))));
}

// @ts-ignore: decorator
@inline
function keyOf(rank: u32, at: u32): u32 {
  return (rank << 6) | at | select<u32>(NONE, 0, rank == NONE);
}

// @ts-ignore: decorator
@inline
function keysEnd(n: u32): usize {
  return KEYS + (<usize>((n + 3) >> 2) << 4);
}

// @ts-ignore: decorator
@inline
function clearKeys(n: u32): void {
  for (let q = KEYS; q < keysEnd(n); q += 16) v128.store(q, i32x4.splat(-1));
}

function mergeShort(p: usize, n: u32): u32 {
  clearKeys(n);
  const last = n - 1;
  for (let i: u32 = 0; i < last; i++) {
    store<u32>(SHORT_IDS + (i << 2), byteId(load<u8>(p + i)));
    store<u32>(KEYS + (i << 2), keyOf(bytePairRank(p + i), i));
  }
  store<u32>(SHORT_IDS + (last << 2), byteId(load<u8>(p + last)));
  return mergeKeys(n);
}

/**
 * Up to SHORT symbols, whose ids and keys are set. A token stands at its first symbol; a pair's key is its rank above
 * the place of its left token, so the lowest key is the leftmost pair of lowest rank. While the two new pairs of a merge
 * are looked up, the lowest of all others is found.
 */
function mergeKeys(n: u32): u32 {
  const end = keysEnd(n);
  store<u32>(SHORT_IDS + (n << 2), NO_TOKEN);
  let alive: u64 = ((<u64>1) << n) - 1;
  let key = lowestKey(end);
  while (key != NONE) {
    const at = key & 63;
    const above = alive & (<u64>(-2) << at);
    const right = <u32>ctz(above);
    const behind = <u32>ctz((above & (above - 1)) | ((<u64>1) << n));
    const before = (63 - <u32>clz(alive & (((<u64>1) << at) - 1))) & 63; // 63 where nothing is
    alive ^= (<u64>1) << right;
    const id = mergeResult(key >> 6);
    const following = pairRank(id, load<u32>(SHORT_IDS + (behind << 2)));
    const preceding = pairRank(load<u32>(SHORT_IDS + (before << 2)), id);
    store<u32>(SHORT_IDS + (at << 2), id);
    setKey(at, NONE);
    setKey(right, NONE);
    setKey(before, NONE);
    const others = lowestKey(end);
    const followingKey = keyOf(following, at);
    const precedingKey = keyOf(preceding, before);
    setKey(at, followingKey);
    setKey(before, precedingKey);
    key = min(others, min(followingKey, precedingKey));
  }
  let count: u32 = 0;
  while (alive) {
    store<u32>(SHORT_IDS + (count << 2), load<u32>(SHORT_IDS + (<u32>ctz(alive) << 2)));
    alive &= alive - 1;
    count++;
  }
  return count;
}

// @ts-ignore: decorator
@inline
function lowestKey(end: usize): u32 {
  let lowest = v128.load(KEYS);
  for (let q = KEYS + 16; q < end; q += 16) lowest = i32x4.min_u(lowest, v128.load(q));
  lowest = i32x4.min_u(lowest, v128.shuffle<u32>(lowest, lowest, 2, 3, 0, 1));
  lowest = i32x4.min_u(lowest, v128.shuffle<u32>(lowest, lowest, 1, 0, 3, 2));
  return <u32>i32x4.extract_lane(lowest, 0);
}
