/**
 * Checks every claim of a manifest against the files themselves, or as many as a sample of the files allows, and names
 * each disagreement. What a manifest says is never an exception here: only a manifest that cannot be read at all is
 * thrown, as a DoremiError. Changes nothing.
 */
import { DoremiError, toPlainError } from "../lib/errors.ts";
import type { Manifest, ManifestFile, ShardCounts } from "./contract.ts";
import { indexDocuments } from "./document-index.ts";
import { extraFiles } from "./extra-files.ts";
import { loadManifest } from "./load.ts";
import { rootOf } from "./paths.ts";
import { ProblemList, type VerifyProblem } from "./problems.ts";
import { Recounted } from "./recounted.ts";
import { checkFileEntry, checkFilesOnDisk, type FileCheckOptions } from "./verify-files.ts";
import { checkArithmetic, checkDomainCounts } from "./verify-numbers.ts";
import { checkSample, type Sample, type SampleRequest, sampledFiles } from "./verify-sample.ts";
import { checkSelection } from "./verify-selection.ts";

export interface VerifyOptions extends FileCheckOptions {
  /**
   * Counts the given files anew, in their order, from their content alone. Domain indices are those of
   * manifest.domains. Given only files that exist.
   */
  readonly recount: (files: readonly ManifestFile[], manifest: Manifest) => AsyncIterable<ShardCounts>;
  /** hash and count a share of the files only; default: all of them */
  readonly sample?: SampleRequest;
  /** files among the manifest's that it does not name are problems, not notes */
  readonly strict?: boolean;
}

export interface VerifyResult {
  readonly ok: boolean;
  /** at most 100 */
  readonly problems: readonly VerifyProblem[];
  /** problems found beyond those */
  readonly omitted: number;
  /** what disagrees with nothing that the manifest says, at most 100 */
  readonly notes: readonly VerifyProblem[];
  readonly checked: VerifyExtent;
}

/** How far a verification went. */
export interface VerifyExtent {
  /** null = all files */
  readonly sample: Sample | null;
  /** of the manifest; those whose bytes were hashed; those whose rows were counted again */
  readonly files: { readonly total: number; readonly hashed: number; readonly counted: number };
  readonly selection: {
    /** rows that were read, and the documents in them, repeats included */
    readonly rows: number;
    readonly documents: number;
    /** rows whose documents were compared with the files */
    readonly comparedRows: number;
    /** whether all rows are those that the seed gives */
    readonly reproduced: boolean;
  };
  /** claims that were not checked, in words; empty when all were */
  readonly notChecked: readonly string[];
}

/**
 * @param path of manifest.json
 * @throws DoremiError when the manifest itself is missing or malformed, bad-sample; AbortError
 */
export async function verifyManifest(path: string, options: VerifyOptions): Promise<VerifyResult> {
  const manifest = await loadManifest(path);
  const wanted = filesToCheck(manifest, options.sample);
  const problems = new ProblemList();
  const notes = new ProblemList();
  checkArithmetic(manifest, problems);

  const sample = options.sample ? { seed: manifest.seed, ...options.sample } : null;
  const root = rootOf(path, manifest, options);
  const readable = await checkFilesOnDisk(root, manifest, wanted, options, problems);
  await noteExtraFiles(root, manifest, options, problems, notes);
  const { recounted, counted } = await recountFiles(manifest, readable, options, problems);
  if (recounted?.complete) checkDomainCounts(manifest, recounted.index, problems);
  else if (!sample)
    problems.add("not-checked", `domain counts and the seed's choice: ${unknownFiles(manifest, counted)}`);
  const selection = await checkSelection(path, manifest, recounted, problems, options.signal);

  const { overlaps, ...selectionExtent } = selection;
  return {
    ok: problems.total === 0,
    problems: problems.shown,
    omitted: problems.total - problems.shown.length,
    notes: notes.shown,
    checked: {
      sample,
      files: { total: manifest.files.length, hashed: readable.length, counted },
      selection: selectionExtent,
      notChecked: [
        ...(recounted?.complete
          ? []
          : [
              `the bytes, rows and tokens of ${manifest.files.length - counted} of ${manifest.files.length} files, and ` +
                "what is selected of them",
              "documents, bytes and tokens of each domain",
              "that no document is selected that is held out",
            ]),
        ...(selection.reproduced ? [] : [`that seed ${manifest.seed} gives exactly these rows`]),
        ...(overlaps ? [] : ["that no document is twice in an epoch, for all rows: there are too many"]),
      ],
    },
  };
}

/** Index into manifest.files of those whose content is checked, ascending. @throws DoremiError bad-sample */
export function filesToCheck(manifest: Manifest, sample: SampleRequest | undefined): readonly number[] {
  if (!sample) return [...manifest.files.keys()];
  checkSample(sample);
  return sampledFiles(manifest, { seed: manifest.seed, ...sample });
}

function unknownFiles({ files }: Manifest, counted: number): string {
  return `cannot be recomputed, ${files.length - counted} of ${files.length} files could not be counted`;
}

async function noteExtraFiles(
  root: string,
  manifest: Manifest,
  options: VerifyOptions,
  problems: ProblemList,
  notes: ProblemList,
): Promise<void> {
  // Held-out files are in nobody's list, so any of them may be one.
  const heldOut = manifest.heldOut.kind === "files";
  const list = options.strict && !heldOut ? problems : notes;
  for (const file of await extraFiles(root, manifest, options)) {
    const why = heldOut ? "; it may be one of the held-out files" : "; was it added after the corpus was counted?";
    list.add("extra-file", `${file}: lies among the manifest's files, which do not name it${why}`, { file });
  }
}

/** The documents as the files have them; null where counting failed, after saying so. */
async function recountFiles(
  manifest: Manifest,
  readable: readonly number[],
  options: VerifyOptions,
  problems: ProblemList,
): Promise<{ recounted: Recounted | null; counted: number }> {
  const { recount, signal } = options;
  const files = readable.map((index) => manifest.files[index]!);
  let counted = 0;
  const counts = async function* () {
    for await (const shard of recount(files, manifest)) {
      const claimed = files[counted];
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
      // Which documents are held out depends on all files.
      heldOut: readable.length === manifest.files.length ? manifest.heldOut : { kind: "none" },
      seed: manifest.seed,
      ...(signal && { signal }),
    });
    return { recounted: new Recounted(index, readable, manifest), counted };
  } catch (error) {
    if (signal?.aborted) throw error;
    const { message, file, rowGroup, line } = toPlainError(error);
    problems.add("recount-failed", `recount stopped after ${counted} files: ${message}`, {
      ...(file !== undefined && { file }),
      ...(rowGroup !== undefined && { rowGroup }),
      ...(line !== undefined && { line }),
    });
    return { recounted: null, counted };
  }
}
