// Where pieces start in a window of text: the pattern families of split.ts as arithmetic on the masks of masks.ts. What
// the masks can't tell (some mixtures of cases and marks) is marked as unsure; all else agrees with split.ts.
import {
  WINDOW,
  apostrophes,
  caselesses,
  classify,
  initMasks,
  letters,
  marks,
  newlines,
  numbers,
  slashes,
  spaces,
  uppers,
  whites,
  wides,
} from "./masks";
import { alloc } from "./memory";
import { BARE_WORDS, CL100K, FAMILY, MAX_DIGITS, O200K, R50K, contraction, pieceEnd } from "./split";
import { STARTS, UNSURE, clearStart, initStartBits, next, previous, setStart } from "./start-bits";

/** Bytes behind a start that may decide whether it is one: a contraction, the next character. */
export const AHEAD: u32 = 8;

let CONTRACTIONS: usize = 0; // u32[]: offsets of the apostrophes that may begin one
let LAST: usize = 0; // u32[]: offsets of the last byte of the white space before something else, where not ASCII
let PREFIXES: usize = 0; // u32[]: offsets of symbols that begin a run, where not ASCII
let contractions: u32 = 0;
let prefixes: u32 = 0;
let wideLast: u32 = 0;
/** Not 0: the masks are unsure somewhere in the window. */
export let unsure: u64 = 0;

export function initStarts(): void {
  initMasks();
  initStartBits();
  CONTRACTIONS = alloc(WINDOW * 4);
  LAST = alloc(WINDOW * 4);
  PREFIXES = alloc(WINDOW * 4);
}

/** Sets the bits of the n bytes at p, where a piece starts; the start at 0 may be left out. Up to where they are right. */
export function findStarts(p: usize, n: u32, isEnd: bool, end: usize): u32 {
  classify(p, n, FAMILY == O200K);
  const words = (n + 63) >> 6;
  contractions = 0;
  prefixes = 0;
  wideLast = 0;
  unsure = 0;
  if (FAMILY == R50K) startsR50k(words);
  else startsNewer(p, words, end);
  for (let i: u32 = 0; i < wideLast; i++) {
    // the last white space starts at its first byte
    let at = load<u32>(LAST + (<usize>i << 2));
    while (at && (<u32>load<u8>(p + at) & 0xc0) == 0x80) at--;
    setStart(at);
  }
  for (let i: u32 = 0; i < prefixes; i++) {
    // a symbol that stands alone belongs to the word behind it
    const at = load<u32>(PREFIXES + (<usize>i << 2));
    const behind = at + widthOf(load<u8>(p + at));
    if (behind < n && isLetter(behind)) clearStart(behind);
  }
  if (FAMILY != R50K) limitDigits(p, n, words, end);
  if (contractions && !BARE_WORDS) applyContractions(p, n, end);
  if (isEnd && isWhite(n - 1)) closeText(p, n);
  return isEnd ? n : certain(n);
}

// @ts-ignore: decorator
@inline
function isWhite(at: u32): bool {
  return ((whites(at >> 6) >> <u64>(at & 63)) & 1) != 0;
}
// @ts-ignore: decorator
@inline
function isLetter(at: u32): bool {
  return ((letters(at >> 6) >> <u64>(at & 63)) & 1) != 0;
}
// @ts-ignore: decorator
@inline
function isNumber(at: u32): bool {
  return ((numbers(at >> 6) >> <u64>(at & 63)) & 1) != 0;
}
// @ts-ignore: decorator
@inline
function isNewline(c: u32): bool {
  return c == 10 || c == 13;
}
function pushAll(table: usize, count: u32, k: u32, bits: u64): u32 {
  while (bits) {
    store<u32>(table + (<usize>count << 2), (k << 6) + <u32>ctz(bits));
    count++;
    bits &= bits - 1;
  }
  return count;
}

/** White space that is the last before something else, by its last byte; where that is not ASCII it is put off. */
// @ts-ignore: decorator
@inline
function asciiLast(k: u32, last: u64): u64 {
  const wide = last & wides(k);
  if (wide) wideLast = pushAll(LAST, wideLast, k, wide);
  return last & ~wide;
}

