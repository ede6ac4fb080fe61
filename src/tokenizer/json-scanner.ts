/** A reader of JSON from bytes, one value after the other, that makes no JavaScript string of what it collects. */
import { decimal } from "./decimal.ts";
import type { Strings } from "./token-table.ts";

/** The bytes are not what they must be; `message` says what was found, and where. */
export class FlatJsonError extends Error {}

export const QUOTE = 0x22;
const BACKSLASH = 0x5c;
export const COMMA = 0x2c;
export const COLON = 0x3a;
export const OPEN_BRACE = 0x7b;
export const CLOSE_BRACE = 0x7d;
export const OPEN_BRACKET = 0x5b;
export const CLOSE_BRACKET = 0x5d;
const SPACE = 0x20;

export function text(file: Uint8Array, start: number, end: number): string {
  return Buffer.from(file.buffer, file.byteOffset + start, end - start).toString("utf8");
}

export interface Collector {
  /** Takes the string at the scanner. */
  read(): void;
  /** Takes the string at the scanner as two, cut at its one space. */
  readPair(): void;
  finish(): Strings;
}

export class Scanner {
  readonly #bytes: Uint8Array;
  /** offset of the next byte to read */
  at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** The next byte that is not white space, which is not taken; −1 at the end. */
  peek(): number {
    const bytes = this.#bytes;
    while (true) {
      const byte = bytes[this.at];
      if (byte === undefined) return -1;
      if (byte !== SPACE && byte !== 10 && byte !== 13 && byte !== 9) return byte;
      this.at++;
    }
  }

  expect(byte: number, what: string): void {
    if (this.peek() !== byte) throw this.#unexpected(what);
    this.at++;
  }

  end(): void {
    if (this.peek() !== -1) throw this.#unexpected("the end of the file");
  }

