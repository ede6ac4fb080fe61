/**
 * Storage over the local file system: ranges, streams and lists of files. It knows nothing of formats, and of patterns
 * only how to list what matches one; `{domain}` in a pattern belongs to pattern.ts.
 */

import { constants } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { open, stat } from "node:fs/promises";
import { DoremiError, withPlace } from "../lib/errors.ts";
import { listFiles } from "./glob.ts";
import { withoutFileScheme } from "./location.ts";
import type { FileStat, RandomAccessFile, Storage } from "./storage.ts";

/** Opening a named pipe would wait for its writer, for ever where there is none. Windows has no such flag. */
const READ_AT_ONCE = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0);

/** bytes of one piece of `stream` */
const STREAM_CHUNK = 1 << 20;

export class LocalStorage implements Storage {
  /** @throws DoremiError missing-file, no-permission, not-a-file */
  async stat(uri: string): Promise<FileStat> {
    const path = withoutFileScheme(uri);
    const found = await stat(path, { bigint: true }).catch((error: unknown) => {
      throw withPlace(error, { file: uri });
    });
    if (!found.isFile()) throw notAFile(uri);
    // The time of the last change of anything, too: copying tools set the other one back.
    return { size: Number(found.size), version: `${found.mtimeNs}-${found.ctimeNs}-${found.ino}` };
  }

  /** @throws DoremiError missing-file, no-permission, not-a-file */
  async open(uri: string): Promise<RandomAccessFile> {
    try {
      const handle = await open(withoutFileScheme(uri), READ_AT_ONCE);
      const found = await handle.stat();
      if (found.isFile()) return new LocalFile(uri, found.size, handle);
      await handle.close();
    } catch (error) {
      throw withPlace(error, { file: uri });
    }
    throw notAFile(uri);
  }

  /** Paths are spelled as the pattern spells them: relative stays relative. */
  async list(pattern: string): Promise<string[]> {
    return listFiles(withoutFileScheme(pattern));
  }
}

class LocalFile implements RandomAccessFile {
  readonly uri: string;
  readonly size: number;
  readonly #handle: FileHandle;

  constructor(uri: string, size: number, handle: FileHandle) {
    this.uri = uri;
    this.size = size;
    this.#handle = handle;
  }

  async read(start: number, end: number, into?: Uint8Array): Promise<Uint8Array> {
    const length = Math.min(end, this.size) - start;
    if (length <= 0) return new Uint8Array(0);
    // allocUnsafeSlow: an ArrayBuffer of its own, so that views at any 8-byte offset stay aligned.
    const bytes = into && into.length >= length ? into : Buffer.allocUnsafeSlow(length);
    let done = 0;
    while (done < length) {
      const { bytesRead } = await this.#handle
        .read(bytes, done, length - done, start + done)
        .catch((error: unknown): never => {
          throw withPlace(error, { file: this.uri });
        });
      if (bytesRead === 0) {
        throw new DoremiError(
          "bad-data",
          "truncated",
          `${this.uri}: had ${this.size} bytes when it was opened and ends at ${start + done} now; ` +
            `was it written over? Run again when its writer is done`,
          { file: this.uri },
        );
      }
      done += bytesRead;
    }
    return new Uint8Array(bytes.buffer, bytes.byteOffset, length);
  }

  /** The next chunk is on its way while one is looked at. */
  async *stream(start = 0, end = this.size): AsyncGenerator<Uint8Array> {
    const stop = Math.min(end, this.size);
    let next: Promise<Uint8Array> | undefined;
    try {
      for (let at = start; at < stop; at += STREAM_CHUNK) {
        const chunk = await (next ?? this.read(at, Math.min(at + STREAM_CHUNK, stop)));
        const ahead = at + STREAM_CHUNK;
        next = ahead < stop ? this.read(ahead, Math.min(ahead + STREAM_CHUNK, stop)) : undefined;
        next?.catch(() => {}); // reported when it is waited for
        yield chunk;
      }
    } finally {
      await next?.catch(() => {}); // the file may be closed now
    }
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }
}

function notAFile(uri: string): DoremiError {
  return new DoremiError(
    "missing-input",
    "not-a-file",
    `${uri}: a shard must be a file, and this is a folder or a device; give a pattern such as ${uri.replace(/\/$/, "")}/*`,
    { file: uri },
  );
}
