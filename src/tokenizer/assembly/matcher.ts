// Regular expressions as programs of the host (regex-program.ts): a backtracking matcher with Oniguruma's semantics for
// what it knows, and the pieces that several of them make one after the other, each within the pieces of the one before.
import { SCRATCH, alloc, ensure } from "./memory";
import { WINDOW } from "./masks";
import { PIECES } from "./pieces";
import { STEPS, pieceEnd as handPieceEnd, setPattern } from "./split";

const MATCH: u32 = 0;
const SET: u32 = 1; // set
const JUMP: u32 = 2; // address
const SPLIT: u32 = 3; // address to try first, address to try then
const LOOP: u32 = 4; // set, least, most, possessive
const LOOK: u32 = 5; // set, 1 behind | 2 negated
const ANCHOR: u32 = 6; // which of the below

const BRANCH: u32 = 7; // set of the next character, without which the first is not tried; addresses as SPLIT

/** Kinds of levels. */
/** A loop of a set and what must follow it: where that fails at a place, it fails in the whole run. */
const LOOP_FIRST: u32 = 1;
const BY_HAND: u32 = 2;

const LINE_START: u32 = 0;
const LINE_END: u32 = 1;
const TEXT_START: u32 = 2;
const TEXT_END: u32 = 3;
const LAST_LINE_END: u32 = 4;

const LF: u32 = 10;

/** Steps of the matcher per byte of a document, a hundred times what usual patterns take, and a second for any. */
const FUEL_PER_BYTE: u64 = 2000;
const FUEL: u64 = 100_000_000;

/** u16[sets][0x1100]: page of each 256 characters. */
let SET_PAGES: usize = 0;
/** u8[pages][32]: a bit for each character. */
let SET_BITS: usize = 0;
/** All programs, one behind the other. */
let PROGRAMS: usize = 0;
/**
 * u32[levels][4]: 0 or LOOP_FIRST, address of the program, set that matches begin with, whether on bytes; or BY_HAND,
 * family, most digits and bare words of split.ts.
 */
let LEVELS: usize = 0;
let levels: u32 = 0;
/** u16[256]: the character of GPT-2's alphabet that stands for each byte. */
let BYTE_CHARACTERS: usize = 0;
/** u32[levels][4]: start and end of the level's piece, start and end of the match found behind it. */
let STATE: usize = 0;

let documentStart: usize = 0;
let documentEnd: usize = 0;
let expected: usize = 0; // where the next piece begins, if it is of the same document
let fuel: u64 = 0;
/** The document takes too many steps; the call has trapped. */
export let gaveUp: bool = false;

export function hasGivenUp(): bool {
  return gaveUp;
}
export function allocSetPages(bytes: u32): usize {
  SET_PAGES = alloc(bytes);
  return SET_PAGES;
}
export function allocSetBits(bytes: u32): usize {
  SET_BITS = alloc(bytes);
  return SET_BITS;
}
export function allocPrograms(words: u32): usize {
  PROGRAMS = alloc(<u64>words * 4);
  return PROGRAMS;
}
export function allocLevels(count: u32): usize {
  levels = count;
  LEVELS = alloc(count * 16);
  STATE = alloc(count * 16);
  return LEVELS;
}
export function allocByteCharacters(): usize {
  BYTE_CHARACTERS = alloc(512);
  return BYTE_CHARACTERS;
}

/** Whether the level at work sees bytes as characters of GPT-2's alphabet. */
let onBytes: bool = false;
let width: u32 = 0;

