/**
 * Documents between the two halves of the shuffle. A worker that reads sources gathers documents in memory and, when it
 * is full, appends them to its spill file sorted by position: a run. For each run the index says where each shard's part
 * begins. Workers that write shards read them back (merge.ts).
 *
 * A document: seven words (position in the shard, file, row, domain, epoch, tokens, bytes), then its text, or its ids in
 * two or four bytes each, filled up to whole words.
 */
import { closeSync, fdatasyncSync, openSync } from "node:fs";
import { writeFully } from "./runs.ts";

export interface SpilledDocument {
  /** in the set, when it is added; in its shard, when it is read */
  readonly position: number;
  /** index */
  readonly file: number;
  readonly row: number;
  /** index */
  readonly domain: number;
  readonly epoch: number;
  readonly tokens: number;
  /** a view until the next is asked for; starts on a whole word */
  readonly content: Uint8Array;
}

export interface SpillFile {
  readonly path: string;
  readonly indexPath: string;
  /** sorted stretches that it holds */
  readonly runs: number;
}

export const HEADER_WORDS = 7;
/** Written at once. */
const WRITE_BYTES = 1 << 20;

/** Bytes that a document takes in a spill file beside its content, at most. */
export const SPILL_OVERHEAD = HEADER_WORDS * 4 + 3;

/** Of an id while it is spilled, whatever the format makes of it. */
export function spilledIdBytes(vocabularySize: number): 2 | 4 {
  return vocabularySize <= 1 << 16 ? 2 : 4;
}

export class SpillWriter {
  readonly #fd: number;
  readonly #indexFd: number;
  readonly #boundaries: Float64Array;
  #arena: Uint32Array<ArrayBuffer>;
  #used = 0; // words
  /** of each document in the arena */
  #starts: number[] = [];
  #positions: number[] = [];
  runs = 0;
  /** written so far */
  bytes = 0;

  /** @param boundaries positions of the shards' first documents, and the end */
  constructor(file: Omit<SpillFile, "runs">, boundaries: Float64Array, arenaBytes: number) {
    this.#fd = openSync(file.path, "w");
    this.#indexFd = openSync(file.indexPath, "w");
    this.#boundaries = boundaries;
    this.#arena = new Uint32Array(arenaBytes >> 2);
  }

  add({ position, file, row, domain, epoch, tokens, content }: SpilledDocument): void {
    const words = HEADER_WORDS + ((content.length + 3) >> 2);
    if (this.#used + words > this.#arena.length) {
      this.#flush();
      if (words > this.#arena.length) this.#arena = new Uint32Array(words);
    }
    const at = this.#used;
    const arena = this.#arena;
    arena[at] = position - this.#boundaries[shardOf(this.#boundaries, position)]!;
    arena[at + 1] = file;
    arena[at + 2] = row;
    arena[at + 3] = domain;
    arena[at + 4] = epoch;
    arena[at + 5] = tokens;
    arena[at + 6] = content.length;
    if (words > HEADER_WORDS) arena[at + words - 1] = 0; // what fills up the last word is no earlier document's
    new Uint8Array(arena.buffer).set(content, (at + HEADER_WORDS) * 4);
    this.#starts.push(at);
    this.#positions.push(position);
    this.#used = at + words;
  }

  #flush(): void {
    const positions = this.#positions;
    if (positions.length === 0) return;
    const order = Uint32Array.from(positions.keys()).sort((a, b) => positions[a]! - positions[b]!);
    const shards = this.#boundaries.length - 1;
    const index = new Float64Array(shards + 1);
    const piece = new Uint32Array(WRITE_BYTES >> 2);
    let filled = 0; // words of the piece
    let shard = -1;
    const write = (words: Uint32Array) => {
      writeFully(this.#fd, new Uint8Array(words.buffer, words.byteOffset, words.byteLength), this.bytes);
      this.bytes += words.byteLength;
    };
    for (const i of order) {
      const start = this.#starts[i]!;
      const words = this.#arena.subarray(start, start + HEADER_WORDS + ((this.#arena[start + 6]! + 3) >> 2));
      while (positions[i]! >= this.#boundaries[shard + 1]!) index[++shard] = this.bytes + filled * 4;
      if (filled + words.length > piece.length) {
        write(piece.subarray(0, filled));
        filled = 0;
      }
      if (words.length > piece.length) write(words);
      else {
        piece.set(words, filled);
        filled += words.length;
      }
    }
    write(piece.subarray(0, filled));
    index.fill(this.bytes, shard + 1);
    writeFully(this.#indexFd, new Uint8Array(index.buffer), this.runs * index.byteLength);
    this.runs += 1;
    this.#starts = [];
    this.#positions = [];
    this.#used = 0;
  }

  /** Everything is on the disk then. */
  finish(): void {
    this.#flush();
    fdatasyncSync(this.#fd);
    fdatasyncSync(this.#indexFd);
    this.close();
  }

  close(): void {
    closeSync(this.#fd);
    closeSync(this.#indexFd);
  }
}

/** The shard that a position lies in. */
function shardOf(boundaries: Float64Array, position: number): number {
  let low = 0;
  let high = boundaries.length - 1; // exclusive
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (boundaries[middle]! <= position) low = middle;
    else high = middle;
  }
  return low;
}
