/** Paths as files of ours name them: relative, with `/` between the parts on every system. */
import { isAbsolute, relative, sep, win32 } from "node:path";

/** From the folder `from` to `to`, both absolute; empty where they are the same. */
export function relativePath(from: string, to: string): string {
  return relative(from, to).split(sep).join("/");
}

/** Whether a path is of a file below the folder that it starts from, by its words alone: links are not followed. */
export function isInside(path: string): boolean {
  return (
    !isAbsolute(path) &&
    !win32.isAbsolute(path) &&
    !path.includes("\0") &&
    // a name may have a backslash, but not where that parts names
    path.split("/").every((part) => part !== "" && part !== "." && part !== ".." && !part.includes(sep))
  );
}
