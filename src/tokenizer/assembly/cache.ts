// Token counts of pieces seen before, keyed by all of a piece's bytes, so a hit is always right. Three levels, all of
// fixed size: a small hot table, a large table of four-way buckets, and a table for pieces of 16 to 400 bytes.
import { alloc } from "./memory";
import { tokenize } from "./model";
import { PIECES } from "./pieces";
import { equal, hash } from "./vocabulary";

/** Longest piece, in bytes, that the 16-byte keys hold beside its length. */
const SHORT_PIECE: u32 = 15;
const LONGEST_CACHED: u32 = 400;

const HOT_BITS: u32 = 15; // 512 KiB; most hits are in a part of it that the first two levels keep
const BUCKET_BITS: u32 = 18; // 16 MiB of 64-byte buckets
const LONG_BITS: u32 = 16; // 1 MiB
const ARENA_BYTES: u32 = 4 << 20;
const QUEUE: u32 = 256;

/** A key is the piece's bytes, zero-filled, with its length in the last byte's low half; the count lies in the high. */
const KEY_BITS: v128 = i8x16(-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 15);

let MASKS: usize = 0; // v128[16]: the first n bytes
let HOT: usize = 0;
let BUCKETS: usize = 0;
let WAITING: usize = 0; // 32 bytes each: key, address of the piece, of its bucket, hash
let LONG: usize = 0; // 16 bytes each: hash, place in the arena, length, count
let ARENA: usize = 0;
let arenaUsed: u32 = 0;

export function initCache(): void {
  MASKS = alloc(16 * 16);
  for (let n: u32 = 0; n < 16; n++) memory.fill(MASKS + n * 16, 0xff, n);
  HOT = alloc(16 << HOT_BITS);
  BUCKETS = alloc(64 << BUCKET_BITS);
  WAITING = alloc((QUEUE + 1) * 32);
  LONG = alloc(16 << LONG_BITS);
  ARENA = alloc(ARENA_BYTES + 64);
}

/**
 * Tokens of the pieces that pieces.ts found last. What is not in the hot table waits until QUEUE pieces are looked at:
 * the loop has no branch to guess at, and their buckets arrive from memory together.
 */
export function countPieces(pieces: u32): u32 {
  let sum: u32 = 0;
  let p: usize = load<u32>(PIECES);
  for (let i: u32 = 1; i <= pieces; ) {
    const last = min(pieces, i + QUEUE - 1);
    let waiting = WAITING;
    for (; i <= last; i++) {
      const next: usize = load<u32>(PIECES + ((<usize>i) << 2));
      const n = <u32>(next - p);
      if (n > SHORT_PIECE) {
        sum += countLong(p, n);
        p = next;
        continue;
      }
      const key = i8x16.replace_lane(v128.and(v128.load(p), v128.load(MASKS + (n << 4))), 15, <i8>n);
      const entry = hotEntry(hashKey(key));
      const differs = v128.any_true(v128.and(v128.xor(v128.load(entry), key), KEY_BITS));
      v128.store(waiting, key);
      store<u32>(waiting, <u32>p, 16);
      sum += select<u32>(0, <u32>load<u8>(entry, 15) >> 4, differs);
      waiting += select<usize>(32, 0, differs);
      p = next;
    }
    sum += countWaiting(waiting);
  }
  return sum;
}

// @ts-ignore: decorator
@inline
function hashKey(key: v128): u64 {
  return (
    <u64>i64x2.extract_lane(key, 0) * 0x9e3779b97f4a7c15 + <u64>i64x2.extract_lane(key, 1) * 0xd6e8feb86659fd93
  );
}

/** By the upper bits, the best mixed ones. */
// @ts-ignore: decorator
@inline
function hotEntry(x: u64): usize {
  return HOT + (<usize>(x >> (64 - HOT_BITS)) << 4);
}

// @ts-ignore: decorator
@inline
function bucket(x: u64): usize {
  return BUCKETS + (<usize>(((x ^ (x >> 32)) * 0xc2b2ae3d27d4eb4f) >> (64 - BUCKET_BITS)) << 6);
}

/** Tokens of all pieces that wait, up to `end`. */
function countWaiting(end: usize): u32 {
  for (let place = WAITING; place < end; place += 32) {
    const x = hashKey(v128.load(place));
    const entries = bucket(x);
    store<u64>(place, x, 24);
    store<u32>(place, <u32>entries | (load<u32>(entries) & 1), 20); // touched, and never wrong
  }
  let sum: u32 = 0;
  for (let place = WAITING; place < end; place += 32) {
    sum += countCold(v128.load(place), load<u64>(place, 24), load<u32>(place, 20) & ~1, load<u32>(place, 16));
  }
  return sum;
}

function countCold(key: v128, x: u64, entries: usize, p: usize): u32 {
  const hot = hotEntry(x);
  for (let entry = entries; entry < entries + 64; entry += 16) {
    const stored = v128.load(entry);
    if (v128.any_true(v128.and(v128.xor(stored, key), KEY_BITS))) continue;
    v128.store(hot, stored);
    return <u32>load<u8>(entry, 15) >> 4;
  }
  const n: u32 = i8x16.extract_lane_u(key, 15);
  const count = tokenize(p, n);
  const counted = i8x16.replace_lane(key, 15, <i8>(n | (count << 4)));
  memory.copy(entries + 16, entries, 48); // the oldest of the bucket goes
  v128.store(entries, counted);
  v128.store(hot, counted);
  return count;
}

/** Tokens of a piece of 16 bytes or more. */
function countLong(p: usize, n: u32): u32 {
  if (n > LONGEST_CACHED) return tokenize(p, n);
  const h = hash(p, n);
  const entry = LONG + ((<usize>(h >> (32 - LONG_BITS))) << 4);
  if (load<u32>(entry) == h && load<u32>(entry, 8) == n && equal(ARENA + load<u32>(entry, 4), p, n)) return load<u32>(entry, 12);
  const count = tokenize(p, n);
  if (arenaUsed + n > ARENA_BYTES) {
    arenaUsed = 0;
    memory.fill(LONG, 0, 16 << LONG_BITS);
  }
  memory.copy(ARENA + arenaUsed, p, n);
  store<u32>(entry, h);
  store<u32>(entry, arenaUsed, 4);
  store<u32>(entry, n, 8);
  store<u32>(entry, count, 12);
  arenaUsed += n;
  return count;
}
