/**
 * Files that match a shell pattern (`*`, `**`, `?`, `[..]`, `{a,b}`), sorted by code unit. Names that begin with a dot
 * or an underscore are what tools leave beside data (_SUCCESS, .part-0.crc, _temporary/), so they match only where the
 * pattern spells them.
 */
import { lstat } from "node:fs/promises";
import picomatch from "picomatch";
import { glob } from "tinyglobby";

/** Characters that make a path segment a pattern. */
const MAGIC = /[*?[\]{}]/;

/** What is ordinary in a path here and syntax to the matcher: extended globs and negation. */
export function escapeLiterals(pattern: string): string {
  return pattern.replace(/[()|!+@]/g, "\\$&");
}

export interface SplitPattern {
  /** leading segments without pattern characters, "" or ending in "/" */
  readonly base: string;
  /** the rest; "" where nothing is a pattern */
  readonly rest: string;
}

export function splitPattern(pattern: string): SplitPattern {
  const segments = pattern.split("/");
  const first = segments.findIndex((segment) => MAGIC.test(segment));
  if (first < 0) return { base: pattern, rest: "" };
  const base = segments.slice(0, first).join("/");
  return { base: first === 0 ? "" : `${base}/`, rest: segments.slice(first).join("/") };
}

/** @param pattern relative to the working folder, or absolute; a file of exactly this name matches itself */
export async function listFiles(pattern: string): Promise<string[]> {
  if (await isFile(pattern)) return [pattern];
  const { base, rest } = splitPattern(pattern);
  if (rest === "") return [];
  const found = await glob(escapeLiterals(rest), {
    cwd: base === "" ? "." : base,
    onlyFiles: true,
    expandDirectories: false,
  });
  const spelled = rest.split("/").filter((segment) => segment.startsWith("_"));
  return found
    .filter((path) => path.split("/").every((name) => !name.startsWith("_") || isSpelled(name, spelled)))
    .map((path) => base + path)
    .sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
}

function isSpelled(name: string, patterns: readonly string[]): boolean {
  return patterns.some((pattern) => picomatch.isMatch(name, escapeLiterals(pattern)));
}

async function isFile(path: string): Promise<boolean> {
  return await lstat(path).then(
    (found) => !found.isDirectory(),
    () => false,
  );
}
