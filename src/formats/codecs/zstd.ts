/**
 * Zstandard decoding, whole and streamed, with bounds: the output never outgrows what the caller allows, checksums are
 * verified, a cut input is an error. Whole buffers go through node:zlib where it has zstd; the rest through the
 * reference decoder compiled to WebAssembly.
 */
import * as zlib from "node:zlib";
import { ZSTDDecoder } from "zstddec/stream";
import { outputOf, type PageBuffer } from "./page-buffer.ts";

interface ZstdExports {
  readonly memory: { readonly buffer: ArrayBuffer };
  malloc(size: number): number;
  free(pointer: number): void;
  ZSTD_createDCtx(): number;
  ZSTD_freeDCtx(context: number): void;
  ZSTD_decompress(to: number, capacity: number, from: number, size: number): number;
  ZSTD_decompressStream(context: number, output: number, input: number): number;
}

/** size_t error results are −code; codes stay below this (zstd_errors.h). */
const MAX_ERROR_CODE = 120;
const ERRORS: ReadonlyMap<number, string> = new Map([
  [10, "unknown frame"],
  [12, "unsupported version"],
  [14, "unsupported frame parameter"],
  [16, "the window is larger than 128 MiB"],
  [20, "corrupt data"],
  [22, "content checksum mismatch"],
  [30, "corrupt dictionary"],
  [32, "needs a dictionary"],
  [64, "out of memory"],
  [70, "expands beyond the stated size"],
  [72, "ends early"],
]);

export class ZstdError extends Error {
  readonly isTruncated: boolean;

  constructor(message: string, isTruncated = false) {
    super(`zstd: ${message}`);
    this.isTruncated = isTruncated;
  }
}

let loaded: ZstdExports | undefined;

/** The package keeps its module to itself but hands it to `_init`, whose wrapper loops for ever on corrupt streams. */
class ExposedDecoder extends ZSTDDecoder {
  override _init(result: Parameters<ZSTDDecoder["_init"]>[0]): void {
    super._init(result);
    loaded = result.instance.exports as unknown as ZstdExports;
  }
}

let loading: Promise<void> | undefined;

/** The package fetches a data: URL where there is fetch; to Node that is to load all of its HTTP client first. */
function withoutFetch<T>(work: () => T): T {
  const fetch = Object.getOwnPropertyDescriptor(globalThis, "fetch");
  if (fetch?.configurable !== true) return work();
  Object.defineProperty(globalThis, "fetch", { value: undefined, configurable: true });
  try {
    return work();
  } finally {
    Object.defineProperty(globalThis, "fetch", fetch);
  }
}

/** Await this once before `zstdDecompress`. */
export function loadZstd(): Promise<void> {
  loading ??= withoutFetch(() => new ExposedDecoder().init());
  return loading;
}

function wasm(): ZstdExports {
  if (!loaded) throw new Error("zstd: loadZstd() has to finish before the first use");
  return loaded;
}

type NativeDecompress = (input: Uint8Array, options: { maxOutputLength: number }) => Uint8Array;
const native = (zlib as { zstdDecompressSync?: NativeDecompress }).zstdDecompressSync;

/** All frames of the input; the output has exactly `length` bytes. @throws ZstdError */
export function zstdDecompress(input: Uint8Array, length: number, buffer?: PageBuffer): Uint8Array {
  if (native) {
    try {
      const output = native(input, { maxOutputLength: Math.max(1, length) });
      if (output.length === length) return output;
    } catch {
      // The other decoder judges: it reads several frames in a row and says what is wrong.
    }
  }
  const { memory, malloc, free, ZSTD_decompress } = wasm();
  const from = allocate(malloc, input.length);
  try {
    const to = allocate(malloc, length);
    try {
      new Uint8Array(memory.buffer).set(input, from);
      const size = checked(ZSTD_decompress(to, length, from, input.length));
      if (size !== length) throw new ZstdError(`must give ${length} bytes, gave ${size}`);
      const output = outputOf(length, buffer);
      output.set(new Uint8Array(memory.buffer, to, length));
      return output;
    } finally {
      free(to);
    }
  } finally {
    free(from);
  }
}

/** Decodes a stream of any number of frames (skippable ones too) with a bounded buffer. @throws ZstdError */
export async function* zstdStream(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  await loadZstd();
  const { memory, malloc, free, ZSTD_createDCtx, ZSTD_freeDCtx, ZSTD_decompressStream } = wasm();
  const inCapacity = 1 << 17;
  const outCapacity = 1 << 18;
  // Layout: input bytes, output bytes, then ZSTD_inBuffer and ZSTD_outBuffer {pointer, size, position} as uint32.
  const base = allocate(malloc, inCapacity + outCapacity + 24);
  const outAt = base + inCapacity;
  const inStruct = outAt + outCapacity;
  const outStruct = inStruct + 12;
  const context = ZSTD_createDCtx();
  let expected = 0; // > 0: a frame is open and wants more input
  try {
    for await (const chunk of chunks) {
      for (let start = 0; start < chunk.length; start += inCapacity) {
        const piece = chunk.subarray(start, start + inCapacity);
        new Uint8Array(memory.buffer).set(piece, base);
        let view = new DataView(memory.buffer);
        setBuffer(view, inStruct, base, piece.length);
        let written = outCapacity;
        while (view.getUint32(inStruct + 8, true) < piece.length || written === outCapacity) {
          setBuffer(view, outStruct, outAt, outCapacity);
          const before = view.getUint32(inStruct + 8, true);
          const result = checked(ZSTD_decompressStream(context, outStruct, inStruct));
          view = new DataView(memory.buffer); // memory may have grown
          written = view.getUint32(outStruct + 8, true);
          // Without progress the result speaks of the next frame, which need not come.
          if (written === 0 && view.getUint32(inStruct + 8, true) === before) break;
          expected = result;
          if (written > 0) yield new Uint8Array(memory.buffer).slice(outAt, outAt + written);
          view = new DataView(memory.buffer); // another stream may have grown it meanwhile
        }
      }
    }
    if (expected !== 0) throw new ZstdError("unexpected end of zstd data", true);
  } finally {
    ZSTD_freeDCtx(context);
    free(base);
  }
}

function setBuffer(view: DataView, at: number, pointer: number, size: number): void {
  view.setUint32(at, pointer, true);
  view.setUint32(at + 4, size, true);
  view.setUint32(at + 8, 0, true);
}

function allocate(malloc: (size: number) => number, size: number): number {
  const pointer = malloc(Math.max(1, size));
  if (pointer === 0) throw new ZstdError(`no memory for ${size} bytes`);
  return pointer >>> 0;
}

function checked(result: number): number {
  const code = -(result | 0);
  if (code > 0 && code < MAX_ERROR_CODE) throw new ZstdError(ERRORS.get(code) ?? `error ${code}`, code === 72);
  return result >>> 0;
}
