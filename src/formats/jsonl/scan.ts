/**
 * JSON by its bytes: checks one value by the grammar and says where it ends, without making a string or an object. It
 * accepts a part of what JSON.parse accepts, nothing else, and gives up (−1) on what it would have to think about: half
 * of a surrogate pair, deep nesting, any fault. Whoever asked then lets JSON.parse judge.
 */

const TAB = 0x09;
const NEWLINE = 0x0a;
const RETURN = 0x0d;
const SPACE = 0x20;
const QUOTE = 0x22;
const COMMA = 0x2c;
const MINUS = 0x2d;
const ZERO = 0x30;
const NINE = 0x39;
const COLON = 0x3a;
const BACKSLASH = 0x5c;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

const GIVEN_UP = -1;
const MAX_DEPTH = 64;

/** Value of a byte as a hexadecimal digit; 16 for others. */
const HEX = new Uint8Array(256).fill(16);
for (let digit = 0; digit < 16; digit++) {
  HEX[digit.toString(16).charCodeAt(0)] = digit;
  HEX[digit.toString(16).toUpperCase().charCodeAt(0)] = digit;
}
/** The character of a one-letter escape; 0 for what is none. */
const ESCAPED = new Uint8Array(256);
for (const [letter, character] of ['""', "\\\\", "//", "b\b", "f\f", "n\n", "r\r", "t\t"]) {
  ESCAPED[letter!.charCodeAt(0)] = character!.charCodeAt(0);
}
const LETTER_U = 0x75;

/** What a wanted value is. */
export const KIND = { missing: 0, plainString: 1, escapedString: 2, null: 3, object: 4, other: 5 } as const;

/** Where the values of some keys of an object lie; of a key that comes twice, the last. */
export class WantedMembers {
  readonly keys: readonly Uint8Array[];
  /** of each key; see KIND */
  readonly kind: Uint8Array;
  /** of each key's value: quotes and braces included, end exclusive */
  readonly start: Uint32Array;
  readonly end: Uint32Array;

  constructor(keys: readonly string[]) {
    this.keys = keys.map((key) => new TextEncoder().encode(key));
    this.kind = new Uint8Array(keys.length);
    this.start = new Uint32Array(keys.length);
    this.end = new Uint32Array(keys.length);
  }

  indexOf(bytes: Uint8Array, start: number, end: number): number {
    const length = end - start;
    next: for (let k = 0; k < this.keys.length; k++) {
      const key = this.keys[k]!;
      if (key.length !== length) continue;
      for (let i = 0; i < length; i++) if (key[i] !== bytes[start + i]) continue next;
      return k;
    }
    return -1;
  }
}

export class JsonScanner {
  #bytes: Uint8Array = new Uint8Array(0);
  #view = new DataView(this.#bytes.buffer);
  #end = 0;
  /** Has the string that was scanned last an escape in it? */
  #isEscaped = false;

  /** The bytes that positions are in from now on, valid UTF-8. */
  open(bytes: Uint8Array): void {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#end = bytes.length;
  }

