/**
 * Reads spilled documents back: a shard's documents in order, merged from that shard's parts of all runs. Of each part a
 * piece is in memory, so a shard never is whole.
 */
import { closeSync, openSync } from "node:fs";
import { readFully } from "./runs.ts";
import { HEADER_WORDS, type SpilledDocument, type SpillFile } from "./spill.ts";

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
