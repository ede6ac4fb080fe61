// BPE of characters, as SentencePiece's vocabularies have it: what a piece's first symbols are, and where a text that
// nothing splits can be cut so that its pieces are counted alone. Two characters that no merge's result holds side by
// side are never in one token: a cut between them changes nothing. A space stands for U+2581 here.
import { heapSymbols, mergeHeap } from "./heap";
import { WINDOW } from "./masks";
import { NONE, alloc } from "./memory";
import { mergeSymbols, symbols } from "./merge";
import { PIECES } from "./pieces";
import { tokenAddress, tokenCount, tokenLength } from "./vocabulary";

/** A text is cut before every space. */
const WORDS: u32 = 1;
/** Unknown characters side by side are one unknown token. */
const FUSE: u32 = 2;
/** A character that is not in the vocabulary becomes the tokens of its bytes, if it has all of them. */
const FALLBACK: u32 = 4;
/** Tokens of bytes or the unknown token take part in merges. */
const FALLBACK_MERGES: u32 = 8;

const SPACE: u32 = 32;
const ADJACENT_BITS: u32 = 19;

let flags: u32 = 0;
let unknown: u32 = 0; // id, or NONE
/** May not be cut: between two unknown characters, and between one and a known one. */
let joinsUnknowns: bool = false;
let joinsUnknown: bool = false;

let BYTE_TOKENS: usize = 0; // u32[256]: id of each byte's token, or NONE
let PAGES: usize = 0; // u16[0x1100]: page of each 256 scalar values; page 0 is empty
let IDS_OF: usize = 0; // u32[pages][256]: 1 + id of the character, 0 if it is not in the vocabulary
let ASCII_JOINS: usize = 0; // u128[128]: bit per second character: may not be cut between
let ADJACENT: usize = 0; // bit per hash of two characters: a merge's result may hold them side by side

/** Memory for the ids of the bytes' tokens. */
export function allocByteTokens(): usize {
  BYTE_TOKENS = alloc(1024);
  return BYTE_TOKENS;
}

let scalar: u32 = 0;

/** Bytes of the character at p, in valid UTF-8; sets `scalar`. */
// @ts-ignore: decorator
@inline
function decode(p: usize): u32 {
  const c: u32 = load<u8>(p);
  if (c < 0x80) {
    scalar = c;
    return 1;
  }
  if (c < 0xe0) {
    scalar = ((c & 31) << 6) | (<u32>load<u8>(p, 1) & 63);
    return 2;
  }
  if (c < 0xf0) {
    scalar = ((c & 15) << 12) | ((<u32>load<u8>(p, 1) & 63) << 6) | (<u32>load<u8>(p, 2) & 63);
    return 3;
  }
  scalar =
    ((c & 7) << 18) | ((<u32>load<u8>(p, 1) & 63) << 12) | ((<u32>load<u8>(p, 2) & 63) << 6) | (<u32>load<u8>(p, 3) & 63);
  return 4;
}

/** 1 + id of the character, or 0. */
// @ts-ignore: decorator
@inline
function known(c: u32): u32 {
  return load<u32>(IDS_OF + ((<usize>load<u16>(PAGES + ((<usize>(c >> 8)) << 1))) << 10) + ((<usize>(c & 255)) << 2));
}

// @ts-ignore: decorator
@inline
function pairBit(c: u32, d: u32): u32 {
  // characters come in ranges, and one multiplication keeps their pattern: many pairs would share bits
  let x = ((<u64>c << 32) | <u64>d) * 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 32)) * 0xd6e8feb86659fd93;
  return <u32>(x >> (64 - ADJACENT_BITS));
}

/** After `indexTokens`. @param unknownId what a character becomes that has no token, or NONE: nothing */
export function indexCharacters(unknownId: u32, withFlags: u32): void {
  flags = withFlags;
  unknown = unknownId;
  let allBytes = (flags & FALLBACK) != 0;
  for (let byte: usize = 0; byte < 256; byte++) if (load<u32>(BYTE_TOKENS + (byte << 2)) == NONE) allBytes = false;
  // what is dropped, or becomes bytes only in part, has an effect on what is around it
  joinsUnknown = (flags & FALLBACK_MERGES) != 0 || (!allBytes && (unknown == NONE || (flags & FALLBACK) != 0));
  joinsUnknowns = joinsUnknown || (!allBytes && (flags & FUSE) != 0);

  PAGES = alloc(0x1100 * 2);
  let pages: u32 = 1;
  for (let pass = 0; pass < 2; pass++) {
    if (pass == 1) IDS_OF = alloc((<u64>pages) << 10);
    for (let id: u32 = 0; id < tokenCount(); id++) {
      const n = tokenLength(id);
      if (n == 0 || n > 4 || decode(tokenAddress(id)) != n) continue;
      const page = PAGES + ((<usize>(scalar >> 8)) << 1);
      if (pass == 1) store<u32>(IDS_OF + ((<usize>load<u16>(page)) << 10) + ((<usize>(scalar & 255)) << 2), id + 1);
      else if (load<u16>(page) == 0) {
        store<u16>(page, <u16>pages);
        pages++;
      }
    }
  }
}

