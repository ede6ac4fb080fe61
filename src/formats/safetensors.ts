/**
 * Safetensors files: named tensors behind a JSON header. Writing is atomic and deterministic; reading checks the header
 * against the file before any tensor is touched. Not for sharded checkpoints (`model.safetensors.index.json`).
 */
import { type FileHandle, open } from "node:fs/promises";
import { AtomicFile } from "../lib/atomic-write.ts";
import { DoremiError } from "../lib/errors.ts";

/** bytes per element */
const SIZES = { F64: 8, F32: 4, F16: 2, BF16: 2, I64: 8, I32: 4, I16: 2, I8: 1, U8: 1, BOOL: 1 } as const;

export type SafetensorType = keyof typeof SIZES;

type FloatingType = "F64" | "F32" | "F16" | "BF16";

function isFloating(dtype: SafetensorType): dtype is FloatingType {
  return /^B?F\d+$/.test(dtype);
}

const MAX_HEADER_BYTES = 100_000_000;

export interface SafetensorInfo {
  readonly dtype: SafetensorType;
  readonly shape: readonly number[];
}

export interface Safetensor extends SafetensorInfo {
  /** little-endian, row-major */
  readonly data: Uint8Array;
}

/** A tensor to write: the array's type says the dtype. */
export interface NamedArray {
  readonly shape: readonly number[];
  readonly data: Float32Array | Float64Array | Int32Array;
}

/** Writes the tensors in the order of the record, with the strings of `metadata` (Hugging Face wants `format: "pt"`). */
export async function writeSafetensors(
  path: string,
  tensors: Readonly<Record<string, NamedArray>>,
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  const header: Record<string, unknown> = Object.keys(metadata).length > 0 ? { __metadata__: metadata } : {};
  let offset = 0;
  for (const [name, { shape, data }] of Object.entries(tensors)) {
    if (count(shape) !== data.length)
      throw new RangeError(`safetensors: ${name} of shape [${shape}] has ${data.length} values`);
    const dtype: SafetensorType = data instanceof Float32Array ? "F32" : data instanceof Float64Array ? "F64" : "I32";
    header[name] = { dtype, shape, data_offsets: [offset, offset + data.byteLength] };
    offset += data.byteLength;
  }
  const json = Buffer.from(JSON.stringify(header));
  const padded = Buffer.alloc(Math.ceil(json.length / 8) * 8, " ");
  json.copy(padded);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(padded.length));
  const file = await AtomicFile.create(path);
  try {
    await file.write(length);
    await file.write(padded);
    for (const { data } of Object.values(tensors)) {
      await file.write(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    }
    await file.commit();
  } catch (error) {
    await file.discard();
    throw error;
  }
}

/** @throws DoremiError missing-file; bad-data where the header does not fit the file */
export async function openSafetensors(path: string): Promise<SafetensorsFile> {
  const handle = await open(path, "r");
  try {
    const { size } = await handle.stat();
    if (size < 8)
      throw bad(path, `must start with an 8-byte header length, but the file has ${size} bytes; copy it again`);
    const length = Number(Buffer.from(await readAt(handle, 0, 8)).readBigUInt64LE());
    if (length > MAX_HEADER_BYTES || 8 + length > size) {
      throw bad(
        path,
        `the header says ${length} bytes, but the file has ${size}; it is truncated or no safetensors file`,
      );
    }
    const entries = parseHeader(path, await readAt(handle, 8, length), size - 8 - length);
    return new SafetensorsFile(path, handle, 8 + length, entries);
  } catch (error) {
    await handle.close();
    throw error;
  }
}

interface Entry extends SafetensorInfo {
  readonly start: number;
  readonly end: number;
}

export class SafetensorsFile {
  readonly path: string;
  readonly tensors: ReadonlyMap<string, SafetensorInfo>;
  readonly #entries: ReadonlyMap<string, Entry>;
  readonly #handle: FileHandle;
  readonly #dataStart: number;

  constructor(path: string, handle: FileHandle, dataStart: number, entries: ReadonlyMap<string, Entry>) {
    this.path = path;
    this.tensors = entries;
    this.#entries = entries;
    this.#handle = handle;
    this.#dataStart = dataStart;
  }