  /**
   * The line that begins at `at` must be one object and white space.
   * @returns the position of its newline, or of the end; −1 where it gives up
   */
  line(at: number, wanted: WantedMembers): number {
    const start = this.#space(at);
    if (this.#bytes[start] !== OPEN_BRACE) return GIVEN_UP;
    const after = this.object(start, wanted);
    if (after < 0) return GIVEN_UP;
    const end = this.#space(after);
    return end === this.#end || this.#bytes[end] === NEWLINE ? end : GIVEN_UP;
  }

  /** The object whose brace is at `at`. @returns the position after it, or −1 */
  object(at: number, wanted: WantedMembers): number {
    wanted.kind.fill(KIND.missing);
    return this.#members(at + 1, 0, wanted);
  }

  #members(from: number, depth: number, wanted: WantedMembers | undefined): number {
    const bytes = this.#bytes;
    let at = this.#space(from);
    if (bytes[at] === CLOSE_BRACE) return at + 1;
    for (;;) {
      if (bytes[at] !== QUOTE) return GIVEN_UP;
      const key = at + 1;
      at = this.#string(key);
      if (at < 0 || (wanted && this.#isEscaped)) return GIVEN_UP;
      const member = wanted ? wanted.indexOf(bytes, key, at - 1) : -1;
      at = this.#space(at);
      if (bytes[at] !== COLON) return GIVEN_UP;
      const start = this.#space(at + 1);
      at = this.#value(start, depth);
      if (at < 0) return GIVEN_UP;
      if (wanted && member >= 0) {
        wanted.kind[member] = this.#kindOf(bytes[start]!);
        wanted.start[member] = start;
        wanted.end[member] = at;
      }
      at = this.#space(at);
      if (bytes[at] === CLOSE_BRACE) return at + 1;
      if (bytes[at] !== COMMA) return GIVEN_UP;
      at = this.#space(at + 1);
    }
  }

  #elements(from: number, depth: number): number {
    const bytes = this.#bytes;
    let at = this.#space(from);
    if (bytes[at] === CLOSE_BRACKET) return at + 1;
    for (;;) {
      at = this.#value(at, depth);
      if (at < 0) return GIVEN_UP;
      at = this.#space(at);
      if (bytes[at] === CLOSE_BRACKET) return at + 1;
      if (bytes[at] !== COMMA) return GIVEN_UP;
      at = this.#space(at + 1);
    }
  }

  #value(at: number, depth: number): number {
    const byte = this.#bytes[at];
    switch (byte) {
      case QUOTE:
        return this.#string(at + 1);
      case OPEN_BRACE:
        return depth < MAX_DEPTH ? this.#members(at + 1, depth + 1, undefined) : GIVEN_UP;
      case OPEN_BRACKET:
        return depth < MAX_DEPTH ? this.#elements(at + 1, depth + 1) : GIVEN_UP;
      case 0x74: // t
        return this.#word(at, "true");
      case 0x66: // f
        return this.#word(at, "false");
      case 0x6e: // n
        return this.#word(at, "null");
      default:
        return this.#number(at);
    }
  }

