// JSON Lines by their bytes, sixteen at a time: checks a line by JSON's grammar, says where the values of some of its keys
// lie, and takes the escapes out of a string. It accepts a part of what JSON.parse accepts and nothing else; it gives up
// (0) on what it would have to think about: half of a surrogate pair, an escaped key, deep nesting, any fault. The host
// then lets JSON.parse judge. The host writes the keys once, and for every block reserves room and writes the block,
// which is valid UTF-8.

const QUOTE: u8 = 0x22;
const COMMA: u8 = 0x2c;
const COLON: u8 = 0x3a;
const BACKSLASH: u8 = 0x5c;
const OPEN_BRACKET: u8 = 0x5b;
const CLOSE_BRACKET: u8 = 0x5d;
const OPEN_BRACE: u8 = 0x7b;
const CLOSE_BRACE: u8 = 0x7d;
const LETTER_U: u8 = 0x75;

const GIVEN_UP: usize = 0;
const MAX_DEPTH: u32 = 64;
/** Bytes behind the block and the output that vectors touch and nobody believes. */
const PADDING: usize = 32;

// What a wanted value is, as find.ts has it.
const MISSING: u32 = 0;
const PLAIN_STRING: u32 = 1;
const ESCAPED_STRING: u32 = 2;
const NULL: u32 = 3;
const OBJECT: u32 = 4;
const OTHER: u32 = 5;

// A wanted member is five u32: address and length of its key; kind, start and end of its value.
const MEMBER: usize = 20;

let top: usize = 0;
let BLOCK: usize = 0;
let END: usize = 0;
let OUTPUT: usize = 0;

/** Whether the string that was scanned last has an escape in it. */
let isEscaped: bool = false;

function ensure(end: usize): void {
  const pages = <i32>((end + 0xffff) >> 16) - memory.size();
  if (pages > 0 && memory.grow(pages) < 0) unreachable();
}

/** Room for keys and members, as long as the instance lives. Only before the first `reserve`. */
export function allocate(bytes: u32): usize {
  if (top == 0) top = (__heap_base + 15) & ~15;
  const start = top;
  top = (top + bytes + 15) & ~15;
  ensure(top);
  return start;
}

/** Room for a block and for the longest string that it can hold. @returns where the block goes */
export function reserve(bytes: u32): usize {
  BLOCK = allocate(0);
  END = BLOCK + bytes;
  OUTPUT = (END + PADDING + 15) & ~15;
  ensure(OUTPUT + bytes + PADDING);
  return BLOCK;
}

/** Where `unescape` writes. */
export function output(): usize {
  return OUTPUT;
}

/** The line that begins at `at`: one object, and white space. @returns the place of its newline or the block's end, or 0 */
export function line(at: usize, members: usize, count: u32): usize {
  at = space(at);
  if (at >= END || load<u8>(at) != OPEN_BRACE) return GIVEN_UP;
  at = object(at, members, count);
  if (at == GIVEN_UP) return GIVEN_UP;
  at = space(at);
  return at == END || load<u8>(at) == 0x0a ? at : GIVEN_UP;
}

/** The object whose brace is at `at`; of a key that comes twice, the last counts. @returns the place after it, or 0 */
export function object(at: usize, members: usize, count: u32): usize {
  for (let k: u32 = 0; k < count; k++) store<u32>(members + k * MEMBER, MISSING, 8);
  return inObject(at + 1, 0, members, count);
}

function inObject(at: usize, depth: u32, members: usize, count: u32): usize {
  at = space(at);
  if (byteAt(at) == CLOSE_BRACE) return at + 1;
  while (true) {
    if (byteAt(at) != QUOTE) return GIVEN_UP;
    const key = at + 1;
    at = string(key);
    if (at == GIVEN_UP || (count > 0 && isEscaped)) return GIVEN_UP;
    const member = memberOf(key, at - 1 - key, members, count);
    at = space(at);
    if (byteAt(at) != COLON) return GIVEN_UP;
    const start = space(at + 1);
    at = value(start, depth);
    if (at == GIVEN_UP) return GIVEN_UP;
    if (member != 0) {
      store<u32>(member, kindOf(load<u8>(start)), 8);
      store<u32>(member, <u32>start, 12);
      store<u32>(member, <u32>at, 16);
    }
    at = space(at);
    const next = byteAt(at);
    if (next == CLOSE_BRACE) return at + 1;
    if (next != COMMA) return GIVEN_UP;
    at = space(at + 1);
  }
}

