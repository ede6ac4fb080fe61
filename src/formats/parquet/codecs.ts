/**
 * Decompression of Parquet pages. Each codec is told the size that the page header states and gives exactly that many
 * bytes or throws; none expands beyond it. Given a buffer, a codec that can writes into it.
 */
import { brotliDecompressSync, gunzipSync } from "node:zlib";
import { compressors } from "hyparquet-compressors";
import { lz4Block, lz4Hadoop } from "../codecs/lz4.ts";
import { outputOf, type PageBuffer } from "../codecs/page-buffer.ts";
import { zstdDecompress } from "../codecs/zstd.ts";

export type Decompress = (input: Uint8Array, length: number, buffer?: PageBuffer) => Uint8Array;

const CODECS: ReadonlyMap<string, Decompress> = new Map([
  ["UNCOMPRESSED", storedPage],
  ["SNAPPY", snappy],
  ["GZIP", (input, length) => gunzipSync(input, zlibOptions(length))],
  ["BROTLI", (input, length) => brotliDecompressSync(input, zlibOptions(length))],
  ["ZSTD", zstdDecompress],
  ["LZ4", lz4Hadoop],
  ["LZ4_RAW", lz4Block],
] satisfies [string, Decompress][]);

export const CODEC_NAMES: readonly string[] = [...CODECS.keys()];

/** undefined for a codec that nobody reads any more (LZO) or knows yet */
export function codecNamed(name: string): Decompress | undefined {
  return CODECS.get(name);
}

/** A copy: the bytes are the file's or a window's, and decoding moves those of a page. */
export function storedPage(input: Uint8Array, length: number, buffer?: PageBuffer): Uint8Array {
  if (input.length !== length) throw new Error(`stored: must give ${length} bytes, has ${input.length}`);
  const output = outputOf(length, buffer);
  output.set(input);
  return output;
}

function zlibOptions(length: number) {
  return { maxOutputLength: Math.max(1, length), chunkSize: Math.max(64, Math.min(length, 1 << 22)) };
}

function snappy(input: Uint8Array, length: number): Uint8Array {
  // The block opens with its length; the decoder would take memory for it before anyone compares.
  let stated = 0;
  for (let i = 0, shift = 1; i < 5; i++, shift *= 128) {
    const byte = input[i];
    if (byte === undefined) throw new Error("snappy: ends inside its length");
    stated += (byte & 0x7f) * shift;
    if (byte < 0x80) break;
  }
  if (stated !== length) throw new Error(`snappy: must give ${length} bytes, says ${stated}`);
  return compressors.SNAPPY!(input, length);
}
