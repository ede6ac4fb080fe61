/**
 * Buffers of an Arrow record batch: read one by one from the file, bounded, decompressed. A buffer of a compressed
 * batch opens with its uncompressed length; −1 says that it was left as it is.
 */
import type { ErrorPlace } from "../../lib/errors.ts";
import type { RandomAccessFile } from "../../storage/storage.ts";
import { lz4Frames } from "../codecs/lz4.ts";
import { loadZstd, zstdDecompress } from "../codecs/zstd.ts";
import { badShard, reason } from "../failure.ts";
import type { ReadLimits } from "../shard.ts";
import type { BatchHeader, MessagePlace } from "./message.ts";

const LENGTH_BYTES = 8;
const NOT_COMPRESSED = -1n;

/** The open record batch (or dictionary batch) that buffers are read from. */
export interface BatchSource {
  readonly file: RandomAccessFile;
  readonly message: MessagePlace;
  readonly header: BatchHeader;
  readonly place: ErrorPlace;
  readonly limits: ReadLimits;
  /** what its buffers took so far, decompressed */
  readonly taken: { bytes: number };
}

/** @throws DoremiError corrupt, buffer-too-large */
export async function readBuffer(source: BatchSource, index: number): Promise<Uint8Array> {
  const { file, message, header, place, limits } = source;
  const buffer = header.buffers[index];
  const corrupt = (found: string) => badShard("corrupt", place, `buffer ${index} of the record batch ${found}`);
  if (!buffer) throw corrupt(`must be there; there are ${header.buffers.length}`);
  const { offset, length } = buffer;
  if (offset < 0 || length < 0 || offset + length > message.bodyBytes) {
    throw corrupt(`must lie in the body of ${message.bodyBytes} bytes; it lies at ${offset} to ${offset + length}`);
  }
  if (length > limits.maxPageBytes) throw tooLarge(source, index, length);
  if (header.compression === "none") take(source, length);
  if (length === 0) return new Uint8Array(0);
  const start = message.offset + message.headBytes + offset;
  const bytes = await file.read(start, start + length);
  if (header.compression === "none") return bytes;
  if (bytes.length < LENGTH_BYTES)
    throw corrupt(`must open with its uncompressed length; it has ${bytes.length} bytes`);
  const stated = new DataView(bytes.buffer, bytes.byteOffset).getBigInt64(0, true);
  const stored = bytes.subarray(LENGTH_BYTES);
  if (stated === NOT_COMPRESSED) {
    take(source, stored.length);
    return stored;
  }
  if (stated < 0n) throw corrupt(`says an uncompressed length of ${stated}`);
  const size = Number(stated);
  if (size > limits.maxPageBytes) throw tooLarge(source, index, size);
  take(source, size);
  if (header.compression === "zstd") await loadZstd();
  try {
    return header.compression === "zstd" ? zstdDecompress(stored, size) : lz4Frames(stored, size);
  } catch (error) {
    throw corrupt(`must decompress (${header.compression}) to ${size} bytes: ${reason(error)}`);
  }
}

/** Before the memory is taken. @throws DoremiError batch-too-large */
function take({ taken, place, limits }: BatchSource, bytes: number): void {
  taken.bytes += bytes;
  if (taken.bytes <= limits.maxBatchBytes) return;
  throw badShard(
    "batch-too-large",
    place,
    `the buffers of the record batch say ${taken.bytes} bytes uncompressed or more, over the limit of ${limits.maxBatchBytes} (maxBatchBytes); write smaller record batches`,
  );
}

function tooLarge({ place, limits }: BatchSource, index: number, bytes: number): Error {
  return badShard(
    "buffer-too-large",
    place,
    `buffer ${index} of the record batch says ${bytes} bytes uncompressed, over the limit of ${limits.maxPageBytes} (maxPageBytes)`,
  );
}
