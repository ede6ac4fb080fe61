/**
 * Files that appear whole or not at all: written under a temporary name in the same folder, flushed to the disk,
 * renamed, and the folder flushed. What a crash leaves behind ends in `.tmp` and nothing reads it.
 */
import { randomBytes } from "node:crypto";
import type { FileHandle } from "node:fs/promises";
import { open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { explainUnwritable } from "./errors.ts";
import { makeFolder } from "./make-folder.ts";

export async function writeFileAtomic(path: string, data: string | Uint8Array): Promise<void> {
  const file = await AtomicFile.create(path);
  try {
    await file.write(typeof data === "string" ? Buffer.from(data) : data);
    await file.commit();
  } catch (error) {
    await file.discard();
    throw error;
  }
}

/** A file written in parts: `write` as often as needed, then `commit` or `discard`. */
export class AtomicFile {
  readonly path: string;
  /** bytes written so far */
  size = 0;
  readonly #temporary: string;
  readonly #handle: FileHandle;

  private constructor(path: string, temporary: string, handle: FileHandle) {
    this.path = path;
    this.#temporary = temporary;
    this.#handle = handle;
  }

  static async create(path: string): Promise<AtomicFile> {
    await makeFolder(dirname(path));
    const temporary = `${path}.${randomBytes(6).toString("hex")}.tmp`;
    const handle = await open(temporary, "wx").catch((error: unknown) => {
      throw explainUnwritable(error, path);
    });
    return new AtomicFile(path, temporary, handle);
  }

  async write(data: Uint8Array): Promise<void> {
    const position = this.size;
    this.size += data.length;
    await this.#writeAt(data, position);
  }

  /** Overwrites bytes before the end, for headers whose content is known only at the end. */
  async patch(data: Uint8Array, position: number): Promise<void> {
    await this.#writeAt(data, position);
  }

  /** All of `data`: one call to the system may write less than it was given. */
  async #writeAt(data: Uint8Array, position: number): Promise<void> {
    try {
      let done = 0;
      while (done < data.length) {
        done += (await this.#handle.write(data, done, data.length - done, position + done)).bytesWritten;
      }
    } catch (error) {
      throw explainUnwritable(error, this.path);
    }
  }

  async commit(): Promise<void> {
    await this.#handle.sync();
    await this.#handle.close();
    await rename(this.#temporary, this.path).catch((error: unknown) => {
      throw explainUnwritable(error, this.path);
    });
    await sync(dirname(this.path));
  }

  async discard(): Promise<void> {
    await this.#handle.close().catch(() => {});
    await rm(this.#temporary, { force: true }).catch(() => {});
  }
}

/** Flushes a file to the disk, or a folder's names, so that a rename in it outlives a loss of power. */
export async function sync(path: string): Promise<void> {
  const handle = await open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
