/**
 * An object as a file for random access. What will be read is fetched ahead of the reader in large pieces, several at a
 * time, because a store is far away; what will not be read is not fetched, but for small gaps.
 */
import type { ByteRange, FileStat, RandomAccessFile } from "./storage.ts";

/** Fetches bytes start..end (exclusive), exactly. */
export type FetchRange = (start: number, end: number) => Promise<Uint8Array>;

/** Of one request: long enough that its latency is a small part of it, short enough to be tried again. */
export const PIECE_BYTES = 4 << 20;
/** Pieces fetched at once, and so held ahead of the reader, of a file. */
export const AHEAD_PIECES = 4;
/** Ranges that lie closer together are fetched as one: so much arrives in the time that a request takes to begin. */
const GAP_BYTES = 256 << 10;
/** A reader of a footer begins at the end, without knowing how long it is. */
const TAIL_BYTES = 64 << 10;

interface Piece extends ByteRange {
  bytes?: Promise<Uint8Array>;
  /** its last byte was given out */
  isRead?: boolean;
}

export class ObjectFile implements RandomAccessFile {
  readonly uri: string;
  readonly size: number;
  readonly #fetch: FetchRange;
  #tail: Promise<Uint8Array> | undefined;
  /** what `expect` was told, cut; in the order in which it is likely to be read */
  #pieces: Piece[] = [];

  /** @param uri for messages */
  constructor(uri: string, { size }: Pick<FileStat, "size">, fetch: FetchRange) {
    this.uri = uri;
    this.size = size;
    this.#fetch = fetch;
  }

  async read(start: number, end: number, into?: Uint8Array): Promise<Uint8Array> {
    const stop = Math.min(end, this.size);
    if (stop <= start) return new Uint8Array(0);
    const first = this.#pieces.findIndex((piece) => piece.start <= start && start < piece.end);
    if (first >= 0) {
      const found = await this.#readPieces(first, start, stop, into);
      if (found) return found;
    }
    const tailStart = Math.max(0, this.size - TAIL_BYTES);
    const isTail = stop === this.size || tailStart === 0 || this.#tail !== undefined;
    if (start < tailStart || !isTail) return aligned(await this.#fetch(start, stop));
    this.#tail ??= this.#fetch(tailStart, this.size);
    this.#tail.catch(() => {
      this.#tail = undefined;
    });
    const tail = await this.#tail;
    return copied(tail.subarray(start - tailStart, stop - tailStart), into);
  }

  expect(ranges: readonly ByteRange[]): void {
    this.#pieces = planPieces(ranges);
    this.#fetchAhead(0);
  }

  async *stream(start = 0, end = this.size, likelyEnd = end): AsyncGenerator<Uint8Array> {
    const stop = Math.min(end, this.size);
    const planned = Math.max(start, Math.min(likelyEnd, stop));
    const ahead: Promise<Uint8Array>[] = [];
    let asked = start;
    const ask = () => {
      const to = Math.min(asked + PIECE_BYTES, planned);
      const piece = this.#fetch(asked, to);
      piece.catch(() => {}); // reported when its turn comes
      ahead.push(piece);
      asked = to;
    };
    while (asked < planned || ahead.length > 0) {
      while (asked < planned && ahead.length < AHEAD_PIECES) ask();
      yield await ahead.shift()!;
    }
    for (let at = planned; at < stop; at += GAP_BYTES) yield await this.#fetch(at, Math.min(at + GAP_BYTES, stop));
  }

  /** What is on its way is dropped when it comes. */
  async close(): Promise<void> {
    this.#pieces = [];
    this.#tail = undefined;
  }

  /** @returns undefined where the pieces do not hold all of it */
  async #readPieces(first: number, start: number, stop: number, into?: Uint8Array): Promise<Uint8Array | undefined> {
    let last = first;
    while (this.#pieces[last]!.end < stop) {
      const next = this.#pieces[last + 1];
      if (next?.start !== this.#pieces[last]!.end) return undefined;
      last++;
    }
    this.#fetchAhead(first);
    const wanted = this.#pieces.slice(first, last + 1);
    // Readers go forward: what was read and lies before is not read again.
    for (const piece of this.#pieces) if (piece.isRead && piece.end <= start) delete piece.bytes;
    for (const piece of wanted) piece.isRead ||= piece.end <= stop;
    const parts = await Promise.all(wanted.map((piece) => this.#bytesOf(piece)));
    const target = memoryFor(stop - start, into);
    for (const [i, { start: at }] of wanted.entries()) {
      const part = parts[i]!.subarray(Math.max(0, start - at), stop - at);
      target.set(part, Math.max(0, at - start));
    }
    return target;
  }

  #fetchAhead(from: number): void {
    for (const piece of this.#pieces.slice(from, from + AHEAD_PIECES)) this.#bytesOf(piece).catch(() => {});
  }

  #bytesOf(piece: Piece): Promise<Uint8Array> {
    piece.bytes ??= this.#fetch(piece.start, piece.end);
    return piece.bytes;
  }
}

/** The requests for some ranges: those that lie close together in one, long ones in pieces. Pure. */
export function planPieces(ranges: readonly ByteRange[]): ByteRange[] {
  const sorted = ranges.filter(({ start, end }) => end > start).sort((a, b) => a.start - b.start);
  const joined: { start: number; end: number }[] = [];
  for (const { start, end } of sorted) {
    const last = joined.at(-1);
    if (last && start - last.end <= GAP_BYTES) last.end = Math.max(last.end, end);
    else joined.push({ start, end });
  }
  return joined.flatMap(({ start, end }) => {
    const pieces = Math.ceil((end - start) / PIECE_BYTES);
    return Array.from({ length: pieces }, (_, i) => ({
      start: start + i * PIECE_BYTES,
      end: Math.min(start + (i + 1) * PIECE_BYTES, end),
    }));
  });
}

function memoryFor(length: number, into?: Uint8Array): Uint8Array {
  if (into && into.length >= length) return new Uint8Array(into.buffer, into.byteOffset, length);
  return new Uint8Array(Buffer.allocUnsafeSlow(length).buffer);
}

function copied(bytes: Uint8Array, into?: Uint8Array): Uint8Array {
  const target = memoryFor(bytes.length, into);
  target.set(bytes);
  return target;
}

/** Readers take views at any 8-byte offset. */
function aligned(bytes: Uint8Array): Uint8Array {
  return bytes.byteOffset % 8 === 0 ? new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length) : copied(bytes);
}
