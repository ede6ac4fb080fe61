/** A file whose bytes are in memory already, for readers that ask for ranges. */
import type { RandomAccessFile } from "./storage.ts";

export class MemoryFile implements RandomAccessFile {
  readonly uri: string;
  readonly #bytes: Uint8Array;

  constructor(uri: string, bytes: Uint8Array) {
    this.uri = uri;
    this.#bytes = bytes;
  }

  get size(): number {
    return this.#bytes.length;
  }

  async read(start: number, end: number): Promise<Uint8Array> {
    return this.#bytes.slice(start, Math.max(start, end)); // the caller's own, aligned
  }

  async *stream(start = 0, end = this.size): AsyncGenerator<Uint8Array> {
    if (start < Math.min(end, this.size)) yield this.#bytes.slice(start, end);
  }

  async close(): Promise<void> {}
}