  /** @throws DoremiError missing-tensor */
  async read(name: string): Promise<Safetensor> {
    const entry = this.#entry(name);
    return {
      dtype: entry.dtype,
      shape: entry.shape,
      data: await readAt(this.#handle, this.#dataStart + entry.start, entry.end - entry.start),
    };
  }

  /** What `readFloat32` can read, before it does. @throws DoremiError missing-tensor, or safetensors for integers */
  floatingPoint(name: string): SafetensorInfo & { readonly dtype: FloatingType } {
    const { dtype, shape } = this.#entry(name);
    if (!isFloating(dtype)) throw bad(this.path, `tensor ${name} must hold floating-point numbers, found ${dtype}`);
    return { dtype, shape };
  }

  /** Values of a floating-point tensor, widened from 16 bits or rounded from 64. */
  async readFloat32(name: string): Promise<Float32Array> {
    const { dtype } = this.floatingPoint(name);
    const { data } = await this.read(name);
    switch (dtype) {
      case "F32":
        return new Float32Array(data.buffer, data.byteOffset, data.byteLength / 4);
      case "F64":
        return Float32Array.from(new Float64Array(data.buffer, data.byteOffset, data.byteLength / 8));
      case "BF16":
        return fromBits(data, (bits) => bits << 16);
      case "F16":
        return fromBits(data, halfToFloatBits);
      default:
        return dtype satisfies never;
    }
  }

  #entry(name: string): Entry {
    const entry = this.#entries.get(name);
    if (entry) return entry;
    throw new DoremiError(
      "bad-data",
      "missing-tensor",
      `${this.path}: has no tensor ${name}; it holds ${[...this.#entries.keys()].slice(0, 5).join(", ")}, …`,
      { file: this.path },
    );
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

function parseHeader(path: string, bytes: Uint8Array, dataBytes: number): Map<string, Entry> {
  let header: unknown;
  try {
    header = JSON.parse(Buffer.from(bytes).toString("utf8"));
  } catch (error) {
    throw bad(path, `the header must be JSON: ${(error as Error).message}`);
  }
  if (header === null || typeof header !== "object" || Array.isArray(header))
    throw bad(path, "the header must be a JSON object");
  const entries = new Map<string, Entry>();
  let covered = 0;
  for (const [name, value] of Object.entries(header as Record<string, Record<string, unknown> | null>)) {
    if (name === "__metadata__") continue;
    const dtype = value?.dtype as SafetensorType;
    const shape = value?.shape as number[];
    const [start, end] = (Array.isArray(value?.data_offsets) ? value.data_offsets : []) as number[];
    if (typeof dtype !== "string" || !Object.hasOwn(SIZES, dtype))
      throw bad(
        path,
        `tensor ${name}: dtype must be one of ${Object.keys(SIZES).join(", ")}, found ${JSON.stringify(dtype)}`,
      );
    if (!Array.isArray(shape) || !shape.every((size) => Number.isSafeInteger(size) && size >= 0))
      throw bad(path, `tensor ${name}: the shape must be a list of integers ≥ 0`);
    if (
      !Number.isSafeInteger(start) ||
      !Number.isSafeInteger(end) ||
      start! < 0 ||
      end! > dataBytes ||
      end! - start! !== count(shape) * SIZES[dtype]
    ) {
      throw bad(
        path,
        `tensor ${name}: bytes ${JSON.stringify(start)} to ${JSON.stringify(end)} do not hold ${dtype} [${shape}] within the file's ${dataBytes} data bytes`,
      );
    }
    entries.set(name, { dtype, shape, start: start!, end: end! });
    covered += end! - start!;
  }
  if (covered !== dataBytes)
    throw bad(
      path,
      `tensors cover ${covered} bytes, but the file has ${dataBytes} data bytes; it is truncated or damaged`,
    );
  return entries;
}

async function readAt(handle: FileHandle, position: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  let done = 0;
  while (done < length) {
    const { bytesRead } = await handle.read(bytes, done, length - done, position + done);
    if (bytesRead === 0) throw new RangeError("safetensors: the file became shorter while it was read");
    done += bytesRead;
  }
  return bytes;
}

function fromBits(data: Uint8Array, convert: (bits: number) => number): Float32Array {
  const halves = new Uint16Array(data.buffer, data.byteOffset, data.byteLength / 2);
  const bits = new Uint32Array(halves.length);
  for (let i = 0; i < halves.length; i++) bits[i] = convert(halves[i]!); // Uint32Array.from is many times slower
  return new Float32Array(bits.buffer);
}

/** IEEE half precision → single precision, as bits. */
function halfToFloatBits(half: number): number {
  const sign = (half & 0x8000) << 16;
  const exponent = (half >> 10) & 0x1f;
  const fraction = half & 0x3ff;
  if (exponent === 0x1f) return sign | 0x7f80_0000 | (fraction << 13);
  if (exponent > 0) return sign | ((exponent + 112) << 23) | (fraction << 13);
  if (fraction === 0) return sign;
  const shift = Math.clz32(fraction) - 21; // subnormal: move the leading one to bit 10
  return sign | ((113 - shift) << 23) | (((fraction << shift) & 0x3ff) << 13);
}

function count(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

function bad(path: string, what: string): DoremiError {
  return new DoremiError("bad-data", "safetensors", `${path}: ${what}`, { file: path });
}
