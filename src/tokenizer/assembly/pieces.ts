// Cuts text into pieces: by what starts.ts finds in a whole window where the pattern is one of the common families (a
// pattern has no memory, so a window may begin wherever a piece does), and where that is unsure, or for other ways of
// cutting, piece by piece.
import { findCuts } from "./characters";
import { WINDOW } from "./masks";
import { findMatches } from "./matcher";
import { alloc } from "./memory";
import { CUTS, FAMILY, O200K, SPACES, STEPS, WORDS as BY_KIND, pieceEnd } from "./split";
import { STARTS, bit, isUnsure, nextStart, word } from "./start-bits";
import { AHEAD, findStarts, initStarts, unsure } from "./starts";
import { nextSpace, wordEnd } from "./words";

/** u32[]: addresses of the pieces found last, and of the end of the last one. */
export let PIECES: usize = 0;

export function initPieces(): void {
  initStarts();
  PIECES = alloc((WINDOW + 8) * 4);
}

/**
 * Finds one or more pieces from p on, the start of a piece, and puts them at PIECES.
 * @returns how many
 */
export function findPieces(p: usize, end: usize): u32 {
  if (FAMILY == CUTS) return findCuts(p, end);
  if (FAMILY == STEPS) return findMatches(p, end);
  if (FAMILY > O200K) return collectByRule(p, end);
  const left = end - p;
  const isEnd = left <= <usize>WINDOW;
  const n: u32 = isEnd ? <u32>left : WINDOW;
  const limit = findStarts(p, n, isEnd, end);
  return unsure ? collectChecked(p, limit, end) : collect(p, limit, isEnd, end);
}

/** Addresses of all starts up to `limit` to PIECES. */
function collect(text: usize, limit: u32, isEnd: bool, end: usize): u32 {
  const words = (limit + 63) >> 6;
  let out = PIECES;
  for (let k: u32 = 0; k < words; k++) {
    let bits = word(STARTS, k);
    if (k == 0) bits |= 1;
    const base = <u32>text + (k << 6);
    const count = <usize>popcnt(bits);
    // four at a time: how many there are is harder to guess than a store is dear
    let to = out;
    while (bits) {
      store<u32>(to, base + <u32>ctz(bits));
      bits &= bits - 1;
      store<u32>(to, base + <u32>ctz(bits), 4);
      bits &= bits - 1;
      store<u32>(to, base + <u32>ctz(bits), 8);
      bits &= bits - 1;
      store<u32>(to, base + <u32>ctz(bits), 12);
      bits &= bits - 1;
      to += 16;
    }
    out += count << 2;
  }
  let found = <u32>((out - PIECES) >> 2);
  // the last word's bits behind the limit mean nothing
  while (load<u32>(PIECES + ((<usize>found - 1) << 2)) > <u32>text + limit) found--;
  if (isEnd) {
    if (load<u32>(PIECES + ((<usize>found - 1) << 2)) == <u32>end) found--;
    store<u32>(PIECES + ((<usize>found) << 2), <u32>end);
    return found;
  }
  // the last start up to the limit is where the next window begins
  return found > 1 ? found - 1 : one(text, end);
}

/** Families without masks. */
// @ts-ignore: decorator
@inline
function ruleEnd(p: usize, end: usize): usize {
  if (FAMILY == BY_KIND) return wordEnd(p, end);
  return FAMILY == SPACES ? nextSpace(p, end) : end;
}

function collectByRule(text: usize, end: usize): u32 {
  let p = text;
  let found: u32 = 0;
  while (p < end && found < WINDOW) {
    store<u32>(PIECES + ((<usize>found) << 2), <u32>p);
    found++;
    p = ruleEnd(p, end);
  }
  store<u32>(PIECES + ((<usize>found) << 2), <u32>p);
  return found;
}

/** A piece that is longer than the window. */
function one(text: usize, end: usize): u32 {
  store<u32>(PIECES, <u32>text);
  store<u32>(PIECES, <u32>pieceEnd(text, end), 4);
  return 1;
}

/** As `collect`, with split.ts where the masks are unsure. */
function collectChecked(text: usize, limit: u32, end: usize): u32 {
  let out = PIECES;
  let at: u32 = 0;
  let known = true; // whether a start of the masks is here
  while (at < limit) {
    const following = known ? nextStart(at, limit) : 0;
    store<u32>(out, <u32>text + at);
    out += 4;
    if (following && !isUnsure(at, following + AHEAD)) at = following;
    else at = <u32>(pieceEnd(text + at, end) - text);
    known = at < limit && bit(STARTS, at);
  }
  store<u32>(out, <u32>text + at);
  return <u32>((out - PIECES) >> 2);
}
