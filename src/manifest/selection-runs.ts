/**
 * The rows of a selection in columns, with the files and domains that they name looked up in the manifest: how reading
 * and verification go through a selection of any length. Finds no fault with what a row says.
 */
import type { Manifest } from "./contract.ts";
import { readSelectionColumns } from "./selection-columns.ts";

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
  for await (const columns of readSelectionColumns(path, fromRow)) {
    yield {
      ...columns,
      file: indicesOf(columns.file, files),
      domain: indicesOf(columns.domain, domains),
      nameOf: (run) => ({ file: columns.file[run]!, domain: columns.domain[run]! }),
    };
  }
}

function indicesOf(names: readonly string[], places: ReadonlyMap<string, number>): Int32Array {
  const indices = new Int32Array(names.length);
  for (let i = 0; i < names.length; i++) indices[i] = places.get(names[i]!) ?? -1;
  return indices;
}
