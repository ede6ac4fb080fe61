/** Verification of what the manifest says about each input file: that it is there, its bytes, its rows. */
import { toPlainError } from "../lib/errors.ts";
import { hashOf, storage } from "../storage/files.ts";
import type { Manifest, ManifestFile, ShardCounts } from "./contract.ts";
import { type RootOptions, resolveInside } from "./paths.ts";
import type { ProblemList } from "./problems.ts";

/**
 * Compares the size of every file, and the hash of those whose content is to be checked.
 * @param wanted index into manifest.files of these, ascending
 * @returns those of them that can be opened
 */
export async function checkFilesOnDisk(
  root: string,
  manifest: Manifest,
  wanted: readonly number[],
  options: RootOptions & { readonly signal?: AbortSignal },
  problems: ProblemList,
): Promise<number[]> {
  const readable: number[] = [];
  const hashed = new Set(wanted);
  for (const [index, file] of manifest.files.entries()) {
    options.signal?.throwIfAborted();
    try {
      const path = await resolveInside(root, file.path, options);
      const state = await storage.stat(path);
      if (file.version !== undefined) {
        problems.expectSame("version", `${file.path}: version`, file.version, state.version, { file: file.path });
      }
      // What is another version already is said once, and cannot be read as the manifest's.
      const isOther = file.version !== undefined && file.version !== state.version;
      const found: { size: number; sha256?: string } =
        hashed.has(index) && file.sha256 !== null && !isOther
          ? await hashOf(path, { signal: options.signal, known: state })
          : state;
      problems.expectSame("size", `${file.path}: bytes`, file.size, found.size, { file: file.path });
      if (!hashed.has(index) || isOther) continue;
      if (found.size === file.size && found.sha256 !== undefined) {
        problems.expectSame("sha256", `${file.path}: sha256`, file.sha256, found.sha256, { file: file.path });
      }
      readable.push(index);
    } catch (error) {
      if (options.signal?.aborted) throw error;
      const { code, message } = toPlainError(error);
      problems.add(code, message, { file: file.path });
    }
  }
  return readable;
}

/** Compares what counting found of a file's shape with the manifest's entry. */
export function checkFileEntry(
  claimed: ManifestFile,
  { file: found, domain }: ShardCounts,
  manifest: Manifest,
  problems: ProblemList,
): void {
  const place = { file: claimed.path };
  problems.expectSame("format", `${claimed.path}: format`, claimed.format, found.format, place);
  problems.expectSame("rows", `${claimed.path}: rows`, claimed.rows, found.rows, place);
  if (claimed.rowGroups.length !== found.rowGroups.length) {
    const [says, is] = [claimed.rowGroups.length, found.rowGroups.length];
    problems.add("row-groups", `${claimed.path}: the manifest says ${says} row groups, it has ${is}`, place);
  } else {
    for (const [rowGroup, rows] of claimed.rowGroups.entries()) {
      const what = `${claimed.path}: rows of row group ${rowGroup}`;
      problems.expectSame("row-groups", what, rows, found.rowGroups[rowGroup], { ...place, rowGroup });
    }
  }
  if (claimed.domain === null) return;
  const index = manifest.domains.findIndex(({ name }) => name === claimed.domain);
  if (domain.some((value) => value >= 0 && value !== index)) {
    problems.add("file-domain", `${claimed.path}: has documents of another domain than “${claimed.domain}”`, place);
  }
}