function inArray(at: usize, depth: u32): usize {
  at = space(at);
  if (byteAt(at) == CLOSE_BRACKET) return at + 1;
  while (true) {
    at = value(at, depth);
    if (at == GIVEN_UP) return GIVEN_UP;
    at = space(at);
    const next = byteAt(at);
    if (next == CLOSE_BRACKET) return at + 1;
    if (next != COMMA) return GIVEN_UP;
    at = space(at + 1);
  }
}

function memberOf(key: usize, length: usize, members: usize, count: u32): usize {
  for (let k: u32 = 0; k < count; k++) {
    const member = members + k * MEMBER;
    if (load<u32>(member, 4) == length && memory.compare(load<u32>(member), key, length) == 0) return member;
  }
  return 0;
}

function kindOf(first: u8): u32 {
  if (first == QUOTE) return isEscaped ? ESCAPED_STRING : PLAIN_STRING;
  return first == 0x6e ? NULL : first == OPEN_BRACE ? OBJECT : OTHER;
}

function value(at: usize, depth: u32): usize {
  switch (byteAt(at)) {
    case QUOTE:
      return string(at + 1);
    case OPEN_BRACE:
      return depth < MAX_DEPTH ? inObject(at + 1, depth + 1, 0, 0) : GIVEN_UP;
    case OPEN_BRACKET:
      return depth < MAX_DEPTH ? inArray(at + 1, depth + 1) : GIVEN_UP;
    case 0x74: // true
      return at + 4 <= END && load<u32>(at) == 0x65757274 ? at + 4 : GIVEN_UP;
    case 0x66: // false
      return at + 5 <= END && load<u32>(at + 1) == 0x65736c61 ? at + 5 : GIVEN_UP;
    case 0x6e: // null
      return at + 4 <= END && load<u32>(at) == 0x6c6c756e ? at + 4 : GIVEN_UP;
    default:
      return number(at);
  }
}

/** @param at the place after the opening quote @returns the place after the closing one */
function string(at: usize): usize {
  isEscaped = false;
  while (at < END) {
    const bytes = v128.load(at);
    const marks = v128.or(i8x16.eq(bytes, i8x16.splat(QUOTE)), i8x16.eq(bytes, i8x16.splat(BACKSLASH)));
    const stops = i8x16.bitmask(v128.or(marks, i8x16.lt_u(bytes, i8x16.splat(0x20))));
    if (stops == 0) {
      at += 16;
      continue;
    }
    at += ctz(stops);
    const stop = byteAt(at);
    if (stop == QUOTE) return at + 1;
    if (stop != BACKSLASH) return GIVEN_UP;
    isEscaped = true;
    at = escape(at + 1);
    if (at == GIVEN_UP) return GIVEN_UP;
  }
  return GIVEN_UP;
}

/** @param at the place after the backslash @returns the place after the escape, or after both of a pair */
function escape(at: usize): usize {
  const letter = byteAt(at);
  if (letter != LETTER_U) return plainEscape(letter) == 0 ? GIVEN_UP : at + 1;
  const unit = codeUnit(at + 1);
  if (unit > 0xffff || at + 5 > END) return GIVEN_UP;
  if ((unit & 0xf800) != 0xd800) return at + 5;
  if (unit >= 0xdc00 || byteAt(at + 5) != BACKSLASH || byteAt(at + 6) != LETTER_U) return GIVEN_UP;
  const low = codeUnit(at + 7);
  return low >= 0xdc00 && low <= 0xdfff && at + 11 <= END ? at + 11 : GIVEN_UP;
}