function startsR50k(words: u32): void {
  let beforeL: u64 = 0;
  let beforeN: u64 = 0;
  let beforeW: u64 = 0;
  let beforeP: u64 = 0;
  let beforeS: u64 = 0;
  for (let k: u32 = 0; k < words; k++) {
    const l = letters(k);
    const n = numbers(k);
    const w = whites(k);
    const s = spaces(k);
    const p = ~(l | n | w);
    const afterSpace = previous(s, beforeS);
    const symbols = p & ~previous(p, beforeP) & ~afterSpace;
    const runs = ((l & ~previous(l, beforeL)) | (n & ~previous(n, beforeN))) & ~afterSpace;
    const last = asciiLast(k, w & ~next(w, whites(k + 1)));
    store<u64>(STARTS + (<usize>k << 3), runs | symbols | (w & ~previous(w, beforeW)) | last);
    const quotes = symbols & apostrophes(k);
    if (quotes) contractions = pushAll(CONTRACTIONS, contractions, k, quotes);
    beforeL = l;
    beforeN = n;
    beforeW = w;
    beforeP = p;
    beforeS = s;
  }
}

/** cl100k, Llama 3 and o200k. */
function startsNewer(text: usize, words: u32, end: usize): void {
  const withCases = FAMILY == O200K;
  let beforeL: u64 = 0;
  let beforeN: u64 = 0;
  let beforeW: u64 = 0;
  let beforeP: u64 = 0;
  let beforeS: u64 = 0;
  let beforeNewline: u64 = 0;
  let beforeSymbols: u64 = 0;
  let beforeTail: u64 = 0;
  let beforeRest: u64 = 0;
  let beforeRestNewline: u64 = 0;
  let beforeUpper: u64 = 0;
  let beforeLower: u64 = 0;
  let beforeCaseless: u64 = 0;
  for (let k: u32 = 0; k < words; k++) {
    const l = letters(k);
    const n = numbers(k);
    const w = whites(k);
    const s = spaces(k);
    const newline = newlines(k);
    const p = ~(l | n | w);
    const afterP = previous(p, beforeP);
    /** runs of symbols that no space opens */
    const symbols = p & ~afterP & ~previous(s, beforeS);

    // newlines right behind symbols belong to them
    const tailStart = newline & (afterP | (beforeTail >> 63));
    const tail = newline & ~(newline + tailStart);
    const rest = w & ~tail;
    const restNewline = newline & ~tail;
    const blank = w & ~newline;

    // a word takes the one character before it: white space, or a symbol that stands alone
    const afterPrefix =
      (previous(w, beforeW) & ~previous(newline, beforeNewline)) | previous(symbols, beforeSymbols);
    const wideSymbols = symbols & wides(k);
    if (wideSymbols) prefixes = pushAll(PREFIXES, prefixes, k, wideSymbols);
    const words_ = l & ~previous(l, beforeL) & ~afterPrefix;
    const digits = n & ~previous(n, beforeN);
    const last = asciiLast(k, blank & ~next(w, whites(k + 1)));
    let starts = words_ | digits | symbols | (rest & ~previous(rest, beforeRest)) | last;

    // white space goes through its last newline; what is behind it starts anew
    const indents = blank & previous(restNewline, beforeRestNewline);
    if (indents) {
      const sum = blank + indents;
      if (sum < indents || (sum & ~blank & newline) != 0) starts |= lastIndents(text, k, indents, end);
      else starts |= indents;
    }

    if (withCases) {
      const upper = uppers(k);
      const caseless = caselesses(k);
      const lower = l & ~upper & ~caseless;
      starts |= upper & previous(lower, beforeLower);
      const cased = upper | lower;
      const unsureHere =
        (caseless & (previous(upper, beforeUpper) | previous(lower, beforeLower))) |
        (cased & previous(caseless, beforeCaseless)) |
        (marks(k) & ~previous(l, beforeL)) |
        (slashes(k) & previous(tail, beforeTail));
      store<u64>(UNSURE + (<usize>k << 3), unsureHere);
      unsure |= unsureHere;
      beforeUpper = upper;
      beforeLower = lower;
      beforeCaseless = caseless;
    }
    store<u64>(STARTS + (<usize>k << 3), starts);
    // o200k's contractions end a word; the others' stand alone
    const quotes = symbols & apostrophes(k) & (withCases ? previous(l, beforeL) : ~(<u64>0));
    if (quotes) contractions = pushAll(CONTRACTIONS, contractions, k, quotes);
    beforeL = l;
    beforeN = n;
    beforeW = w;
    beforeP = p;
    beforeS = s;
    beforeNewline = newline;
    beforeSymbols = symbols;
    beforeTail = tail;
    beforeRest = rest;
    beforeRestNewline = restNewline;
  }
  store<u64>(UNSURE + (<usize>words << 3), 0);
}

