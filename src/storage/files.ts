/** Files wherever they are: local paths and URIs, in one place. Each thread has its own. */
import { createHash } from "node:crypto";
import { LocalStorage } from "./local.ts";
import { isRemote } from "./location.ts";
import { ObjectStorage } from "./object-storage.ts";
import type { FileStat, Storage } from "./storage.ts";

const local = new LocalStorage();
let remote: ObjectStorage | undefined;

/** The storage of URIs; made when the first is met. */
export function objectStorage(): ObjectStorage {
  remote ??= new ObjectStorage();
  return remote;
}

const storageFor = (location: string): Storage => (isRemote(location) ? objectStorage() : local);

export const storage: Storage = {
  stat: (location) => storageFor(location).stat(location),
  open: (location, known) => storageFor(location).open(location, known),
  list: (pattern) => storageFor(pattern).list(pattern),
};

/** All bytes of a file. @throws DoremiError missing-file, no-permission, unavailable */
export async function readWhole(location: string, known?: FileStat): Promise<Uint8Array> {
  const file = await storage.open(location, known);
  try {
    return await file.read(0, file.size);
  } finally {
    await file.close();
  }
}

/** Size and SHA-256 of a file, streamed. */
export async function hashOf(
  location: string,
  options: { readonly signal?: AbortSignal | undefined; readonly known?: FileStat | undefined } = {},
): Promise<{ size: number; sha256: string }> {
  const file = await storage.open(location, options.known);
  try {
    const hash = createHash("sha256");
    for await (const chunk of file.stream()) {
      options.signal?.throwIfAborted();
      hash.update(chunk);
    }
    return { size: file.size, sha256: hash.digest("hex") };
  } finally {
    await file.close();
  }
}