/** The character of an escape of one letter; 0 where there is none. */
function plainEscape(letter: u8): u8 {
  switch (letter) {
    case QUOTE:
    case BACKSLASH:
    case 0x2f:
      return letter;
    case 0x62:
      return 0x08;
    case 0x66:
      return 0x0c;
    case 0x6e:
      return 0x0a;
    case 0x72:
      return 0x0d;
    case 0x74:
      return 0x09;
    default:
      return 0;
  }
}

/** The four hexadecimal digits at `at`; more than 0xffff where they are none. */
function codeUnit(at: usize): u32 {
  return (digit(at) << 12) | (digit(at + 1) << 8) | (digit(at + 2) << 4) | digit(at + 3);
}

function digit(at: usize): u32 {
  const byte = <u32>load<u8>(at);
  const decimal = byte - 0x30;
  if (decimal < 10) return decimal;
  const letter = (byte | 0x20) - 0x61;
  return letter < 6 ? letter + 10 : 0x10000;
}

function number(at: usize): usize {
  if (byteAt(at) == 0x2d) at++;
  const whole = digits(at);
  if (whole == at || (load<u8>(at) == 0x30 && whole > at + 1)) return GIVEN_UP;
  at = whole;
  if (byteAt(at) == 0x2e) {
    const after = digits(at + 1);
    if (after == at + 1) return GIVEN_UP;
    at = after;
  }
  if ((byteAt(at) | 0x20) == 0x65) {
    const sign = byteAt(at + 1);
    at += sign == 0x2d || sign == 0x2b ? 2 : 1;
    const after = digits(at);
    if (after == at) return GIVEN_UP;
    at = after;
  }
  return at;
}

function digits(at: usize): usize {
  while (<u8>(byteAt(at) - 0x30) < 10) at++;
  return at;
}

/** White space but the newline, which ends the line. */
function space(at: usize): usize {
  while (at < END) {
    const byte = load<u8>(at);
    if (byte != 0x20 && byte != 0x09 && byte != 0x0d) break;
    at++;
  }
  return at;
}

/** 0, which no JSON has outside of faults, at and after the block's end. */
function byteAt(at: usize): u8 {
  return at < END ? load<u8>(at) : 0;
}

/**
 * The inside of a string that `line` accepted, start..end, as UTF-8 to `output`.
 * @returns its bytes, never more than it had
 */
export function unescape(start: usize, end: usize): u32 {
  let from = start;
  let to = OUTPUT;
  while (from < end) {
    const bytes = v128.load(from);
    v128.store(to, bytes);
    const marks = i8x16.bitmask(i8x16.eq(bytes, i8x16.splat(BACKSLASH)));
    const plain: usize = marks == 0 ? 16 : ctz(marks);
    from += plain;
    to += plain;
    if (marks == 0 || from >= end) continue;
    const letter = load<u8>(from + 1);
    if (letter != LETTER_U) {
      store<u8>(to++, plainEscape(letter));
      from += 2;
      continue;
    }
    const unit = codeUnit(from + 2);
    from += 6;
    if (unit < 0x80) store<u8>(to++, <u8>unit);
    else if (unit < 0x800) {
      store<u8>(to, <u8>(0xc0 | (unit >> 6)));
      store<u8>(to + 1, continuation(unit));
      to += 2;
    } else if ((unit & 0xf800) != 0xd800) {
      store<u8>(to, <u8>(0xe0 | (unit >> 12)));
      store<u8>(to + 1, continuation(unit >> 6));
      store<u8>(to + 2, continuation(unit));
      to += 3;
    } else {
      const character = 0x10000 + ((unit & 0x3ff) << 10) + (codeUnit(from + 2) & 0x3ff);
      from += 6;
      store<u8>(to, <u8>(0xf0 | (character >> 18)));
      store<u8>(to + 1, continuation(character >> 12));
      store<u8>(to + 2, continuation(character >> 6));
      store<u8>(to + 3, continuation(character));
      to += 4;
    }
  }
  // the last vector may have gone beyond the end
  return <u32>(to - OUTPUT - (from - end));
}

function continuation(bits: u32): u8 {
  return <u8>(0x80 | (bits & 0x3f));
}
