/**
 * Checks every claim of a manifest against the files themselves, and names each disagreement. What a manifest says is
 * never an exception here: only a manifest that cannot be read at all is thrown, as a DoremiError. Changes nothing.
 */
import { DoremiError, toPlainError } from "../lib/errors.ts";
import type { Manifest, ManifestFile, ShardCounts } from "./contract.ts";
import { type DocumentIndex, indexDocuments } from "./document-index.ts";
import { loadManifest } from "./load.ts";
import { type RootOptions, rootOf } from "./paths.ts";
import { ProblemList, type VerifyProblem } from "./problems.ts";
import { checkFileEntry, checkFilesOnDisk } from "./verify-files.ts";
import { checkArithmetic, checkDomainCounts } from "./verify-numbers.ts";
import { checkSelection } from "./verify-selection.ts";

export interface VerifyOptions extends RootOptions {
  /**
   * Counts the given files anew, in their order, from their content alone. Domain indices are those of
   * manifest.domains. Given only files that exist.
   */
  readonly recount: (files: readonly ManifestFile[], manifest: Manifest) => AsyncIterable<ShardCounts>;
  readonly signal?: AbortSignal;
}

export interface VerifyResult {
  readonly ok: boolean;
  /** at most 100 */
  readonly problems: readonly VerifyProblem[];
  /** problems found beyond those */
  readonly omitted: number;
}

/** @param path of manifest.json  @throws DoremiError when the manifest itself is missing or malformed; AbortError */
export async function verifyManifest(path: string, options: VerifyOptions): Promise<VerifyResult> {
  const manifest = await loadManifest(path);
  const problems = new ProblemList();
  checkArithmetic(manifest, problems);

  const root = rootOf(path, manifest, options);
  const readable = await checkFilesOnDisk(root, manifest, options, problems);
  const index = await recountFiles(manifest, readable, options, problems);
  if (index) checkDomainCounts(manifest, index, problems);
  await checkSelection(path, manifest, index, problems, options.signal);
  return { ok: problems.total === 0, problems: problems.shown, omitted: problems.total - problems.shown.length };
}

/** The documents as the files have them; null where a file is missing or cannot be read, after saying so. */
async function recountFiles(
  manifest: Manifest,
  readable: readonly ManifestFile[],
  options: VerifyOptions,
  problems: ProblemList,
): Promise<DocumentIndex | null> {
  const { recount, signal } = options;
  let counted = 0;
  const counts = async function* () {
    for await (const shard of recount(readable, manifest)) {
      const claimed = readable[counted];
      if (claimed?.path !== shard.file.path) {
        throw new DoremiError(
          "internal",
          "recount-order",
          `recount gave ${shard.file.path}, expected ${claimed?.path}`,
        );
      }
      checkFileEntry(claimed, shard, manifest, problems);
      counted += 1;
      yield shard;
    }
  };
  try {
    const index = await indexDocuments({
      counts,
      domains: manifest.domains.map((domain) => domain.name),
      heldOut: manifest.heldOut,
      seed: manifest.seed,
      ...(signal && { signal }),
    });
    if (counted === manifest.files.length) return index;
    const missing = manifest.files.length - counted;
    problems.add(
      "not-checked",
      `domain counts and selected rows: not recomputed, ${missing} files could not be counted`,
    );
  } catch (error) {
    if (signal?.aborted) throw error;
    const { message, file, rowGroup, line } = toPlainError(error);
    problems.add("recount-failed", `recount stopped after ${counted} files: ${message}`, {
      ...(file !== undefined && { file }),
      ...(rowGroup !== undefined && { rowGroup }),
      ...(line !== undefined && { line }),
    });
    problems.add("not-checked", "domain counts and selected rows: not recomputed, because the recount failed");
  }
  return null;
}
