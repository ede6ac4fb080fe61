/**
 * Files that match a shell pattern (`*`, `**`, `?`, `[..]`, `{a,b}`), sorted by code unit. Names that begin with a dot
 * or an underscore are what tools leave beside data (_SUCCESS, .part-0.crc, _temporary/), so they match only where the
 * pattern spells them.
 */
import { readdir, realpath, stat } from "node:fs";
import { lstat } from "node:fs/promises";
import { relative } from "node:path";
import picomatch from "picomatch";
import { type FileSystemAdapter, glob } from "tinyglobby";
import { withPlace } from "../lib/errors.ts";

/** Characters that make a path segment a pattern. */
const MAGIC = /[*?[\]{}]/;

/** What is ordinary in a path here and syntax to the matcher: extended globs and negation. */
export function escapeLiterals(pattern: string): string {
  return pattern.replace(/\[(!?)(?=[^/]*\])([^\]]*)\]|[()|!+@]/g, (found, not: string | undefined, members: string) =>
    not === undefined ? `\\${found}` : `[${not && "^"}${members}]`,
  );
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

/**
 * @param pattern relative to the working folder, or absolute; a file of exactly this name matches itself
 * @throws DoremiError missing-file, no-permission: a folder on the way can't be listed, or what matches is a dead link
 */
export async function listFiles(pattern: string): Promise<string[]> {
  if (await isFile(pattern)) return [pattern];
  const { base, rest } = splitPattern(pattern);
  if (rest === "") return [];
  const cwd = base === "" ? "." : base;
  const failures: Failure[] = [];
  const found = await glob(escapeLiterals(rest), {
    cwd,
    onlyFiles: true,
    expandDirectories: false,
    fs: watched(failures),
  });
  const missed = failures.find(
    ({ path, isLink }) => !isLink || picomatch.isMatch(relative(cwd, path), escapeLiterals(rest)),
  );
  if (missed !== undefined) throw withPlace(missed.error, { file: missed.path });
  return found
    .filter(hiddenFilter(rest))
    .map((path) => base + path)
    .sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
}

/** Of paths that match a pattern, those whose hidden names the pattern spells. */
export function hiddenFilter(pattern: string): (path: string) => boolean {
  const spelled = pattern.split("/").filter((segment) => /^[._]/.test(segment));
  return (path) => path.split("/").every((name) => !/^[._]/.test(name) || isSpelled(name, spelled));
}

interface Failure {
  readonly path: string;
  readonly error: Error;
  /** a link whose target is gone or can't be reached; else a folder that can't be listed */
  readonly isLink: boolean;
}

/** The file system, which the matcher asks; it passes over what fails, and that would be data that is left out. */
function watched(failures: Failure[]): FileSystemAdapter {
  type Callback = (error: NodeJS.ErrnoException | null, result?: unknown) => void;
  const watch =
    (ask: (path: string, options: unknown, callback: Callback) => void, isLink: boolean) =>
    (path: string, ...rest: unknown[]) => {
      const callback = rest.pop() as Callback;
      const options = rest[0] ?? {};
      ask(path, options, (error, result) => {
        // the pattern's first folder may be missing: then nothing matches
        if (error && !(error.code === "ENOENT" && !isLink)) failures.push({ path, error, isLink });
        callback(error, result);
      });
    };
  return {
    readdir: watch(readdir as never, false),
    realpath: watch(realpath as never, true),
    stat: watch(stat as never, true),
  } as FileSystemAdapter;
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
