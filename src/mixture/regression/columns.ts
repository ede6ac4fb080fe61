/**
 * Which column of a table of runs is meant by a name. Published tables write `train_the_pile_arxiv` or
 * `metric/the_pile_pile_cc_val_loss` where a pipeline says arxiv or Pile-CC, so a name is found by its words.
 */
import { DoremiError } from "../../lib/errors.ts";
import { didYouMean } from "../../lib/nearest.ts";

/** Columns that name a run and are neither a domain nor a loss; the first of them that two tables share joins them. */
const RUN_COLUMNS = ["run", "run_id", "index", "id", "name"];

/** `""` is what pandas calls the index that it writes. */
export function isLabel(column: string): boolean {
  return column === "" || RUN_COLUMNS.includes(column.toLowerCase());
}

export function runKey(a: readonly string[], b: readonly string[]): string | undefined {
  for (const key of [...RUN_COLUMNS, ""]) {
    const column = a.find((name) => name.toLowerCase() === key);
    if (column !== undefined && b.includes(column)) return column;
  }
  return undefined;
}

/**
 * The column of this very name, or else the only one that holds its words in a row.
 *
 * @throws DoremiError missing-column, ambiguous-column
 */
export function columnFor(name: string, columns: readonly string[], file: string, what: "domain" | "target"): string {
  if (columns.includes(name)) return name;
  const wanted = words(name);
  const found = wanted.length === 0 ? [] : columns.filter((column) => holds(words(column), wanted));
  const [only, ...others] = found;
  if (only !== undefined && others.length === 0) return only;
  const remedy =
    what === "domain" ? "name its column in regression.columns" : "give the column's whole name as the target";
  if (only === undefined) {
    throw new DoremiError(
      "bad-configuration",
      "missing-column",
      `${file}: has no column of the ${what} “${name}”${didYouMean(name, columns) || `; its columns are ${columns.join(", ")}`}; ${remedy}`,
      { file },
    );
  }
  throw new DoremiError(
    "bad-configuration",
    "ambiguous-column",
    `${file}: ${found.length} columns fit the ${what} “${name}” (${found.join(", ")}); ${remedy}`,
    { file },
  );
}

function words(name: string): string[] {
  return name.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
}

function holds(all: readonly string[], wanted: readonly string[]): boolean {
  return all.some((_, from) => wanted.every((word, i) => all[from + i] === word));
}
