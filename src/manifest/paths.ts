/**
 * Turns the paths that a manifest names into paths on this machine. A manifest may come from anywhere, so nothing that
 * it names may lie outside its root: not by `..`, not by an absolute path, not through a symbolic link.
 */
import { realpath } from "node:fs/promises";
import { isAbsolute, join, sep } from "node:path";
import { DoremiError } from "../lib/errors.ts";
import { isInside } from "../lib/relative-path.ts";
import { folderOf, isRemote, joinLocation, parseObjectUri, resolveLocation } from "../storage/location.ts";
import type { FileStat } from "../storage/storage.ts";
import type { Manifest, ManifestFile } from "./contract.ts";

export interface RootOptions {
  /** folder that the manifest's file paths start from, in place of the one that the manifest names */
  readonly root?: string;
  /** allow symbolic links that lead out of the root, as in caches that link to a store of blobs */
  readonly followLinks?: boolean;
}

/** Absolute path, or URI, of the root. */
export function rootOf(manifestPath: string, manifest: Manifest, options: RootOptions): string {
  if (options.root !== undefined) return resolveLocation(process.cwd(), options.root);
  if (isAbsolute(manifest.root) || isRemote(manifest.root) || manifest.root.includes("\0")) {
    throw new DoremiError(
      "bad-data",
      "path-outside-root",
      `${manifestPath}: root must be relative to the manifest's folder, got ${JSON.stringify(manifest.root)}; ` +
        "name the folder yourself with --root",
      { file: manifestPath },
    );
  }
  return resolveLocation(folderOf(resolveLocation(process.cwd(), manifestPath)), manifest.root);
}

/** The state that the manifest found an object in. */
export function knownState({ size, version }: ManifestFile): FileStat | undefined {
  return version === undefined ? undefined : { size, version };
}

/**
 * Absolute path, or URI, of a file named relative to `root`; of an object, its own URI. The file need not exist.
 *
 * @throws DoremiError path-outside-root, bad-uri
 */
export async function resolveInside(root: string, path: string, options: RootOptions = {}): Promise<string> {
  if (isRemote(path)) {
    parseObjectUri(path);
    return path;
  }
  if (!isInside(path)) throw outside(path, root, "must be relative, without “..”, “.” or empty parts");
  if (isRemote(root)) return joinLocation(root, path);
  const full = join(root, ...path.split("/"));
  if (options.followLinks) return full;
  const [realRoot, real] = await Promise.all([realOrSelf(root), realOrSelf(full)]);
  const prefix = realRoot.endsWith(sep) ? realRoot : realRoot + sep;
  if (real !== full && !real.startsWith(prefix)) {
    throw outside(path, root, `is a symbolic link that leads out of it, to ${real}`);
  }
  return full;
}

/** The path without symbolic links; itself where it does not exist or loops. */
async function realOrSelf(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch {
    return path;
  }
}

function outside(path: string, root: string, found: string): DoremiError {
  return new DoremiError(
    "bad-data",
    "path-outside-root",
    `${JSON.stringify(path)}: a manifest's paths may not leave its root ${root}, and this one ${found}; ` +
      "choose a --root that holds the file itself, or do not trust this manifest",
    { file: path },
  );
}
