// The vocabulary: tokens by their bytes, and which two tokens merge into which.
// A merge has a rank (its place in the list of merges: lower first) and a result (a token id).
import { NONE, alloc } from "./memory";

/** Ids, ranks and their count stay below this: a pair's two ids and its rank share 63 bits. */
export const MAX_TOKENS: u32 = 1 << 21;

let TOKEN_BYTES: usize = 0;
let TOKEN_ENDS: usize = 0; // u32[tokens + 1]: token t is bytes ENDS[t] .. ENDS[t + 1]; empty where the id has none
let BYTE_IDS: usize = 0; // u32[256]
let tokens: u32 = 0;

// open addressing, id + 1, with one bit per hash in front: most misses stop at the bit
let TOKEN_TABLE: usize = 0;
let tokenMask: u32 = 0;
let TOKEN_FILTER: usize = 0;
const TOKEN_FILTER_BITS: u32 = 20;

// open addressing, 1 | a (21 bits) | b (21) | rank (21), with a filter as above
let PAIR_TABLE: usize = 0;
let pairMask: u32 = 0;
let PAIR_FILTER: usize = 0;
const PAIR_FILTER_BITS: u32 = 21;

let BYTE_PAIRS: usize = 0; // u32[65536]: rank of two bytes, the first in the low 8 bits
let RESULTS: usize = 0; // u32[merges]: id that merge makes
/** u8[tokens]: whether a piece that equals the token becomes it: 0 not known yet, 1 yes, 2 no. */
let WHOLE: usize = 0;

export function allocVocabulary(bytes: u32, count: u32): usize {
  tokens = count;
  TOKEN_BYTES = alloc(<u64>bytes + 8);
  return TOKEN_BYTES;
}

export function allocTokenEnds(): usize {
  TOKEN_ENDS = alloc((<u64>tokens + 1) * 4);
  return TOKEN_ENDS;
}

/**
 * Tables for the tokens, which `addTokens` fills.
 * @param wholePieces a piece that equals a token is that token, whatever the merges (tiktoken, ignore_merges)
 */
export function indexTokens(wholePieces: bool): void {
  let capacity: u32 = 1024;
  while (capacity < tokens * 2) capacity <<= 1;
  tokenMask = capacity - 1;
  TOKEN_TABLE = alloc(<u64>capacity * 4);
  TOKEN_FILTER = alloc(1 << (TOKEN_FILTER_BITS - 3));
  BYTE_IDS = alloc(1024);
  WHOLE = alloc(tokens);
  if (wholePieces) memory.fill(WHOLE, 1, tokens);
}

export function addTokens(first: u32, end: u32): void {
  for (let id = first; id < end; id++) {
    const n = tokenLength(id);
    if (n == 0) continue;
    const p = TOKEN_BYTES + load<u32>(TOKEN_ENDS + ((<usize>id) << 2));
    if (n == 1) store<u32>(BYTE_IDS + ((<usize>load<u8>(p)) << 2), id);
    const h = hash(p, n);
    const bit = h >> (32 - TOKEN_FILTER_BITS);
    const cell = TOKEN_FILTER + (bit >> 3);
    store<u8>(cell, load<u8>(cell) | (<u8>1 << <u8>(bit & 7)));
    let slot = h & tokenMask;
    while (load<u32>(TOKEN_TABLE + ((<usize>slot) << 2))) slot = (slot + 1) & tokenMask;
    store<u32>(TOKEN_TABLE + ((<usize>slot) << 2), id + 1);
  }
}

/** Memory for a list of merges: u32 triples of left id, right id, result id, in order of priority. */
export function allocMerges(count: u32): usize {
  return alloc(<u64>count * 12);
}

/** Tables for `count` merges, which `addMerges` fills. */
export function indexMerges(count: u32): void {
  let capacity: u32 = 1024;
  while (capacity < count * 2) capacity <<= 1;
  pairMask = capacity - 1;
  PAIR_TABLE = alloc(<u64>capacity * 8);
  PAIR_FILTER = alloc(1 << (PAIR_FILTER_BITS - 3));
  RESULTS = alloc(<u64>count * 4);
}

/** The merges of ranks first to end of the list. */
export function addMerges(list: usize, first: u32, end: u32): void {
  for (let rank = first; rank < end; rank++) {
    const triple = list + <usize>rank * 12;
    putPair(load<u32>(triple), load<u32>(triple, 4), rank, load<u32>(triple, 8));
  }
}

// @ts-ignore: decorator
@inline
function pairHash(a: u32, b: u32): u64 {
  return (((<u64>a) << 32) | <u64>b) * 0x9e3779b97f4a7c15;
}

// @ts-ignore: decorator
@inline
function pairKey(a: u32, b: u32): u64 {
  return ((<u64>1) << 63) | ((<u64>a) << 42) | ((<u64>b) << 21);
}

