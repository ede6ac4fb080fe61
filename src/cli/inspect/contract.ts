/** What inspecting a file gives: types only. */

export interface Inspection {
  /** what the file is, in a few words: manifest, token counts of rows, Parquet shard, … */
  readonly kind: string;
  /** for the JSON line */
  readonly facts: object;
  /** for a person */
  readonly lines: readonly string[];
}

/** How many rows of a long list a person is shown. */
export const SHOWN_ROWS = 20;
