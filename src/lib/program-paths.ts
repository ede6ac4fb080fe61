/** Where a program may lie. */
import { delimiter, join } from "node:path";

/** Paths at which a shell looks for a program of this name, in order. @param path the variable PATH */
export function programPaths(name: string, path = process.env.PATH ?? ""): string[] {
  return path
    .split(delimiter)
    .filter((folder) => folder !== "")
    .map((folder) => join(folder, name));
}