/** A pair that is listed twice has its last rank, as in the reference implementation. */
function putPair(a: u32, b: u32, rank: u32, result: u32): void {
  const h = pairHash(a, b);
  const bit = <u32>(h >> (64 - PAIR_FILTER_BITS));
  const cell = PAIR_FILTER + (bit >> 3);
  store<u8>(cell, load<u8>(cell) | (<u8>1 << <u8>(bit & 7)));
  const key = pairKey(a, b);
  let slot = <u32>(h >> 36) & pairMask;
  while (true) {
    const e = load<u64>(PAIR_TABLE + ((<usize>slot) << 3));
    if (e == 0 || e >> 21 == key >> 21) break;
    slot = (slot + 1) & pairMask;
  }
  store<u64>(PAIR_TABLE + ((<usize>slot) << 3), key | <u64>rank);
  store<u32>(RESULTS + ((<usize>rank) << 2), result);
}

/** Rank of merging a and b, or NONE. */
// @ts-ignore: decorator
@inline
export function pairRank(a: u32, b: u32): u32 {
  const h = pairHash(a, b);
  const bit = <u32>(h >> (64 - PAIR_FILTER_BITS));
  if (((<u32>load<u8>(PAIR_FILTER + (bit >> 3)) >> (bit & 7)) & 1) == 0) return NONE;
  const key = pairKey(a, b) >> 21;
  let slot = <u32>(h >> 36) & pairMask;
  while (true) {
    const e = load<u64>(PAIR_TABLE + ((<usize>slot) << 3));
    if (e == 0) return NONE;
    if (e >> 21 == key) return <u32>e & 0x1fffff;
    slot = (slot + 1) & pairMask;
  }
}

/** After all merges. */
export function indexBytePairs(): void {
  BYTE_PAIRS = alloc(65536 * 4);
  for (let i: u32 = 0; i < 65536; i++) store<u32>(BYTE_PAIRS + ((<usize>i) << 2), pairRank(byteId(i & 255), byteId(i >> 8)));
}

/** Rank of merging the two bytes at p. */
// @ts-ignore: decorator
@inline
export function bytePairRank(p: usize): u32 {
  return load<u32>(BYTE_PAIRS + ((<usize>load<u16>(p)) << 2));
}

// @ts-ignore: decorator
@inline
export function byteId(byte: u32): u32 {
  return load<u32>(BYTE_IDS + ((<usize>byte) << 2));
}

// @ts-ignore: decorator
@inline
export function mergeResult(rank: u32): u32 {
  return load<u32>(RESULTS + ((<usize>rank) << 2));
}

// @ts-ignore: decorator
@inline
export function tokenLength(id: u32): u32 {
  const p = TOKEN_ENDS + ((<usize>id) << 2);
  return load<u32>(p, 4) - load<u32>(p);
}

/** Where the token's bytes are. */
// @ts-ignore: decorator
@inline
export function tokenAddress(id: u32): usize {
  return TOKEN_BYTES + load<u32>(TOKEN_ENDS + ((<usize>id) << 2));
}

/** All ids are below. */
export function tokenCount(): u32 {
  return tokens;
}

// @ts-ignore: decorator
@inline
export function wholePiece(id: u32): u32 {
  return load<u8>(WHOLE + id);
}

export function setWholePiece(id: u32, reached: bool): void {
  store<u8>(WHOLE + id, reached ? 1 : 2);
}

/** Up to 7 bytes behind are read, and do not count. */
export function hash(p: usize, n: u32): u32 {
  let h: u64 = n;
  let i: u32 = 0;
  for (; i + 8 <= n; i += 8) {
    h = (h ^ load<u64>(p + i)) * 0x9e3779b97f4a7c15;
    h ^= h >> 29;
  }
  if (i < n) h ^= load<u64>(p + i) & (~(<u64>0) >> <u64>((8 - (n - i)) << 3));
  h *= 0xd6e8feb86659fd93;
  return <u32>(h ^ (h >> 32));
}

export function equal(a: usize, b: usize, n: u32): bool {
  let i: u32 = 0;
  for (; i + 8 <= n; i += 8) if (load<u64>(a + i) != load<u64>(b + i)) return false;
  for (; i < n; i++) if (load<u8>(a + i) != load<u8>(b + i)) return false;
  return true;
}

/** Id of the token with these bytes, or NONE. */
export function find(p: usize, n: u32): u32 {
  const h = hash(p, n);
  const bit = h >> (32 - TOKEN_FILTER_BITS);
  if (((<u32>load<u8>(TOKEN_FILTER + (bit >> 3)) >> (bit & 7)) & 1) == 0) return NONE;
  let slot = h & tokenMask;
  while (true) {
    const e = load<u32>(TOKEN_TABLE + ((<usize>slot) << 2));
    if (e == 0) return NONE;
    const id = e - 1;
    const start = load<u32>(TOKEN_ENDS + ((<usize>id) << 2));
    if (tokenLength(id) == n && equal(TOKEN_BYTES + start, p, n)) return id;
    slot = (slot + 1) & tokenMask;
  }
}
