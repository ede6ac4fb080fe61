/**
 * The rows of a selection in columns, with the files and domains that they name looked up in the manifest: how reading
 * and verification go through a selection of any length. Finds no fault with what a row says.
 */
import type { Manifest } from "./contract.ts";
import { readSelection } from "./selection-file.ts";

/** Consecutive rows of the selection; all arrays are as long as `count`. */
export interface SelectionRuns {
  /** row of the selection that the first is */
  readonly start: number;
  readonly count: number;
  /** index into manifest.files, −1 where the manifest has no such file */
  readonly file: Int32Array;
  /** index into manifest.domains, −1 where the manifest has no such domain */
  readonly domain: Int32Array;
  readonly rowGroup: Float64Array;
  /** from the start of the file */
  readonly rowStart: Float64Array;
  readonly rowEnd: Float64Array; // exclusive
  readonly epoch: Float64Array;
  /** sum over the run */
  readonly tokens: Float64Array;
  /** as the row spells them, for messages */
  nameOf(run: number): { readonly file: string; readonly domain: string };
}

/**
 * @param path of selection.parquet
 * @param fromRow rows before it are neither given nor decoded, but for those of its row group
 * @throws DoremiError missing-file, bad-selection
 */
export async function* selectionRuns(
  path: string,
  manifest: Pick<Manifest, "files" | "domains">,
  fromRow = 0,
): AsyncGenerator<SelectionRuns, void> {
  const files = new Map(manifest.files.map((file, index) => [file.path, index]));
  const domains = new Map(manifest.domains.map((domain, index) => [domain.name, index]));
  let start = fromRow;
  for await (const rows of readSelection(path, fromRow)) {
    const count = rows.length;
    const runs = {
      start,
      count,
      file: new Int32Array(count),
      domain: new Int32Array(count),
      rowGroup: new Float64Array(count),
      rowStart: new Float64Array(count),
      rowEnd: new Float64Array(count),
      epoch: new Float64Array(count),
      tokens: new Float64Array(count),
      nameOf: (run: number) => rows[run]!,
    };
    for (let i = 0; i < count; i++) {
      const row = rows[i]!;
      runs.file[i] = files.get(row.file) ?? -1;
      runs.domain[i] = domains.get(row.domain) ?? -1;
      runs.rowGroup[i] = row.rowGroup;
      runs.rowStart[i] = row.rowStart;
      runs.rowEnd[i] = row.rowEnd;
      runs.epoch[i] = row.epoch;
      runs.tokens[i] = row.tokens;
    }
    yield runs;
    start += count;
  }
}
