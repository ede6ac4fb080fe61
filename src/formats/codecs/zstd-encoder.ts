/**
 * Zstandard compression of a stream into one frame, by the reference encoder in WebAssembly whatever node:zlib has, so
 * that the same input gives the same bytes on every Node. (Several frames would do for the format, but readers that stop
 * after the first are common.)
 */
import { Zstd } from "@hpcc-js/wasm-zstd";

/** The encoder's default: the best of speed for its ratio. */
const LEVEL = 3;
/** Given to the encoder at once, because each call costs; smaller input is gathered. */
const CHUNK_BYTES = 1 << 20;

/** The package has one encoder for all of a thread: who wants it next waits. */
let free: Promise<void> = Promise.resolve();

export class ZstdEncoder {
  readonly #zstd: Zstd;
  readonly #release: () => void;
  readonly #chunk = new Uint8Array(CHUNK_BYTES);
  #filled = 0;

  private constructor(zstd: Zstd, release: () => void) {
    this.#zstd = zstd;
    this.#release = release;
    zstd.reset();
    zstd.setCompressionLevel(LEVEL);
  }

  /** Waits until no other frame is being written in this thread. `end` or `release` what was opened. */
  static async open(): Promise<ZstdEncoder> {
    const before = free;
    let release = () => {};
    free = new Promise((resolve) => {
      release = resolve;
    });
    await before;
    try {
      return new ZstdEncoder(await Zstd.load(), release);
    } catch (error) {
      release();
      throw error;
    }
  }

  /** @returns what is ready of the frame, often nothing */
  write(data: Uint8Array): Uint8Array[] {
    const ready: Uint8Array[] = [];
    for (let done = 0; done < data.length; ) {
      const piece = data.subarray(done, done + CHUNK_BYTES - this.#filled);
      this.#chunk.set(piece, this.#filled);
      this.#filled += piece.length;
      done += piece.length;
      if (this.#filled === CHUNK_BYTES) this.#compress(ready);
    }
    return ready;
  }

  /** @returns the rest of the frame */
  end(): Uint8Array[] {
    const ready: Uint8Array[] = [];
    if (this.#filled > 0) this.#compress(ready);
    ready.push(this.#zstd.compressEnd());
    this.#release();
    return ready;
  }

  /** Lets others at the encoder; the frame is not ended. */
  release(): void {
    this.#release();
  }

  #compress(ready: Uint8Array[]): void {
    const bytes = this.#zstd.compressChunk(this.#chunk.subarray(0, this.#filled));
    if (bytes.length > 0) ready.push(bytes);
    this.#filled = 0;
  }
}