/** The character at p; sets `width`. */
// @ts-ignore: decorator
@inline
function characterAt(p: usize): u32 {
  const c: u32 = load<u8>(p);
  width = 1;
  if (onBytes) return load<u16>(BYTE_CHARACTERS + ((<usize>c) << 1));
  if (c < 0x80) return c;
  if (c < 0xe0) {
    width = 2;
    return ((c & 31) << 6) | (<u32>load<u8>(p, 1) & 63);
  }
  if (c < 0xf0) {
    width = 3;
    return ((c & 15) << 12) | ((<u32>load<u8>(p, 1) & 63) << 6) | (<u32>load<u8>(p, 2) & 63);
  }
  width = 4;
  return ((c & 7) << 18) | ((<u32>load<u8>(p, 1) & 63) << 12) | ((<u32>load<u8>(p, 2) & 63) << 6) | (<u32>load<u8>(p, 3) & 63);
}

/** Where the character before p begins. */
// @ts-ignore: decorator
@inline
function before(p: usize): usize {
  p--;
  if (!onBytes) while ((<u32>load<u8>(p) & 0xc0) == 0x80) p--;
  return p;
}

// @ts-ignore: decorator
@inline
function has(set: u32, c: u32): bool {
  const page: u32 = load<u16>(SET_PAGES + ((<usize>(set * 0x1100 + (c >> 8))) << 1));
  return ((<u32>load<u8>(SET_BITS + ((<usize>page) << 5) + ((c & 255) >> 3)) >> (c & 7)) & 1) != 0;
}

function holds(anchor: u32, p: usize, start: usize, end: usize): bool {
  if (anchor == TEXT_START) return p == start;
  if (anchor == TEXT_END) return p == end;
  if (anchor == LINE_START) return p == start || (p < end && characterAt(before(p)) == LF);
  if (anchor == LINE_END) return p == end || characterAt(p) == LF;
  return p == end || (p + 1 == end && characterAt(p) == LF);
}

/** What waits to be tried, on a stack in the work area: u32 address, lowest end, end. */
// @ts-ignore: decorator
@inline
function push(top: usize, pc: usize, lowest: usize, p: usize): void {
  ensure(<u64>top + 12);
  store<u32>(top, <u32>pc);
  store<u32>(top, <u32>lowest, 4);
  store<u32>(top, <u32>p, 8);
}

/** End of the match at p, or 0. */
function matchAt(program: usize, p: usize, start: usize, end: usize): usize {
  let top = SCRATCH;
  let pc = program;
  while (true) {
    if (fuel-- == 0) {
      gaveUp = true;
      unreachable();
    }
    const opcode = load<u32>(pc);
    let failed = false;
    if (opcode == LOOP) {
      const set = load<u32>(pc, 4);
      const least = load<u32>(pc, 8);
      const most = load<u32>(pc, 12);
      let taken: u32 = 0;
      let lowest = least == 0 ? p : 0;
      while (taken < most && p < end && has(set, characterAt(p))) {
        p += width;
        taken++;
        if (taken == least) lowest = p;
      }
      fuel -= min(fuel, <u64>taken);
      if (taken < least) {
        failed = true;
      } else {
        if (p > lowest && load<u32>(pc, 16) == 0) {
          push(top, pc + 20, lowest, p);
          top += 12;
        }
        pc += 20;
      }
    } else if (opcode == SET) {
      if (p < end && has(load<u32>(pc, 4), characterAt(p))) {
        p += width;
        pc += 8;
      } else failed = true;
    } else if (opcode == BRANCH) {
      if (p < end && has(load<u32>(pc, 4), characterAt(p))) {
        push(top, program + (<usize>load<u32>(pc, 12) << 2), p, p);
        top += 12;
        pc = program + (<usize>load<u32>(pc, 8) << 2);
      } else {
        pc = program + (<usize>load<u32>(pc, 12) << 2);
      }
    } else if (opcode == SPLIT) {
      push(top, program + (<usize>load<u32>(pc, 8) << 2), p, p);
      top += 12;
      pc = program + (<usize>load<u32>(pc, 4) << 2);
    } else if (opcode == JUMP) {
      pc = program + (<usize>load<u32>(pc, 4) << 2);
    } else if (opcode == LOOK) {
      const flags = load<u32>(pc, 8);
      let found: bool;
      if (flags & 1) found = p > start && has(load<u32>(pc, 4), characterAt(before(p)));
      else found = p < end && has(load<u32>(pc, 4), characterAt(p));
      if (found == ((flags & 2) == 0)) pc += 12;
      else failed = true;
    } else if (opcode == ANCHOR) {
      if (holds(load<u32>(pc, 4), p, start, end)) pc += 8;
      else failed = true;
    } else {
      return p;
    }
    if (!failed) continue;
    if (top == SCRATCH) return 0;
    pc = load<u32>(top - 12);
    p = load<u32>(top - 4);
    const lowest: usize = load<u32>(top - 8);
    if (p == lowest) {
      top -= 12; // a SPLIT's
    } else {
      p = before(p); // a LOOP's gives back one character
      if (p == lowest) top -= 12;
      else store<u32>(top - 4, <u32>p);
    }
  }
}

