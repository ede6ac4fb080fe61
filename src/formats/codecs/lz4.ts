/**
 * LZ4 decoding in the three wrappings that data files have: a bare block, Hadoop's frames around blocks (Parquet codec
 * id 5) and the LZ4 frame format (Arrow). Strict: the output has exactly the stated length or it is an error.
 */
import { compiledModule } from "../../lib/compiled.ts";
import { outputOf, type PageBuffer } from "./page-buffer.ts";
import { xxh32 } from "./xxh32.ts";

const FRAME_MAGIC = 0x184d2204;

export function lz4Block(input: Uint8Array, length: number, buffer?: PageBuffer): Uint8Array {
  const decoder = new Decoder(input.length, length);
  return decoder.take(decoder.block(input, 0, length, 0), buffer);
}

/**
 * Codec id 5 of Parquet: [uncompressed length, compressed length (big-endian), block]… as Hadoop writes it, or the bare
 * block that parquet-cpp wrote before 2020.
 */
export function lz4Hadoop(input: Uint8Array, length: number, buffer?: PageBuffer): Uint8Array {
  const view = new DataView(input.buffer, input.byteOffset, input.byteLength);
  const frames: { readonly start: number; readonly end: number; readonly length: number }[] = [];
  let total = 0;
  for (let at = 0; at < input.length; ) {
    if (at + 8 > input.length) return lz4Block(input, length, buffer);
    const frame = { start: at + 8, end: at + 8 + view.getUint32(at + 4), length: view.getUint32(at) };
    total += frame.length;
    if (frame.end > input.length || total > length) return lz4Block(input, length, buffer);
    frames.push(frame);
    at = frame.end;
  }
  if (total !== length) return lz4Block(input, length, buffer);
  const decoder = new Decoder(input.length, length);
  let at = 0;
  for (const frame of frames) {
    const end = decoder.block(input.subarray(frame.start, frame.end), at, at + frame.length, at);
    if (end !== at + frame.length) throw new Error(`lz4: must give ${frame.length} bytes, gave ${end - at}`);
    at = end;
  }
  return decoder.take(at, buffer);
}

/** All frames of the input; `length` is known from outside and bounds the output. */
export function lz4Frames(input: Uint8Array, length: number): Uint8Array {
  const view = new DataView(input.buffer, input.byteOffset, input.byteLength);
  const decoder = new Decoder(input.length, length);
  let written = 0;
  let at = 0;
  while (at < input.length) {
    if (view.getUint32(at, true) !== FRAME_MAGIC) throw new Error("lz4: no frame magic");
    const flags = view.getUint8(at + 4);
    if (flags >> 6 !== 1) throw new Error(`lz4: frame version must be 1, is ${flags >> 6}`);
    if (flags & 1) throw new Error("lz4: needs a dictionary");
    const [linked, blockSums, hasSize, hasSum] = [!(flags & 0x20), flags & 0x10, flags & 8, flags & 4];
    const frameStart = written;
    at += 4 + 2 + (hasSize ? 8 : 0) + 1;
    for (;;) {
      const size = view.getUint32(at, true);
      at += 4;
      if (size === 0) break;
      const end = at + (size & 0x7fff_ffff);
      if (end > input.length) throw new Error("lz4: ends inside a block");
      const block = input.subarray(at, end);
      written =
        size & 0x8000_0000
          ? decoder.stored(block, written)
          : decoder.block(block, written, length, linked ? frameStart : written);
      at = end + (blockSums ? 4 : 0);
    }
    if (hasSum) {
      if (view.getUint32(at, true) !== xxh32(decoder.written(frameStart, written)))
        throw new Error("lz4: content checksum mismatch");
      at += 4;
    }
  }
  return decoder.take(written, undefined);
}

interface Lz4Exports {
  readonly memory: WebAssembly.Memory;
  reserve(inputBytes: number, outputBytes: number): void;
  input(): number;
  output(): number;
  decodeBlock(bytes: number, start: number, limit: number, history: number): number;
}

/** What is wrong, by what `decodeBlock` returns. */
const FAULTS: ReadonlyMap<number, string> = new Map([
  [-1, "ends inside a length"],
  [-2, "literals beyond the end"],
  [-3, "ends inside an offset"],
  [-4, "an offset reaches before the data"],
  [-5, "a match beyond the end"],
]);

/** An instance that a huge page made larger than this is not kept. */
const KEPT_BYTES = 64 << 20;

let compiled: WebAssembly.Module | undefined;
let kept: Lz4Exports | undefined;

/** The memory in which one output is put together from blocks. */
class Decoder {
  readonly #wasm: Lz4Exports;
  readonly #memory: Uint8Array;
  readonly #length: number;

  /** @param inputBytes of the largest block @param length of the output */
  constructor(inputBytes: number, length: number) {
    compiled ??= compiledModule(new URL("./lz4.wasm", import.meta.url), "LZ4 decoder");
    kept ??= new WebAssembly.Instance(compiled).exports as unknown as Lz4Exports;
    this.#wasm = kept;
    this.#wasm.reserve(inputBytes, length);
    this.#memory = new Uint8Array(this.#wasm.memory.buffer);
    this.#length = length;
    if (this.#memory.length > KEPT_BYTES) kept = undefined;
  }

  /**
   * One block into the output from `start` on, not beyond `limit`; matches may reach back to `history`.
   * @returns the position after the last byte written
   */
  block(input: Uint8Array, start: number, limit: number, history: number): number {
    this.#memory.set(input, this.#wasm.input() >>> 0);
    const end = this.#wasm.decodeBlock(input.length, start, limit, history);
    if (end < 0) throw new Error(`lz4: ${FAULTS.get(end)}`);
    return end;
  }

  /** Bytes that are stored as they are. @returns the position after them */
  stored(input: Uint8Array, start: number): number {
    if (start + input.length > this.#length) throw new Error("lz4: literals beyond the end");
    this.#memory.set(input, (this.#wasm.output() >>> 0) + start);
    return start + input.length;
  }

  written(start: number, end: number): Uint8Array {
    const output = this.#wasm.output() >>> 0;
    return this.#memory.subarray(output + start, output + end);
  }

  /** All of the output, once `end` bytes are written. */
  take(end: number, buffer: PageBuffer | undefined): Uint8Array {
    if (end !== this.#length) throw new Error(`lz4: must give ${this.#length} bytes, gave ${end}`);
    const output = outputOf(this.#length, buffer);
    output.set(this.written(0, end));
    return output;
  }
}
