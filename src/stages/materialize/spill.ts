/**
 * Documents between the two halves of the shuffle. A worker that reads sources gathers documents in memory and, when it
 * is full, appends them to its spill file sorted by position: a run. For each run the index says where each shard's part
 * begins. A worker that writes a shard merges that shard's parts of all runs, so a shard is never in memory whole.
 *
 * A document: seven words (position in the shard, file, row, domain, epoch, tokens, bytes), then its text, or its ids in
 * two or four bytes each, filled up to whole words.
 */
import { closeSync, fdatasyncSync, openSync } from "node:fs";
import { readFully, writeFully } from "./runs.ts";

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

const HEADER_WORDS = 7;
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

/** A shard's part of one run, read piece by piece. The file is open only while a piece is read: parts are many. */
class Part {
  readonly #path: string;
  #offset: number; // of what was not read yet
  readonly #end: number;
  readonly #pieceBytes: number;
  #words = new Uint32Array(0);
  #at = 0; // of the document that is next
  #filled = 0;

  constructor(path: string, offset: number, end: number, pieceBytes: number) {
    this.#path = path;
    this.#offset = offset;
    this.#end = end;
    this.#pieceBytes = pieceBytes;
  }

  /** Position of the document that is next; undefined at the end. */
  peek(): number | undefined {
    if (!this.#holds(HEADER_WORDS) || !this.#holds(this.#documentWords())) return undefined;
    return this.#words[this.#at]!;
  }

  /** The document that was peeked at. */
  take(): SpilledDocument {
    const at = this.#at;
    const words = this.#words;
    this.#at += this.#documentWords();
    return {
      position: words[at]!,
      file: words[at + 1]!,
      row: words[at + 2]!,
      domain: words[at + 3]!,
      epoch: words[at + 4]!,
      tokens: words[at + 5]!,
      content: new Uint8Array(words.buffer, (at + HEADER_WORDS) * 4, words[at + 6]!),
    };
  }

  #documentWords(): number {
    return HEADER_WORDS + ((this.#words[this.#at + 6]! + 3) >> 2);
  }

  #holds(words: number): boolean {
    if (this.#filled - this.#at >= words) return true;
    const kept = this.#filled - this.#at;
    const more = Math.min(this.#end - this.#offset, Math.max(this.#pieceBytes, (words - kept) * 4));
    if (kept * 4 + more < words * 4) return false;
    const needed = kept + more / 4;
    const next = needed > this.#words.length ? new Uint32Array(needed) : this.#words;
    next.set(this.#words.subarray(this.#at, this.#filled));
    const fd = openSync(this.#path, "r");
    try {
      readFully(fd, new Uint8Array(next.buffer, kept * 4, more), this.#offset, this.#path);
    } finally {
      closeSync(fd);
    }
    this.#offset += more;
    this.#words = next;
    this.#at = 0;
    this.#filled = needed;
    return true;
  }
}

/**
 * A shard's documents in order, merged from its parts of all runs.
 * @param memoryBytes for the pieces that are read of the parts
 */
export function* shardDocuments(
  spills: readonly SpillFile[],
  shard: number,
  shards: number,
  memoryBytes: number,
): Generator<SpilledDocument, void> {
  const heap = new PartHeap();
  const pieceBytes = pieceSize(spills, memoryBytes);
  for (const spill of spills) {
    for (const [start, end] of partRanges(spill, shard, shards)) {
      if (start < end) heap.push(new Part(spill.path, start, end, pieceBytes));
    }
  }
  for (let part = heap.first(); part !== undefined; part = heap.first()) {
    yield part.take();
    heap.sink();
  }
}

const LEAST_PIECE = 4 << 10;
const LARGEST_PIECE = 1 << 20;

/** Of each part, read at once; whole words. */
function pieceSize(spills: readonly SpillFile[], memoryBytes: number): number {
  const runs = spills.reduce((sum, spill) => sum + spill.runs, 0);
  return Math.min(LARGEST_PIECE, Math.max(LEAST_PIECE, Math.floor(memoryBytes / Math.max(1, runs)) & ~3));
}

/** Where the shard's documents lie in each run of the file. */
function partRanges({ indexPath, runs }: SpillFile, shard: number, shards: number): [number, number][] {
  const fd = openSync(indexPath, "r");
  try {
    const range = new Float64Array(2);
    const bytes = new Uint8Array(range.buffer);
    return Array.from({ length: runs }, (_, run) => {
      readFully(fd, bytes, (run * (shards + 1) + shard) * 8, indexPath);
      return [range[0]!, range[1]!];
    });
  } finally {
    closeSync(fd);
  }
}

/** Parts by the position of their next document. */
class PartHeap {
  readonly #parts: Part[] = [];
  readonly #next: number[] = [];

  first(): Part | undefined {
    return this.#parts[0];
  }

  push(part: Part): void {
    const next = part.peek();
    if (next === undefined) return;
    let at = this.#parts.push(part) - 1;
    this.#next.push(next);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (this.#next[parent]! <= this.#next[at]!) return;
      this.#swap(at, parent);
      at = parent;
    }
  }

  /** The first part has given a document: it goes to where its next one belongs. */
  sink(): void {
    const next = this.#parts[0]!.peek();
    if (next === undefined) {
      const last = this.#parts.length - 1;
      this.#swap(0, last);
      this.#parts.pop();
      this.#next.pop();
    } else this.#next[0] = next;
    for (let at = 0; ; ) {
      let least = at;
      for (const child of [2 * at + 1, 2 * at + 2]) {
        if (child < this.#next.length && this.#next[child]! < this.#next[least]!) least = child;
      }
      if (least === at) return;
      this.#swap(at, least);
      at = least;
    }
  }

  #swap(a: number, b: number): void {
    [this.#parts[a], this.#parts[b]] = [this.#parts[b]!, this.#parts[a]!];
    [this.#next[a], this.#next[b]] = [this.#next[b]!, this.#next[a]!];
  }
}
