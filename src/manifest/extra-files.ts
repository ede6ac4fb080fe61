/**
 * Files that lie among a manifest's and look like them, and that it does not name: shards that came later, or were left
 * out. Looks at names only, in the folders that have files of the manifest.
 */
import { readdir } from "node:fs/promises";
import { posix } from "node:path";
import type { Manifest } from "./contract.ts";
import { type RootOptions, resolveInside } from "./paths.ts";

/** Paths relative to the root, sorted. Folders that cannot be read have none: their files are missing, which is said there. */
export async function extraFiles(root: string, manifest: Manifest, options: RootOptions): Promise<string[]> {
  const named = new Set(manifest.files.map((file) => file.path));
  const kinds = new Map<string, Set<string>>();
  for (const { path } of manifest.files) {
    const folder = posix.dirname(path);
    const ofFolder = kinds.get(folder) ?? new Set<string>();
    kinds.set(folder, ofFolder.add(kindOf(posix.basename(path))));
  }
  const extra: string[] = [];
  for (const [folder, ofFolder] of kinds) {
    const entries = await list(root, folder, options);
    for (const entry of entries) {
      const path = folder === "." ? entry : `${folder}/${entry}`;
      if (!named.has(path) && !/^[._]/.test(entry) && ofFolder.has(kindOf(entry))) extra.push(path);
    }
  }
  return extra.sort();
}

async function list(root: string, folder: string, options: RootOptions): Promise<string[]> {
  try {
    const path = folder === "." ? root : await resolveInside(root, folder, options);
    const entries = await readdir(path, { withFileTypes: true });
    return entries.filter((entry) => entry.isFile() || entry.isSymbolicLink()).map((entry) => entry.name);
  } catch {
    return [];
  }
}

/** What a name has in common with others of its kind: its suffixes, or all of it where there is none, without its numbers. */
function kindOf(name: string): string {
  const suffix = name.indexOf(".", 1);
  return (suffix < 0 ? name : name.slice(suffix)).replace(/\d+/g, "#");
}
