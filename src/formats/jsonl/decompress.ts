/**
 * The decompressed bytes of a JSON Lines file as a stream with bounded memory. What gzip and zstd find wrong becomes
 * `truncated` or `corrupt`.
 */
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGunzip, type ZlibOptions } from "node:zlib";
import type { RandomAccessFile } from "../../storage/storage.ts";
import { ZstdError, zstdStream } from "../codecs/zstd.ts";
import { badShard, reason } from "../failure.ts";
import type { Compression } from "../sniff.ts";

const AHEAD_BYTES = 1 << 20;

export async function* decompressed(
  file: RandomAccessFile,
  compression: Exclude<Compression, "none">,
): AsyncGenerator<Uint8Array> {
  try {
    yield* compression === "zstd" ? zstdStream(file.stream()) : gunzip(file.stream());
  } catch (error) {
    const isTruncated = error instanceof ZstdError ? error.isTruncated : codeOf(error) === "Z_BUF_ERROR";
    const isOurs = error instanceof ZstdError || codeOf(error)?.startsWith("Z_");
    if (!isOurs) throw error;
    const rule = isTruncated ? "ends early" : "is damaged";
    throw badShard(
      isTruncated ? "truncated" : "corrupt",
      { file: file.uri },
      `the ${compression} data ${rule}: ${reason(error)}. Fetch or write it again`,
      error,
    );
  }
}

/**
 * Members in a row and zero padding after the last one are legal. The work is done in a thread of its own, up to
 * AHEAD_BYTES before they are asked for.
 */
async function* gunzip(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const inflate = createGunzip({ chunkSize: 1 << 18, highWaterMark: AHEAD_BYTES } as ZlibOptions);
  const feeding = pipeline(Readable.from(chunks), inflate);
  feeding.catch(() => {}); // the reading side reports it
  try {
    yield* inflate;
  } finally {
    inflate.destroy();
    await feeding.catch(() => {});
  }
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error ? String(error.code) : undefined;
}
