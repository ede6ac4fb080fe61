/**
 * The files of a folder, a URI or a pattern, sorted out by their names: shards by extension, and the folder that all lie
 * in. Opens none of them.
 */
import { stat } from "node:fs/promises";
import { resolve } from "node:path";
import { DoremiError } from "../../lib/errors.ts";
import { corpusFiles, passedOverText, withoutWritten } from "../../stages/discover/files.ts";
import { storage } from "../../storage/files.ts";
import { isRemote, shownLocation, withoutFileScheme } from "../../storage/location.ts";

export interface Listing {
  /** folder or URI prefix that the paths start from, without a slash at its end */
  readonly root: string;
  /** below the root, with slashes, sorted */
  readonly paths: readonly string[];
  /** a pattern that the user gave, absolute or of URIs; null where it is for us to find one */
  readonly pattern: string | null;
  /** of a pattern with {domain}: what it makes of the files, in the order of the paths */
  readonly domains: readonly (string | null)[] | null;
  /** folders that doremi wrote, and which are no part of it: results of runs, sets that were materialized */
  readonly passedOver: readonly string[];
}

/** @throws DoremiError missing-file, no-match, empty-folder; bad-pattern, and what a store refuses */
export async function listCorpus(source: string): Promise<Listing> {
  const location = isRemote(source) ? source.replace(/\/+$/, "") : resolve(withoutFileScheme(source));
  if (/[*?{}]/.test(source) && !(await isThere(location))) return listPattern(source, location);
  const isFolder = isRemote(location) ? await isPrefix(location) : (await stat(location)).isDirectory();
  if (!isFolder) {
    const at = location.lastIndexOf("/");
    return {
      root: location.slice(0, at),
      paths: [location.slice(at + 1)],
      pattern: null,
      domains: null,
      passedOver: [],
    };
  }
  const listed = (await storage.list(`${escapeGlob(location)}/**/*`)).map((path) => ({ path }));
  const { files, passedOver } = isRemote(location)
    ? { files: listed, passedOver: [] }
    : await withoutWritten(listed, `${location}/`);
  const found = files.map(({ path }) => path);
  if (found.length === 0) {
    throw new DoremiError(
      "missing-input",
      "empty-folder",
      `${shownLocation(source)}: there must be shards in it (Parquet, Arrow or JSON Lines), and it holds no file; names that begin with . or _ are passed over${passedOverText(passedOver)}`,
      { file: shownLocation(source) },
    );
  }
  const paths = found.map((path) => path.slice(location.length + 1));
  return { root: location, paths, pattern: null, domains: null, passedOver };
}

async function listPattern(source: string, pattern: string): Promise<Listing> {
  const { files: found, passedOver } = await corpusFiles(pattern);
  if (found.length === 0) {
    throw new DoremiError(
      "missing-input",
      "no-match",
      `no file matches ${shownLocation(source)}; check the pattern (quote it, so that the shell leaves it alone)${passedOverText(passedOver)}`,
      { file: shownLocation(source) },
    );
  }
  const fixed = pattern.split("/");
  const root = fixed
    .slice(
      0,
      Math.max(
        1,
        fixed.findIndex((part) => /[*?[\]{}]/.test(part)),
      ),
    )
    .join("/");
  const hasDomain = pattern.includes("{domain}");
  return {
    root,
    paths: found.map(({ path }) => path.slice(root.length + 1)),
    pattern,
    domains: hasDomain ? found.map(({ domain }) => domain) : null,
    passedOver,
  };
}

async function isThere(location: string): Promise<boolean> {
  if (isRemote(location)) return false;
  return stat(location).then(
    () => true,
    () => false,
  );
}

/** Is it a prefix that objects lie under, and not an object itself? */
async function isPrefix(location: string): Promise<boolean> {
  if (/^https?:/i.test(location)) return false;
  const bucketOnly = /^\w+:\/\/[^/]+$/.test(location);
  return bucketOnly || (await storage.list(location)).length === 0;
}

/** Glob characters of names, escaped so that a pattern with the name in it means the name. */
export function escapeGlob(name: string): string {
  return name.replace(/[*?[\]{}]/g, "\\$&");
}

/** What tells shards from other files, and one kind from another: the name from the first dot that begins an extension. */
export function extensionOf(path: string): string {
  const name = path.slice(path.lastIndexOf("/") + 1);
  return /\.[a-z]+[a-z0-9]*(?:\.(?:gz|gzip|zst|zstd))?$/i.exec(name)?.[0] ?? "";
}
