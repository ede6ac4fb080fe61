/**
 * Many strings as flat bytes, and a vocabulary of them: which id each has. A JavaScript string and an object's member
 * for each of hundreds of thousands of tokens would cost most of the time that opening a tokenizer takes.
 */

/** String i is bytes[ends[i]..ends[i + 1]], in UTF-8. */
export interface Strings {
  readonly bytes: Uint8Array;
  readonly ends: Uint32Array;
}

export function stringAt({ bytes, ends }: Strings, i: number): Uint8Array {
  return bytes.subarray(ends[i]!, ends[i + 1]!);
}

export function textAt(strings: Strings, i: number): string {
  return Buffer.from(stringAt(strings, i)).toString("utf8");
}

export class TokenTable {
  /** in the file's order */
  readonly strings: Strings;
  /** id of each string */
  readonly ids: Uint32Array;
  /** 1 + the largest id; 0 without tokens */
  readonly idEnd: number;
  /** open addressing: 1 + place of a string, 0 where free */
  readonly #places: Uint32Array;
  readonly #mask: number;

  constructor(strings: Strings, ids: Uint32Array) {
    this.strings = strings;
    this.ids = ids;
    let capacity = 16;
    while (capacity < 2 * ids.length) capacity *= 2;
    this.#mask = capacity - 1;
    this.#places = new Uint32Array(capacity);
    let idEnd = 0;
    const { bytes, ends } = strings;
    for (let i = 0; i < ids.length; i++) {
      const start = ends[i]!;
      const end = ends[i + 1]!;
      const slot = this.#slot(bytes, start, end, bytes, 0, 0);
      this.#places[slot] = i + 1; // a string that comes twice has its last id, as in any JSON object
      if (ids[i]! >= idEnd) idEnd = ids[i]! + 1;
    }
    this.idEnd = idEnd;
  }

  /** Number of tokens, each counted once for every time it is listed. */
  get size(): number {
    return this.ids.length;
  }

  idOf(token: string): number | undefined {
    const bytes = Buffer.from(token, "utf8");
    return this.idOfBytes(bytes, 0, bytes.length);
  }

  idOfBytes(bytes: Uint8Array, start: number, end: number): number | undefined {
    return this.idOfBoth(bytes, start, end, 0, 0);
  }

  /** Id of bytes[start..end] with bytes[from..to] behind it. */
  idOfBoth(bytes: Uint8Array, start: number, end: number, from: number, to: number): number | undefined {
    const place = this.#places[this.#slot(bytes, start, end, bytes, from, to)]!;
    return place === 0 ? undefined : this.ids[place - 1];
  }

  /** Whether a string is listed twice. */
  hasDuplicates(): boolean {
    let used = 0;
    for (const place of this.#places) if (place !== 0) used++;
    return used < this.ids.length;
  }

  /** Where the token is, or the free slot that it would have. */
  #slot(left: Uint8Array, start: number, end: number, right: Uint8Array, from: number, to: number): number {
    let hash = 0x811c9dc5; // FNV-1a
    for (let i = start; i < end; i++) hash = Math.imul(hash ^ left[i]!, 0x01000193);
    for (let i = from; i < to; i++) hash = Math.imul(hash ^ right[i]!, 0x01000193);
    hash ^= hash >>> 15;
    const { bytes, ends } = this.strings;
    const leftLength = end - start;
    const length = leftLength + to - from;
    let slot = hash & this.#mask;
    while (true) {
      const place = this.#places[slot]!;
      if (place === 0) return slot;
      const at = ends[place - 1]!;
      if (ends[place]! - at === length) {
        let i = 0;
        while (i < leftLength && bytes[at + i] === left[start + i]) i++;
        while (i >= leftLength && i < length && bytes[at + i] === right[from + i - leftLength]) i++;
        if (i === length) return slot;
      }
      slot = (slot + 1) & this.#mask;
    }
  }
}
