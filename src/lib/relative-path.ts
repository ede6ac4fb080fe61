/** Paths as files of ours name them: relative, with `/` between the parts on every system. */
import { relative, sep } from "node:path";

/** From the folder `from` to `to`, both absolute; empty where they are the same. */
export function relativePath(from: string, to: string): string {
  return relative(from, to).split(sep).join("/");
}
