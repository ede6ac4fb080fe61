/**
 * The decompressed bytes of a JSON Lines file as a stream with bounded memory. What gzip and zstd find wrong becomes
 * `truncated` or `corrupt`.
 */
import { once } from "node:events";
import { createGunzip } from "node:zlib";
import type { RandomAccessFile } from "../../storage/storage.ts";
import { ZstdError, zstdStream } from "../codecs/zstd.ts";
import { badShard, reason } from "../failure.ts";
import type { Compression } from "../sniff.ts";

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

/** Members in a row and zero padding after the last one are legal. */
async function* gunzip(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const inflate = createGunzip({ chunkSize: 1 << 18 });
  const feed = async (): Promise<void> => {
    for await (const chunk of chunks) {
      if (inflate.destroyed) return;
      if (!inflate.write(chunk)) await Promise.race([once(inflate, "drain"), once(inflate, "close")]);
    }
    inflate.end();
  };
  const feeding = feed().catch((error: Error) => inflate.destroy(error));
  try {
    yield* inflate;
  } finally {
    inflate.destroy();
    await feeding;
  }
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error ? String(error.code) : undefined;
}
