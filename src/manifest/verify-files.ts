/** Verification of what the manifest says about each input file: that it is there, its bytes, its rows. */
import { toPlainError } from "../lib/errors.ts";
import { hashOf, storage } from "../storage/files.ts";
import type { FileStat } from "../storage/storage.ts";
import type { Manifest, ManifestFile, ShardCounts } from "./contract.ts";
import { type RootOptions, resolveInside } from "./paths.ts";
import type { ProblemList } from "./problems.ts";

/** Size and SHA-256 of a file, which has to be in this state. @throws DoremiError */
export type HashFile = (path: string, known: FileStat) => Promise<{ readonly size: number; readonly sha256: string }>;

export interface FileCheckOptions extends RootOptions {
  /** default: here, one chunk after the other */
  readonly hash?: HashFile;
  readonly signal?: AbortSignal;
}

/** Files that are hashed at the same time. */
const HASHED_AT_ONCE = 16;

interface Found {
  readonly version: string;
  readonly size: number;
  readonly sha256?: string;
}

/**
 * Compares the size of every file, and the hash of those whose content is to be checked.
 * @param wanted index into manifest.files of these, ascending
 * @returns those of them that can be opened
 */
export async function checkFilesOnDisk(
  root: string,
  manifest: Manifest,
  wanted: readonly number[],
  options: FileCheckOptions,
  problems: ProblemList,
): Promise<number[]> {
  const { signal } = options;
  const readable: number[] = [];
  const hashed = new Set(wanted);
  const found: Promise<Found>[] = [];
  for (const [index, file] of manifest.files.entries()) {
    signal?.throwIfAborted();
    for (let next = found.length; next < Math.min(index + HASHED_AT_ONCE, manifest.files.length); next++) {
      const state = findFile(root, manifest.files[next]!, hashed.has(next), options);
      state.catch(() => {}); // it is reported when its turn comes
      found.push(state);
    }
    try {
      const { version, size, sha256 } = await found[index]!;
      if (file.version !== undefined) {
        problems.expectSame("version", `${file.path}: version`, file.version, version, { file: file.path });
      }
      problems.expectSame("size", `${file.path}: bytes`, file.size, size, { file: file.path });
      // What is another version already is said once, and cannot be read as the manifest's.
      if (!hashed.has(index) || isOtherVersion(file, version)) continue;
      if (size === file.size && sha256 !== undefined) {
        problems.expectSame("sha256", `${file.path}: sha256`, file.sha256, sha256, { file: file.path });
      }
      readable.push(index);
    } catch (error) {
      if (signal?.aborted) throw error;
      const { code, message } = toPlainError(error);
      problems.add(code, message, { file: file.path });
    }
  }
  return readable;
}

async function findFile(
  root: string,
  file: ManifestFile,
  isHashed: boolean,
  options: FileCheckOptions,
): Promise<Found> {
  const path = await resolveInside(root, file.path, options);
  const state = await storage.stat(path);
  if (!isHashed || file.sha256 === null || isOtherVersion(file, state.version)) return state;
  const hash = options.hash ?? ((path, known) => hashOf(path, { signal: options.signal, known }));
  return { ...state, ...(await hash(path, state)) };
}

function isOtherVersion(file: ManifestFile, version: string): boolean {
  return file.version !== undefined && file.version !== version;
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
