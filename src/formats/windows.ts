/**
 * A byte range of a file in order, a window at a time. The next window is on its way from the disk while this one is
 * decoded and counted, and memory holds two or three windows, or one page where a page is larger.
 */
import type { RandomAccessFile } from "../storage/storage.ts";
import { outputOf, PageBuffer } from "./codecs/page-buffer.ts";
import type { BatchForm } from "./shard.ts";

/** Large enough that a disk reads at full speed, small enough for two of them in each worker. */
export const WINDOW_BYTES = 2 << 20;

export class ByteWindows {
  readonly #file: RandomAccessFile;
  readonly #end: number;
  /** where the window that is on its way begins */
  #ahead: number;
  #pending: Promise<Uint8Array> | undefined;
  /** bytes that are here, in order; of the first one, those from #at on */
  #here: Uint8Array[] = [];
  #at = 0;
  #hereBytes = 0;
  #position: number;
  /** For bytes that cross windows; with it, windows that are done with are read into again. */
  readonly #joined: PageBuffer | undefined;
  /** memory of windows that all was skipped of */
  #spent: Uint8Array[] = [];
  /** of those, what nobody looks at any more */
  #free: Uint8Array[] = [];

  /**
   * Bytes start..end (exclusive); reading begins at once.
   *
   * @param form with "lent", what `peek` gives is valid until the next `peek`
   */
  constructor(file: RandomAccessFile, start: number, end: number, form: BatchForm) {
    this.#joined = form === "lent" ? new PageBuffer() : undefined;
    this.#file = file;
    this.#end = end;
    this.#ahead = start;
    this.#position = start;
    this.#request();
  }

  /** of the next byte, in the file */
  get position(): number {
    return this.#position;
  }

  /** bytes from the position to the end of the range */
  get remaining(): number {
    return this.#end - this.#position;
  }

  /** The next bytes, fewer only where the range ends. They stay the next ones until `skip`. */
  async peek(bytes: number): Promise<Uint8Array> {
    const wanted = Math.min(bytes, this.remaining);
    this.#free.push(...this.#spent.splice(0));
    while (this.#hereBytes < wanted) await this.#receive();
    const first = this.#here[0];
    if (first === undefined || wanted <= first.length - this.#at) {
      return first?.subarray(this.#at, this.#at + wanted) ?? new Uint8Array(0);
    }
    const joined = outputOf(wanted, this.#joined);
    let from = this.#at;
    let to = 0;
    for (const window of this.#here) {
      const piece = window.subarray(from, from + wanted - to);
      joined.set(piece, to);
      to += piece.length;
      from = 0;
      if (to === wanted) break;
    }
    return joined;
  }

  /** Goes on after bytes that `peek` gave. */
  skip(bytes: number): void {
    this.#position += bytes;
    this.#hereBytes -= bytes;
    this.#at += bytes;
    while (this.#here[0] && this.#at >= this.#here[0].length) {
      this.#at -= this.#here[0].length;
      const done = this.#here.shift()!;
      if (this.#joined && done.length === WINDOW_BYTES) this.#spent.push(done);
    }
  }

  /** Waits for what is on its way, so that the file can be closed. */
  async close(): Promise<void> {
    await this.#pending?.catch(() => {}); // nobody wants it any more
  }

  async #receive(): Promise<void> {
    const window = await this.#pending!;
    this.#here.push(window);
    this.#hereBytes += window.length;
    this.#request();
  }

  #request(): void {
    const start = this.#ahead;
    this.#ahead = Math.min(this.#end, start + WINDOW_BYTES);
    this.#pending = start < this.#ahead ? this.#file.read(start, this.#ahead, this.#free.pop()) : undefined;
    this.#pending?.catch(() => {}); // reported when it is waited for
  }
}