/** Finds the level's next piece, which begins at p, in the text from start to end. */
function advance(level: u32, p: usize, start: usize, end: usize): usize {
  const state = STATE + (level << 4);
  store<u32>(state, <u32>p);
  if (load<u32>(state, 8) == <u32>p) {
    const matched = load<u32>(state, 12);
    store<u32>(state, matched, 4);
    return matched;
  }
  const described = LEVELS + (level << 4);
  const kind = load<u32>(described);
  if (kind == BY_HAND) {
    setPattern(load<u32>(described, 4), load<u32>(described, 8), load<u32>(described, 12) != 0);
    const behind = handPieceEnd(p, end);
    setPattern(STEPS, 0, false);
    store<u32>(state, <u32>behind, 4);
    return behind;
  }
  const program = PROGRAMS + (<usize>load<u32>(described, 4) << 2);
  const first = load<u32>(described, 8);
  onBytes = load<u32>(described, 12) != 0;
  let pieceEnd = end;
  for (let q = p; q < end; ) {
    const begins = has(first, characterAt(q));
    const behind = q + width;
    if (begins) {
      const matched = matchAt(program, q, start, end);
      if (matched) {
        pieceEnd = matched;
        if (q > p) {
          store<u32>(state, <u32>q, 8);
          store<u32>(state, <u32>matched, 12);
          pieceEnd = q;
        }
        break;
      }
      q = behind;
      // it fails from every place of a run from which it fails at the first
      if (kind == LOOP_FIRST) while (q < end && has(first, characterAt(q))) q += width;
    } else {
      q = behind;
    }
  }
  store<u32>(state, <u32>pieceEnd, 4);
  return pieceEnd;
}

/** Cuts the text from p on, where a piece begins, into one or more pieces; puts them at PIECES and returns how many. */
export function findMatches(p: usize, end: usize): u32 {
  if (levels == 0) {
    store<u32>(PIECES, <u32>p);
    store<u32>(PIECES, <u32>end, 4);
    return 1;
  }
  let fresh = p != expected || end != documentEnd;
  if (fresh) {
    documentEnd = end;
    documentStart = p;
    fuel = FUEL + <u64>(end - p) * FUEL_PER_BYTE;
    memory.fill(STATE, 0, levels << 4);
  }
  let found: u32 = 0;
  while (p < end && found < WINDOW) {
    store<u32>(PIECES + ((<usize>found) << 2), <u32>p);
    found++;
    let level: u32 = 0;
    if (!fresh) while (load<u32>(STATE + (level << 4), 4) != <u32>p) level++;
    fresh = false;
    for (; level < levels; level++) {
      const outer = STATE + ((level - 1) << 4);
      const start = level ? <usize>load<u32>(outer) : documentStart;
      advance(level, p, start, level ? <usize>load<u32>(outer, 4) : end);
    }
    p = load<u32>(STATE + ((levels - 1) << 4), 4);
  }
  store<u32>(PIECES + ((<usize>found) << 2), <u32>p);
  expected = p;
  return found;
}
