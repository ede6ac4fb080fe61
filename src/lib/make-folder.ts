/** Folders that are made with those above them, and say truly why they are not. */
import { mkdir, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { explainUnwritable } from "./errors.ts";

/**
 * Step by step, because Node's own way never ends where a folder takes no others, as those of /proc, and says ENOENT of a
 * file system that is read-only.
 *
 * @throws DoremiError not-a-folder, no-permission, read-only, cannot-create
 */
export async function makeFolder(path: string): Promise<void> {
  try {
    await make(path);
  } catch (error) {
    throw explainUnwritable(error, path);
  }
}

async function make(path: string): Promise<void> {
  try {
    await mkdir(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const above = dirname(path);
    if (code === "EEXIST" && (await isFolder(path))) return;
    // Some systems say first that they are read-only, or that the caller may not, and then that it is there.
    if ((code === "EROFS" || code === "EACCES" || code === "EPERM") && (await isFolder(path))) return;
    if (code !== "ENOENT" || above === path || (await isFolder(above))) throw error;
    await make(above);
    await make(path); // somebody else was deleting above it
  }
}

async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}
