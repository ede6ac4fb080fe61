/**
 * Cuts added tokens out of text as the reference implementation does: of all tokens the leftmost, of those at one place
 * the longest; then the flags of that one decide, and no other gets its place.
 */
import type { AddedTokenPlan } from "./plan.ts";
import { isWordAfter, isWordBefore, whiteSpaceEnd, whiteSpaceStart } from "./word-characters.ts";

/** What is between added tokens: text, or the id of one. `start` is the text's offset in what was split. */
export type TextOrId = { readonly text: Uint8Array; readonly start: number } | number;

interface Sought extends AddedTokenPlan {
  readonly bytes: Buffer;
}

/** Tokens with the same first byte. */
interface Bucket {
  /** what all of them begin with */
  readonly beginning: Uint8Array;
  /** longest first, so that of several at one place the first wins */
  readonly tokens: readonly Sought[];
}

/** With more different beginnings than this, looking at every byte once is faster than searching for each. */
const FEW = 4;

export class AddedTokenFinder {
  readonly #byFirstByte: (Bucket | undefined)[] = new Array(256);
  /** the tokens' first two bytes (or one), where they are few */
  readonly #beginnings: readonly Buffer[] | undefined;
  readonly #spaceIsMark: boolean;

  /**
   * @param contents what is looked for, for each of the tokens
   * @param spaceIsMark a space in the text stands for U+2581, which is no white space
   */
  constructor(tokens: readonly AddedTokenPlan[], contents: readonly Uint8Array[], spaceIsMark: boolean) {
    const sought = tokens.map((token, i) => ({ ...token, bytes: asBuffer(contents[i]!) }));
    sought.sort((a, b) => b.bytes.length - a.bytes.length);
    for (const token of sought) {
      const bucket = this.#byFirstByte[token.bytes[0]!];
      this.#byFirstByte[token.bytes[0]!] = {
        beginning: bucket === undefined ? token.bytes : commonBeginning(bucket.beginning, token.bytes),
        tokens: [...(bucket?.tokens ?? []), token],
      };
    }
    const beginnings = new Set(sought.map(({ bytes }) => bytes.toString("latin1", 0, 2)));
    if (beginnings.size <= FEW) this.#beginnings = [...beginnings].map((text) => Buffer.from(text, "latin1"));
    this.#spaceIsMark = spaceIsMark;
  }

  /** Whether a token may be cut out of the text. */
  occursIn(text: Uint8Array): boolean {
    const buffer = asBuffer(text);
    if (this.#beginnings?.some((beginning) => buffer.includes(beginning)) === false) return false;
    for (let at = 0; at < text.length; at++) {
      if (this.#longestAt(text, at)?.asText === false) return true;
    }
    return false;
  }

  #longestAt(text: Uint8Array, at: number): Sought | undefined {
    const bucket = this.#byFirstByte[text[at]!];
    if (bucket === undefined || !isAt(text, at, bucket.beginning)) return undefined;
    return bucket.tokens.find(({ bytes }) => isAt(text, at, bytes));
  }

  /** The text between added tokens, never empty, and their ids, in order. */
  split(text: Uint8Array): TextOrId[] {
    const parts: TextOrId[] = [];
    let from = 0; // where the next text begins
    for (let at = 0; at < text.length; ) {
      const token = this.#longestAt(text, at);
      if (token === undefined) {
        at++;
        continue;
      }
      let start = at;
      at += token.bytes.length;
      let end = at;
      if (token.asText) continue;
      if (token.singleWord && (isWordBefore(text, start) || isWordAfter(text, end))) continue;
      if (token.lstrip) start = Math.max(whiteSpaceStart(text, start, this.#spaceIsMark), from);
      if (token.rstrip) end = whiteSpaceEnd(text, end, this.#spaceIsMark);
      if (from < start) parts.push({ text: text.subarray(from, start), start: from });
      // the white space that the one before took may hold this one, which is dropped if nothing is left of it
      if (start < end) parts.push(token.id);
      from = end;
    }
    if (from !== text.length) parts.push({ text: text.subarray(from), start: from });
    return parts;
  }
}

function isAt(text: Uint8Array, at: number, bytes: Uint8Array): boolean {
  for (let i = 0; i < bytes.length; i++) if (text[at + i] !== bytes[i]) return false;
  return true;
}

function commonBeginning(a: Uint8Array, b: Uint8Array): Uint8Array {
  let length = 0;
  while (length < a.length && a[length] === b[length]) length++;
  return a.subarray(0, length);
}

function asBuffer(text: Uint8Array): Buffer {
  return Buffer.from(text.buffer, text.byteOffset, text.byteLength);
}
