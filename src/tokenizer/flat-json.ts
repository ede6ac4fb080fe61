/**
 * Reads the large members of a tokenizer.json, `model.vocab` and `model.merges`, straight from the file's bytes into
 * flat arrays. All else is left to JSON.parse, which sees null in their places.
 */
import { decimal } from "./decimal.ts";
import type { Strings } from "./token-table.ts";

export interface FlatJson {
  /** the file's JSON with null for model.vocab and model.merges */
  readonly rest: unknown;
  readonly vocab: FlatVocab | undefined;
  /** left and right part of each merge, one after the other; undefined where there are no merges */
  readonly merges: Strings | undefined;
}

export interface FlatVocab {
  readonly strings: Strings;
  /** the number that stands with each string: its id or, in a list of pairs, its score */
  readonly numbers: Float64Array;
  /** "ids": an object of token: id; "scores": a list of [token, score] */
  readonly kind: "ids" | "scores";
}

/** The bytes are not what they must be; `message` says what was found, and where. */
export class FlatJsonError extends Error {}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const SPACE = 0x20;

/** @throws FlatJsonError, or SyntaxError of JSON.parse */
export function readFlatJson(file: Uint8Array): FlatJson {
  const scanner = new Scanner(file);
  let vocab: FlatVocab | undefined;
  let merges: Strings | undefined;
  const holes: [number, number][] = [];
  const hole = <T>(member: string, read: (scanner: Scanner) => T | undefined): T | undefined => {
    const start = scanner.at;
    let value: T | undefined;
    try {
      value = read(scanner);
    } catch (error) {
      throw error instanceof FlatJsonError ? new FlatJsonError(`model.${member}: ${error.message}`) : error;
    }
    if (value === undefined) scanner.skipValue();
    else holes.push([start, scanner.at]);
    return value;
  };
  scanner.eachMember((key) => {
    if (key !== "model" || scanner.peek() !== OPEN_BRACE) return scanner.skipValue();
    scanner.eachMember((member) => {
      if (member === "vocab") vocab = hole(member, readVocab);
      else if (member === "merges") merges = hole(member, readMerges);
      else scanner.skipValue();
    });
  });
  scanner.end();
  const parts: string[] = [];
  let at = 0;
  for (const [start, end] of holes) {
    parts.push(text(file, at, start), "null");
    at = end;
  }
  parts.push(text(file, at, file.length));
  return { rest: JSON.parse(parts.join("")), vocab, merges };
}

function text(file: Uint8Array, start: number, end: number): string {
  return Buffer.from(file.buffer, file.byteOffset + start, end - start).toString("utf8");
}

/** undefined where the value has neither form; nothing is read then. */
function readVocab(scanner: Scanner): FlatVocab | undefined {
  const first = scanner.peek();
  if (first !== OPEN_BRACE && first !== OPEN_BRACKET) return undefined;
  const strings = scanner.collect();
  const numbers: number[] = [];
  if (first === OPEN_BRACE) {
    scanner.eachItem(OPEN_BRACE, CLOSE_BRACE, () => {
      strings.read();
      scanner.expect(COLON, "a colon");
      numbers.push(scanner.number());
    });
  } else {
    scanner.eachItem(OPEN_BRACKET, CLOSE_BRACKET, () => {
      scanner.expect(OPEN_BRACKET, "a pair of a token and its score");
      strings.read();
      scanner.expect(COMMA, "a comma");
      numbers.push(scanner.number());
      scanner.expect(CLOSE_BRACKET, "the end of the pair");
    });
  }
  return {
    strings: strings.finish(),
    numbers: Float64Array.from(numbers),
    kind: first === OPEN_BRACE ? "ids" : "scores",
  };
}

/** Pairs, as ["a", "b"] or as "a b". */
function readMerges(scanner: Scanner): Strings | undefined {
  if (scanner.peek() !== OPEN_BRACKET) return undefined;
  const strings = scanner.collect();
  scanner.eachItem(OPEN_BRACKET, CLOSE_BRACKET, () => {
    if (scanner.peek() === QUOTE) {
      strings.readPair();
      return;
    }
    scanner.expect(OPEN_BRACKET, 'a merge, as ["a", "b"] or as "a b"');
    strings.read();
    scanner.expect(COMMA, "a comma");
    strings.read();
    scanner.expect(CLOSE_BRACKET, "the end of the merge");
  });
  return strings.finish();
}

interface Collector {
  /** Takes the string at the scanner. */
  read(): void;
  /** Takes the string at the scanner as two, cut at its one space. */
  readPair(): void;
  finish(): Strings;
}

class Scanner {
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
