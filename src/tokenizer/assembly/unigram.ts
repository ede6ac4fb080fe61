// Unigram: of all ways to cut a piece into tokens the one with the largest sum of scores, found from left to right
// (Viterbi). Sums are float64 in the reference implementation's order: other orders decide near ties differently.
import { NONE, SCRATCH, alloc, ensure } from "./memory";
import { setTokens } from "./tokens";
import { ROOT, ends, findFrom, idAt, nodeOf, put, startBuilding, startCounting, step } from "./trie";
import { tokenAddress, tokenCount, tokenLength } from "./vocabulary";

/** In BEST: a character without a token of its own, with its width. */
const UNKNOWN: u32 = 0xfffffff0;

let SCORES: usize = 0; // f64[tokens]
let BYTE_TOKENS: usize = 0; // u32[256]: id of each byte's token, or NONE
let SUMS: usize = 0; // f64[sumMask + 1]: best sum of what ends at each of the last positions
let sumMask: u32 = 0;
let unknown: u32 = 0;
let unknownScore: f64 = 0;
let byteFallback: bool = false;

/** After the tokens' ends: memory for a score of each token, then the ids of the bytes' tokens. */
export function allocScores(): usize {
  SCORES = alloc(<u64>tokenCount() * 8 + 1024);
  BYTE_TOKENS = SCORES + ((<usize>tokenCount()) << 3);
  return SCORES;
}

export function indexUnigram(unknownId: u32, scoreOfUnknown: f64, fallback: bool): void {
  unknown = unknownId;
  unknownScore = scoreOfUnknown;
  byteFallback = fallback;
  let bytes: u32 = 0;
  let longest: u32 = 4; // of a character
  for (let id: u32 = 0; id < tokenCount(); id++) {
    bytes += tokenLength(id);
    longest = max(longest, tokenLength(id));
  }
  startCounting(bytes, 1);
  for (let id: u32 = 0; id < tokenCount(); id++) put(ROOT, tokenAddress(id), tokenLength(id), id);
  startBuilding(1);
  for (let id: u32 = 0; id < tokenCount(); id++) put(ROOT, tokenAddress(id), tokenLength(id), id);
  sumMask = 7;
  while (sumMask < longest) sumMask = 2 * sumMask + 1;
  SUMS = alloc((<u64>sumMask + 1) * 8);
}

// @ts-ignore: decorator
@inline
function sumAt(position: u32): usize {
  return SUMS + ((<usize>(position & sumMask)) << 3);
}

/** Tokens of the piece of n ≥ 1 bytes at p; their ids are at TOKENS until the next call. */
export function bestTokens(p: usize, n: u32): u32 {
  const best = SCRATCH; // u32[n + 1]: what ends at each position on the best way there
  const ids = best + ((<usize>n + 1) << 2); // u32[n], filled from its end
  ensure(<u64>ids + ((<u64>n) << 2));
  memory.fill(best, 0xff, (<usize>n + 1) << 2);
  store<f64>(sumAt(0), 0);
  for (let start: u32 = 0; start < n; ) {
    const sum = load<f64>(sumAt(start));
    const width = widthOf(load<u8>(p + start));
    let alone = false; // whether the character is a token
    let node = ROOT;
    for (let end = start + 1; end <= n; end++) {
      const stepped = step(node, load<u8>(p + end - 1));
      if (stepped == 0) break;
      node = nodeOf(stepped);
      if (!ends(stepped)) continue;
      const id = idAt(node);
      offer(best, end, load<f64>(SCORES + ((<usize>id) << 3)) + sum, id);
      if (end - start == width) alone = true;
    }
    if (!alone) offer(best, start + width, unknownScore + sum, UNKNOWN | width);
    start += width;
  }
  return collect(p, n, best, ids);
}

/** The first of equals stays. */
// @ts-ignore: decorator
@inline
function offer(best: usize, end: u32, sum: f64, what: u32): void {
  const place = best + ((<usize>end) << 2);
  if (load<u32>(place) != NONE && sum <= load<f64>(sumAt(end))) return;
  store<u32>(place, what);
  store<f64>(sumAt(end), sum);
}

// @ts-ignore: decorator
@inline
function widthOf(lead: u32): u32 {
  return lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}

/** Ids of the best way, from its end. */
function collect(p: usize, n: u32, best: usize, ids: usize): u32 {
  const last = ids + ((<usize>n) << 2);
  let to = last;
  let end = n;
  let unknownEnd: u32 = 0; // of unknowns side by side, which are one; 0: none
  while (end) {
    const what = load<u32>(best + ((<usize>end) << 2));
    const isCharacter = what >= UNKNOWN;
    if (isCharacter || what == unknown) {
      if (unknownEnd == 0) unknownEnd = end;
      end -= isCharacter ? what & 15 : tokenLength(what);
      continue;
    }
    if (unknownEnd) to = putUnknown(p + end, unknownEnd - end, to);
    unknownEnd = 0;
    to -= 4;
    store<u32>(to, what);
    end -= tokenLength(what);
  }
  if (unknownEnd) to = putUnknown(p, unknownEnd, to);
  setTokens(to);
  return <u32>((last - to) >> 2);
}

/** Unknown text, before `to`: the token that it happens to be, or its bytes' tokens, or the unknown token. */
function putUnknown(p: usize, n: u32, to: usize): usize {
  const id = findFrom(ROOT, p, n);
  if (id == NONE && byteFallback && haveTokens(p, n)) {
    for (let i: u32 = n; i; i--) {
      to -= 4;
      store<u32>(to, load<u32>(BYTE_TOKENS + ((<usize>load<u8>(p + i - 1)) << 2)));
    }
    return to;
  }
  to -= 4;
  store<u32>(to, id == NONE ? unknown : id);
  return to;
}

function haveTokens(p: usize, n: u32): bool {
  for (let i: u32 = 0; i < n; i++) {
    if (load<u32>(BYTE_TOKENS + ((<usize>load<u8>(p + i)) << 2)) == NONE) return false;
  }
  return true;
}