/** Of white space behind newlines, that which no further newline follows. */
function lastIndents(text: usize, k: u32, indents: u64, end: usize): u64 {
  let kept: u64 = 0;
  while (indents) {
    const i = ctz(indents);
    indents &= indents - 1;
    let q = text + (<usize>k << 6) + <usize>i;
    // ASCII alone is looked at here: other white space is not looked through, and pieceEnd decides
    let c: u32 = 0;
    while (q < end) {
      c = load<u8>(q);
      if (c != 32 && c != 9 && c != 11 && c != 12) break;
      q++;
    }
    if (q < end && c >= 0x80) {
      const start = text + (<usize>k << 6) + <usize>i;
      // from the newline before it: where the piece ends there, this starts anew
      if (pieceEnd(start - 1, end) == start) kept |= (<u64>1) << i;
      continue;
    }
    if (q >= end || !isNewline(c)) kept |= (<u64>1) << i;
  }
  return kept;
}

/** Numbers of more than MAX_DIGITS digits. */
function limitDigits(text: usize, n: u32, words: u32, end: usize): void {
  const most = MAX_DIGITS;
  let beforeN: u64 = 0;
  for (let k: u32 = 0; k < words; k++) {
    const m = numbers(k);
    if (m) {
      let candidates = m & ~previous(m, beforeN);
      if (most == 3) {
        const after = numbers(k + 1);
        candidates &= next(m, after) & ((m >> 2) | (after << 62)) & ((m >> 3) | (after << 61));
      }
      while (candidates) {
        let at = (k << 6) + <u32>ctz(candidates);
        candidates &= candidates - 1;
        while (true) {
          for (let digits: u32 = 0; digits < most && at < n && isNumber(at); digits++) at += widthOf(load<u8>(text + at));
          if (at >= n || !isNumber(at)) break;
          setStart(at);
        }
      }
    }
    beforeN = m;
  }
}

// @ts-ignore: decorator
@inline
function widthOf(lead: u32): u32 {
  return lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}

function applyContractions(text: usize, n: u32, end: usize): void {
  let closed: u32 = 0xffffffff; // where the last contraction ended
  for (let i: u32 = 0; i < contractions; i++) {
    const at = load<u32>(CONTRACTIONS + (<usize>i << 2));
    const length = contraction(text + at, end, FAMILY != R50K);
    if (length == 0) continue;
    if (FAMILY == O200K) {
      if (at == closed) continue; // a word has one
      clearStart(at);
    }
    for (let j: u32 = 1; j < length && at + j < n; j++) clearStart(at + j);
    closed = at + length;
    if (closed < n) setStart(closed);
  }
}

/** The text ends in white space: one piece, or with the newer patterns that behind the last newline. */
function closeText(text: usize, n: u32): void {
  let at = n - 1;
  if (FAMILY == R50K || FAMILY == CL100K) {
    while (at && isWhite(at - 1)) at--;
    if (FAMILY == CL100K && at && !isWordByte(at - 1)) while (at < n && isNewline(load<u8>(text + at))) at++;
  } else {
    while (at && isWhite(at - 1) && !isNewline(load<u8>(text + at)) && !isNewline(load<u8>(text + at - 1))) at--;
    if (isNewline(load<u8>(text + at))) return;
  }
  for (at++; at < n; at++) clearStart(at);
}

/** A letter or a number: not a symbol, if it is not white space. */
// @ts-ignore: decorator
@inline
function isWordByte(at: u32): bool {
  return (((letters(at >> 6) | numbers(at >> 6)) >> <u64>(at & 63)) & 1) != 0;
}

/** Starts up to here can't change with what follows the window. */
function certain(n: u32): u32 {
  let at = n;
  while (at && isWhite(at - 1)) at--;
  return min(at, n - AHEAD);
}
