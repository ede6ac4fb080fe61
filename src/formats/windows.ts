/**
 * A byte range of a file in order, a window at a time. The next window is on its way from the disk while this one is
 * decoded and counted, and memory holds two or three windows, or one page where a page is larger.
 */
import type { RandomAccessFile } from "../storage/storage.ts";
import { outputOf, PageBuffer } from "./codecs/page-buffer.ts";
import type { BatchForm } from "./shard.ts";

/** Large enough that a disk reads at full speed, small enough for a few of them in each worker. */
export const WINDOW_BYTES = 1 << 20;

/** Memory of lent windows that nobody looks at any more, of this thread, for the next ones. */
const spare: Uint8Array[] = [];
const MAX_SPARE = 4;
/** A file may give out memory of its own: only what was made here is written to again. */
const made = new WeakSet<ArrayBufferLike>();

function windowMemory(): Uint8Array {
  const window = spare.pop() ?? outputOf(WINDOW_BYTES, undefined);
  made.add(window.buffer);
  return window;
}

function spareWindow(window: Uint8Array | undefined): void {
  if (window && made.has(window.buffer) && spare.length < MAX_SPARE) spare.push(new Uint8Array(window.buffer));
}

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
  /** windows that lie before the position, and that the last `peek` may have shown */
  #spent: Uint8Array[] = [];

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

  /** The next bytes, fewer only where the range ends. They stay the next ones until `advance`. */
  async peek(bytes: number): Promise<Uint8Array> {
    const wanted = Math.min(bytes, this.remaining);
    this.#spent.splice(0).forEach(spareWindow);
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
  advance(bytes: number): void {
    this.#position += bytes;
    this.#hereBytes -= bytes;
    this.#at += bytes;
    while (this.#here[0] && this.#at >= this.#here[0].length) {
      this.#at -= this.#here[0].length;
      const done = this.#here.shift()!;
      if (this.#joined) this.#spent.push(done);
    }
  }

  /** Waits for what is on its way, so that the file can be closed; what a lent `peek` gave is no longer valid. */
  async close(): Promise<void> {
    const last = await this.#pending?.catch(() => undefined); // nobody wants it any more
    if (!this.#joined) return;
    for (const window of [...this.#spent.splice(0), ...this.#here.splice(0), last]) spareWindow(window);
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
    this.#pending = undefined;
    if (start >= this.#ahead) return;
    const into = this.#joined && windowMemory();
    this.#pending = this.#file.read(start, this.#ahead, into).then((window) => {
      if (window.buffer !== into?.buffer) spareWindow(into); // the file left it aside
      return window;
    });
    this.#pending.catch(() => {}); // reported when it is waited for
  }
}