/** After the merges, with their list. */
export function indexAdjacent(list: usize, count: u32): void {
  ADJACENT = alloc(1 << (ADJACENT_BITS - 3));
  ASCII_JOINS = alloc(128 * 16);
  for (let i: u32 = 0; i < count; i++) {
    const id = load<u32>(list + (<usize>i) * 12, 8);
    let p = tokenAddress(id);
    const end = p + tokenLength(id);
    p += decode(p);
    while (p < end) {
      const before = scalar;
      p += decode(p);
      const bit = pairBit(before, scalar);
      const cell = ADJACENT + (bit >> 3);
      store<u8>(cell, load<u8>(cell) | (<u8>1 << <u8>(bit & 7)));
    }
  }
  for (let c: u32 = 0; c < 128; c++) {
    for (let d: u32 = 0; d < 128; d++) {
      if (!joined(c, d)) continue;
      const cell = ASCII_JOINS + (c << 4) + (d >> 3);
      store<u8>(cell, load<u8>(cell) | (<u8>1 << <u8>(d & 7)));
    }
  }
}

/** Whether a text may not be cut between the two characters. */
function joined(c: u32, d: u32): bool {
  if (d == SPACE && (flags & WORDS) != 0) return false;
  if (joinsUnknowns) {
    const unknowns = (known(c) == 0 ? 1 : 0) + (known(d) == 0 ? 1 : 0);
    if (unknowns == 2 || (unknowns == 1 && joinsUnknown)) return true;
  }
  const bit = pairBit(c, d);
  return ((<u32>load<u8>(ADJACENT + (bit >> 3)) >> (bit & 7)) & 1) != 0;
}

/** Cuts the text from p on, where a piece begins, into one or more pieces; puts them at PIECES and returns how many. */
export function findCuts(p: usize, end: usize): u32 {
  const limit = min(end, p + <usize>WINDOW);
  store<u32>(PIECES, <u32>p);
  let out = PIECES + 4;
  let q = p + decode(p);
  let c = scalar;
  while (q < end) {
    const byte: u32 = load<u8>(q);
    let joins: u32;
    store<u32>(out, <u32>q);
    if ((c | byte) < 0x80) {
      joins = (<u32>load<u8>(ASCII_JOINS + (c << 4) + (byte >> 3)) >> (byte & 7)) & 1;
      c = byte;
      q++;
    } else {
      q += decode(q);
      joins = joined(c, scalar) ? 1 : 0;
      c = scalar;
    }
    out += (1 - joins) << 2;
    if (q >= limit && out > PIECES + 4) break;
  }
  const starts = <u32>((out - PIECES) >> 2);
  if (q < end) return starts - 1; // the last start is where the next call begins
  store<u32>(out, <u32>end);
  return starts;
}

/** Tokens of the piece of n ≥ 1 bytes at p; their ids are at TOKENS until the next call. */
export function mergeCharacters(p: usize, n: u32): u32 {
  // one token for two texts, a byte's name and the byte, may come up in an order that only the heap has
  const byHeap = (flags & FALLBACK_MERGES) != 0;
  const ids = byHeap ? heapSymbols(n) : symbols(n); // a character has at least as many bytes as symbols
  const end = p + n;
  let to = ids;
  let pending = false; // an unknown token that may grow
  while (p < end) {
    const width = decode(p);
    const id = known(scalar);
    if (id) {
      if (pending) {
        store<u32>(to, unknown);
        to += 4;
        pending = false;
      }
      store<u32>(to, id - 1);
      to += 4;
    } else if (hasByteTokens(p, width)) {
      // as in the reference implementation an unknown token that waits comes behind these
      for (let i: u32 = 0; i < width; i++) {
        store<u32>(to, load<u32>(BYTE_TOKENS + ((<usize>load<u8>(p + i)) << 2)));
        to += 4;
      }
    } else if (unknown != NONE) {
      if (pending && (flags & FUSE) == 0) {
        store<u32>(to, unknown);
        to += 4;
      }
      pending = true;
    }
    p += width;
  }
  if (pending) {
    store<u32>(to, unknown);
    to += 4;
  }
  const count = <u32>((to - ids) >> 2);
  return byHeap ? mergeHeap(count) : mergeSymbols(ids, count);
}

function hasByteTokens(p: usize, width: u32): bool {
  if ((flags & FALLBACK) == 0) return false;
  for (let i: u32 = 0; i < width; i++) {
    if (load<u32>(BYTE_TOKENS + ((<usize>load<u8>(p + i)) << 2)) == NONE) return false;
  }
  return true;
}
