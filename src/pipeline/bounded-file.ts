/** Reads small text files of a folder that another process is at work in: whole and of a bounded size, or not at all. */
import { open } from "node:fs/promises";

/** Undefined where there is none, it is no file, or it is larger. @param limit bytes */
export async function readBoundedFile(path: string, limit: number): Promise<string | undefined> {
  const handle = await open(path, "r").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT" || error.code === "ENOTDIR") return undefined;
    throw error;
  });
  if (!handle) return undefined;
  try {
    const stat = await handle.stat();
    if (!stat.isFile() || stat.size > limit) return undefined;
    return await handle.readFile("utf8");
  } finally {
    await handle.close();
  }
}