  #unexpected(what: string): FlatJsonError {
    const found = this.at < this.#bytes.length ? JSON.stringify(text(this.#bytes, this.at, this.at + 1)) : "its end";
    return new FlatJsonError(`at byte ${this.at} there must be ${what} and there is ${found}`);
  }

  eachItem(open: number, close: number, read: () => void): void {
    this.expect(open, `"${String.fromCharCode(open)}"`);
    if (this.peek() === close) {
      this.at++;
      return;
    }
    while (true) {
      read();
      const byte = this.peek();
      if (byte !== COMMA && byte !== close) throw this.#unexpected(`a comma or "${String.fromCharCode(close)}"`);
      this.at++;
      if (byte === close) return;
    }
  }

  /** Calls back with each key of the object here; the callback takes the value. */
  eachMember(member: (key: string) => void): void {
    this.eachItem(OPEN_BRACE, CLOSE_BRACE, () => {
      this.peek();
      const start = this.at;
      this.#skipString();
      const key: string = JSON.parse(text(this.#bytes, start, this.at));
      this.expect(COLON, "a colon");
      this.peek();
      member(key);
    });
  }

  /** Past any value; its inside is for JSON.parse to judge. */
  skipValue(): void {
    const first = this.peek();
    if (first === QUOTE) {
      this.#skipString();
      return;
    }
    const bytes = this.#bytes;
    if (first !== OPEN_BRACE && first !== OPEN_BRACKET) {
      while (this.at < bytes.length) {
        const byte = bytes[this.at]!;
        if (byte === COMMA || byte === CLOSE_BRACE || byte === CLOSE_BRACKET) return;
        this.at++;
      }
      return;
    }
    let depth = 0;
    do {
      const byte = this.peek();
      if (byte === -1) throw this.#unexpected("the rest of a value");
      if (byte === QUOTE) {
        this.#skipString();
        continue;
      }
      if (byte === OPEN_BRACE || byte === OPEN_BRACKET) depth++;
      else if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) depth--;
      this.at++;
    } while (depth > 0);
  }

  #skipString(): void {
    if (this.peek() !== QUOTE) throw this.#unexpected("a string");
    const bytes = this.#bytes;
    for (this.at++; bytes[this.at] !== QUOTE; this.at++) {
      if (bytes[this.at] === BACKSLASH) this.at++;
      if (this.at >= bytes.length) throw this.#unexpected("the end of a string");
    }
    this.at++;
  }

  number(): number {
    this.peek();
    const bytes = this.#bytes;
    const start = this.at;
    let value = 0;
    let byte = bytes[this.at]!;
    for (; byte >= 48 && byte <= 57; byte = bytes[++this.at]!) value = value * 10 + byte - 48;
    const isPlain = this.at > start && this.at - start < 16 && (bytes[start] !== 48 || this.at === start + 1);
    if (isPlain && byte !== 0x2e && byte !== 0x65 && byte !== 0x45) return value;
    this.at = start;
    this.skipValue();
    const written = text(bytes, start, this.at).trim();
    if (!/^-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?$/.test(written)) {
      this.at = start;
      throw this.#unexpected("a number");
    }
    return decimal(written);
  }

  collect(): Collector {
    const bytes = this.#bytes;
    const out = new Uint8Array(bytes.length - this.at);
    const ends: number[] = [0];
    let size = 0;
    const read = (): void => {
      if (this.peek() !== QUOTE) throw this.#unexpected("a string");
      let at = this.at + 1;
      for (let byte = bytes[at]; byte !== QUOTE; byte = bytes[at]) {
        if (byte === undefined || byte < SPACE) {
          this.at = at;
          throw this.#unexpected("the rest of a string");
        }
        const unit = byte === BACKSLASH ? escapedUnit(bytes, at) : -1;
        if (unit >= 0) {
          if (unit < 0x80) {
            out[size++] = unit;
          } else {
            if (unit < 0x800) {
              out[size++] = 0xc0 | (unit >> 6);
            } else {
              out[size++] = 0xe0 | (unit >> 12);
              out[size++] = 0x80 | ((unit >> 6) & 63);
            }
            out[size++] = 0x80 | (unit & 63);
          }
          at += 6;
        } else if (byte === BACKSLASH) {
          const start = at;
          while (bytes[at] === BACKSLASH) at += bytes[at + 1] === 0x75 ? 6 : 2; // escapes together: a pair is two
          size += writeEscapes(text(bytes, start, at), out.subarray(size));
        } else {
          out[size++] = byte;
          at++;
        }
      }
      this.at = at + 1;
    };
    return {
      read() {
        read();
        ends.push(size);
      },
      readPair() {
        const start = size;
        read();
        const space = out.subarray(start, size).indexOf(SPACE);
        if (space < 0 || out.subarray(start + space + 1, size).includes(SPACE)) {
          throw new FlatJsonError(
            `a merge must be two tokens with one space between, and one is ${JSON.stringify(text(out, start, size))}`,
          );
        }
        out.copyWithin(start + space, start + space + 1, size);
        size--;
        ends.push(start + space, size);
      },
      finish: () => ({ bytes: out.slice(0, size), ends: Uint32Array.from(ends) }),
    };
  }
}

/** The UTF-16 unit of the \uXXXX at `at`, which files are full of that escape all but ASCII; −1 for a surrogate, and else. */
function escapedUnit(bytes: Uint8Array, at: number): number {
  if (bytes[at + 1] !== 0x75) return -1;
  let unit = 0;
  for (let i = at + 2; i < at + 6; i++) {
    const byte = bytes[i]!;
    const lower = byte | 32;
    const digit = byte >= 48 && byte <= 57 ? byte - 48 : lower >= 97 && lower <= 102 ? lower - 87 : -1;
    if (digit < 0) return -1;
    unit = (unit << 4) | digit;
  }
  return unit >= 0xd800 && unit < 0xe000 ? -1 : unit;
}

/** Writes what the escapes of a JSON string stand for; returns how many bytes. */
function writeEscapes(escapes: string, out: Uint8Array): number {
  const characters: unknown = JSON.parse(`"${escapes}"`);
  return Buffer.from(out.buffer, out.byteOffset, out.byteLength).write(String(characters), "utf8");
}
