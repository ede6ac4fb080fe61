/**
 * Verification of selection.parquet: its bytes, each of its rows, their order, the sums, and that the seed gives exactly
 * these rows. Goes through the file once, in columns; memory does not grow with its length but for a bit a document.
 */
import { toPlainError } from "../lib/errors.ts";
import { hashOf } from "../storage/files.ts";
import { folderOf } from "../storage/location.ts";
import type { Manifest } from "./contract.ts";
import { resolveInside } from "./paths.ts";
import type { ProblemList } from "./problems.ts";
import type { Recounted } from "./recounted.ts";
import { selectDocuments } from "./select.ts";
import type { SelectionChunk } from "./selection/run-buffer.ts";
import { type SelectionRuns, selectionRuns } from "./selection-runs.ts";
import { OrderChecker } from "./verify-order.ts";
import { RunChecker } from "./verify-runs.ts";

export interface CheckedSelection {
  /** that were read */
  readonly rows: number;
  /** that these rows hold, repeats included */
  readonly documents: number;
  /** rows whose documents were compared with the files */
  readonly comparedRows: number;
  /** whether all rows were compared with those that the seed gives */
  readonly reproduced: boolean;
  /** whether all rows were looked for in others of their epoch */
  readonly overlaps: boolean;
}

/** @param recounted what the files hold; null where that could not be found out, so that only the rows' form is checked */
export async function checkSelection(
  manifestPath: string,
  manifest: Manifest,
  recounted: Recounted | null,
  problems: ProblemList,
  signal?: AbortSignal,
): Promise<CheckedSelection> {
  const before = problems.total;
  const rows = new RunChecker(manifest, recounted, problems);
  const order = new OrderChecker(manifest, problems);
  let reproduced = false;
  try {
    const reproduction = recounted?.complete && before === 0 ? new Reproduction(manifest, recounted) : null;
    const path = await resolveInside(folderOf(manifestPath), manifest.selection.path);
    const { sha256 } = await hashOf(path, { signal });
    problems.expectSame("selection-sha256", `${manifest.selection.path}: sha256`, manifest.selection.sha256, sha256, {
      file: manifest.selection.path,
    });
    for await (const runs of selectionRuns(path, manifest)) {
      signal?.throwIfAborted();
      for (let run = 0; run < runs.count; run++) {
        if (rows.check(runs, run)) order.check(runs, run);
      }
      reproduction?.compare(runs, problems);
    }
    reproduced = reproduction?.finish(rows.count, problems) ?? false;
    // Sums over a part of the rows would only repeat that the file cannot be read.
    rows.finish();
    order.finish();
  } catch (error) {
    if (signal?.aborted) throw error;
    const { code, message } = toPlainError(error);
    problems.add(code, message, { file: manifest.selection.path });
  }
  return {
    rows: rows.count,
    documents: rows.documents,
    comparedRows: rows.compared,
    reproduced,
    overlaps: !rows.taken.full,
  };
}

/** The rows that the seed gives, as far as they have been the same: once one differs, so do those behind it. */
class Reproduction {
  readonly #seed: number;
  #chunks: Iterator<SelectionChunk, void> | null;
  #chunk: SelectionChunk | undefined;
  #at = 0; // in the chunk

  /** @param recounted of all files, so that files and domains have the same places in it as in the manifest */
  constructor(manifest: Manifest, { index }: Recounted) {
    this.#seed = manifest.seed;
    const targets = manifest.domains.map((domain) => domain.targetTokens);
    this.#chunks = selectDocuments(index, targets, manifest.seed, manifest).chunks();
  }

  compare(runs: SelectionRuns, problems: ProblemList): void {
    for (let run = 0; run < runs.count && this.#chunks; run++) {
      const chunk = this.#next();
      if (chunk && isSame(runs, run, chunk, this.#at)) {
        this.#at += 1;
        continue;
      }
      const { file, domain } = runs.nameOf(run);
      const message = `selection row ${runs.start + run}: seed ${this.#seed} gives another row here`;
      problems.add("not-reproduced", message, { file, domain });
      this.#chunks = null;
    }
  }

  /** @returns whether there were no others */
  finish(rows: number, problems: ProblemList): boolean {
    if (this.#chunks === null) return false;
    if (this.#next() === undefined) return true;
    problems.add("not-reproduced", `selection: ends after ${rows} rows, seed ${this.#seed} gives more`);
    return false;
  }

  /** The chunk that holds the next row, at `#at`. */
  #next(): SelectionChunk | undefined {
    if (this.#chunk === undefined || this.#at === this.#chunk.count) {
      this.#chunk = this.#chunks!.next().value ?? undefined;
      this.#at = 0;
    }
    return this.#chunk;
  }
}

function isSame(runs: SelectionRuns, run: number, chunk: SelectionChunk, at: number): boolean {
  return (
    runs.file[run] === chunk.file[at] &&
    runs.domain[run] === chunk.domain[at] &&
    runs.rowGroup[run] === chunk.rowGroup[at] &&
    runs.rowStart[run] === chunk.rowStart[at] &&
    runs.rowEnd[run] === chunk.rowEnd[at] &&
    runs.epoch[run] === chunk.epoch[at] &&
    runs.tokens[run] === chunk.tokens[at]
  );
}