  /** @param from the position after the opening quote @returns the position after the closing one */
  #string(from: number): number {
    const bytes = this.#bytes;
    const view = this.#view;
    const end = this.#end;
    const lastWord = end - 4;
    this.#isEscaped = false;
    let at = from;
    for (;;) {
      while (at <= lastWord) {
        const word = view.getInt32(at, true);
        const quote = word ^ 0x22222222;
        const backslash = word ^ 0x5c5c5c5c;
        // The high bit of every byte below 0x20, of every quote and of every backslash (and of some bytes after one).
        const stops =
          ((word - 0x20202020) & ~word) | ((quote - 0x01010101) & ~quote) | ((backslash - 0x01010101) & ~backslash);
        if ((stops & 0x80808080) !== 0) break;
        at += 4;
      }
      if (at >= end) return GIVEN_UP;
      const byte = bytes[at]!;
      if (byte === QUOTE) return at + 1;
      if (byte < SPACE) return GIVEN_UP;
      at++;
      if (byte !== BACKSLASH) continue;
      this.#isEscaped = true;
      at = this.#escape(at);
      if (at < 0) return GIVEN_UP;
    }
  }

  /** @param at the position after the backslash @returns the position after the escape, or after both of a pair */
  #escape(at: number): number {
    if (at >= this.#end) return GIVEN_UP;
    const letter = this.#bytes[at]!;
    if (letter !== LETTER_U) return ESCAPED[letter] === 0 ? GIVEN_UP : at + 1;
    if (at + 4 >= this.#end) return GIVEN_UP;
    const unit = codeUnit(this.#bytes, at + 1);
    if (unit > 0xffff) return GIVEN_UP;
    if ((unit & 0xf800) !== 0xd800) return at + 5;
    if (unit >= 0xdc00 || at + 10 >= this.#end) return GIVEN_UP;
    if (this.#bytes[at + 5] !== BACKSLASH || this.#bytes[at + 6] !== LETTER_U) return GIVEN_UP;
    const low = codeUnit(this.#bytes, at + 7);
    return low >= 0xdc00 && low <= 0xdfff ? at + 11 : GIVEN_UP;
  }

  #number(from: number): number {
    const bytes = this.#bytes;
    let at = bytes[from] === MINUS ? from + 1 : from;
    const whole = this.#digits(at);
    if (whole === at || (bytes[at] === ZERO && whole > at + 1)) return GIVEN_UP;
    at = whole;
    if (bytes[at] === 0x2e) {
      const after = this.#digits(at + 1);
      if (after === at + 1) return GIVEN_UP;
      at = after;
    }
    if (bytes[at] === 0x65 || bytes[at] === 0x45) {
      const sign = bytes[at + 1];
      const digits = sign === MINUS || sign === 0x2b ? at + 2 : at + 1;
      const after = this.#digits(digits);
      if (after === digits) return GIVEN_UP;
      at = after;
    }
    return at;
  }

  #digits(from: number): number {
    let at = from;
    while (at < this.#end && this.#bytes[at]! >= ZERO && this.#bytes[at]! <= NINE) at++;
    return at;
  }

  #word(at: number, word: string): number {
    for (let i = 1; i < word.length; i++) if (this.#bytes[at + i] !== word.charCodeAt(i)) return GIVEN_UP;
    return at + word.length;
  }

  /** White space but the newline, which ends the line. */
  #space(from: number): number {
    const bytes = this.#bytes;
    let at = from;
    while (at < this.#end && (bytes[at] === SPACE || bytes[at] === TAB || bytes[at] === RETURN)) at++;
    return at;
  }

  /** @param first byte of a value that was just scanned */
  #kindOf(first: number): number {
    if (first === QUOTE) return this.#isEscaped ? KIND.escapedString : KIND.plainString;
    return first === 0x6e ? KIND.null : first === OPEN_BRACE ? KIND.object : KIND.other;
  }
}

/** The four hexadecimal digits at `at`; more than 0xffff where they are not. */
function codeUnit(bytes: Uint8Array, at: number): number {
  const [a, b, c, d] = [HEX[bytes[at]!]!, HEX[bytes[at + 1]!]!, HEX[bytes[at + 2]!]!, HEX[bytes[at + 3]!]!];
  return a > 15 || b > 15 || c > 15 || d > 15 ? 0x10000 : (a << 12) | (b << 8) | (c << 4) | d;
}

/**
 * The inside of a string that the scanner accepted, bytes start..end, as UTF-8 into `out` from `at` on; it is never
 * longer than it was.
 * @returns the position after it
 */
export function unescapeInto(bytes: Uint8Array, start: number, end: number, out: Uint8Array, at: number): number {
  let to = at;
  for (let from = start; from < end; ) {
    const byte = bytes[from++]!;
    if (byte !== BACKSLASH) {
      out[to++] = byte;
      continue;
    }
    const letter = bytes[from++]!;
    if (letter !== LETTER_U) {
      out[to++] = ESCAPED[letter]!;
      continue;
    }
    const unit = codeUnit(bytes, from);
    from += 4;
    if (unit < 0x80) out[to++] = unit;
    else if (unit < 0x800) {
      out[to++] = 0xc0 | (unit >> 6);
      out[to++] = 0x80 | (unit & 0x3f);
    } else if ((unit & 0xf800) !== 0xd800) {
      out[to++] = 0xe0 | (unit >> 12);
      out[to++] = 0x80 | ((unit >> 6) & 0x3f);
      out[to++] = 0x80 | (unit & 0x3f);
    } else {
      const character = 0x10000 + ((unit & 0x3ff) << 10) + (codeUnit(bytes, from + 2) & 0x3ff);
      from += 6;
      out[to++] = 0xf0 | (character >> 18);
      out[to++] = 0x80 | ((character >> 12) & 0x3f);
      out[to++] = 0x80 | ((character >> 6) & 0x3f);
      out[to++] = 0x80 | (character & 0x3f);
    }
  }
  return to;
}
