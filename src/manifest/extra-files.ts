/**
 * Files that lie among a manifest's and look like them, and that it does not name: shards that came later, or were left
 * out. Looks at names only, in the folders of this machine that have files of the manifest.
 */
import { readdir } from "node:fs/promises";
import { posix } from "node:path";
import { isRemote } from "../storage/location.ts";
import type { Manifest } from "./contract.ts";
import { type RootOptions, resolveInside } from "./paths.ts";

/** Paths relative to the root, sorted. Folders that cannot be read have none: their files are missing, which is said there. */
export async function extraFiles(root: string, manifest: Manifest, options: RootOptions): Promise<string[]> {
  const named = new Set(manifest.files.map((file) => file.path));
  const folders = new Map<string, FolderNames>();
  for (const { path } of manifest.files) {
    if (isRemote(path)) continue;
    const folder = posix.dirname(path);
    const names = folders.get(folder) ?? new FolderNames();
    names.add(posix.basename(path));
    folders.set(folder, names);
  }
  const extra: string[] = [];
  for (const [folder, names] of folders) {
    for (const entry of await list(root, folder, options)) {
      const path = folder === "." ? entry : `${folder}/${entry}`;
      if (!named.has(path) && names.looksLike(entry)) extra.push(path);
    }
  }
  return extra.sort();
}

async function list(root: string, folder: string, options: RootOptions): Promise<string[]> {
  try {
    if (isRemote(root)) return [];
    const path = folder === "." ? root : await resolveInside(root, folder, options);
    const entries = await readdir(path, { withFileTypes: true });
    return entries.filter((entry) => entry.isFile() || entry.isSymbolicLink()).map((entry) => entry.name);
  } catch {
    return [];
  }
}

/**
 * The names of a folder's shards, by suffix. Where they differ in numbers only (part-00000.parquet), others of the same
 * suffix are something else (valid.parquet); where they do not (alice.jsonl, bob.jsonl), any name of the suffix is alike.
 */
class FolderNames {
  readonly #patterns = new Map<string, Set<string>>();

  add(name: string): void {
    const suffix = suffixOf(name);
    const patterns = this.#patterns.get(suffix) ?? new Set();
    this.#patterns.set(suffix, patterns.add(withoutNumbers(name)));
  }

  looksLike(name: string): boolean {
    if (/^[._]/.test(name)) return false;
    const patterns = this.#patterns.get(suffixOf(name));
    return patterns !== undefined && (patterns.size > 1 || patterns.has(withoutNumbers(name)));
  }
}

/** Without its numbers: `.v1-00001-of-00003.parquet` is that of all shards of the set. */
function suffixOf(name: string): string {
  const dot = name.indexOf(".", 1);
  return dot < 0 ? "" : withoutNumbers(name.slice(dot));
}

function withoutNumbers(name: string): string {
  return name.replace(/\d+/g, "#");
}
