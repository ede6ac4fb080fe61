/** Folders that are made with those above them, and say truly why they are not. */
import { mkdir } from "node:fs/promises";

/** @throws Error of the system: EROFS where Node's own says ENOENT of a file system that is read-only */
export async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true });
  } catch (error) {
    const { code, path: missing } = error as NodeJS.ErrnoException;
    if (code !== "ENOENT" || missing === undefined) throw error;
    await mkdir(missing); // has the reason
    await makeFolder(path); // somebody else was deleting above it
  }
}
