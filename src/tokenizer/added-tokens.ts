/** Finds added tokens in text: at each place the leftmost, of those the longest, as the reference implementation does. */

export interface AddedContent {
  readonly id: number;
  readonly content: string;
}

export class AddedTokenFinder {
  /** longest first, so that of several at one place the first wins */
  readonly #tokens: readonly { readonly id: number; readonly bytes: Buffer }[];

  constructor(tokens: readonly AddedContent[]) {
    this.#tokens = tokens
      .map(({ id, content }) => ({ id, bytes: Buffer.from(content, "utf8") }))
      .sort((a, b) => b.bytes.length - a.bytes.length);
  }

  occursIn(text: Uint8Array): boolean {
    const buffer = asBuffer(text);
    return this.#tokens.some(({ bytes }) => buffer.includes(bytes));
  }

  /** The text between added tokens, never empty, and their ids, in order. */
  split(text: Uint8Array): (Uint8Array | number)[] {
    const buffer = asBuffer(text);
    const next = this.#tokens.map(({ bytes }) => placeFrom(buffer, bytes, 0));
    const parts: (Uint8Array | number)[] = [];
    let at = 0;
    while (true) {
      let first = -1;
      for (let i = 0; i < next.length; i++) {
        if (next[i]! < at) next[i] = placeFrom(buffer, this.#tokens[i]!.bytes, at);
        if (next[i]! < (first < 0 ? Number.POSITIVE_INFINITY : next[first]!)) first = i;
      }
      const place = first < 0 ? text.length : next[first]!;
      if (place > at) parts.push(text.subarray(at, place));
      if (first < 0) return parts;
      parts.push(this.#tokens[first]!.id);
      at = place + this.#tokens[first]!.bytes.length;
    }
  }
}

function placeFrom(text: Buffer, token: Buffer, from: number): number {
  const place = text.indexOf(token, from);
  return place < 0 ? Number.POSITIVE_INFINITY : place;
}

function asBuffer(text: Uint8Array): Buffer {
  return Buffer.from(text.buffer, text.byteOffset, text.byteLength);
}
