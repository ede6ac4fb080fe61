/** Which row of losses belongs to which row of mixtures, where they stand in two tables. */
import type { CsvTable } from "../../lib/csv.ts";
import { DoremiError } from "../../lib/errors.ts";
import { runKey } from "./columns.ts";

export interface RunTables {
  readonly mixtures: CsvTable;
  /** may be the same table */
  readonly losses: CsvTable;
}

/** For each row of the mixtures, its row of the losses. */
export function pairRows({ mixtures, losses }: RunTables): { rows: number[]; notes: string[] } {
  const inOrder = [...mixtures.rows.keys()];
  if (mixtures === losses) return { rows: inOrder, notes: [] };
  const key = runKey(mixtures.header, losses.header);
  if (key === undefined) {
    if (mixtures.rows.length === losses.rows.length) {
      return { rows: inOrder, notes: [`${mixtures.file} and ${losses.file} share no column: paired row by row`] };
    }
    throw new DoremiError(
      "bad-data",
      "bad-run",
      `${mixtures.file} and ${losses.file}: need a column of the run's number or name in both (run, run_id, index, id, name), or as many rows; found ${mixtures.rows.length} and ${losses.rows.length}`,
      { file: losses.file },
    );
  }
  const rowsByRun = byRun(losses, key);
  byRun(mixtures, key); // twice there is as wrong
  const rows = inOrder.map((row) => {
    const run = mixtures.rows[row]![mixtures.header.indexOf(key)]!.trim();
    const found = rowsByRun.get(run);
    if (found !== undefined) return found;
    throw new DoremiError(
      "bad-data",
      "bad-run",
      `${mixtures.file}:${mixtures.lines[row]}: run “${run}” has no losses in ${losses.file}; leave it out, or add them`,
      { file: mixtures.file, line: mixtures.lines[row]! },
    );
  });
  const unused = losses.rows.length - rows.length;
  const notes =
    unused > 0 ? [`${losses.file}: ${unused} of its runs have no mixture in ${mixtures.file}; left out`] : [];
  return { rows, notes };
}

function byRun(table: CsvTable, key: string): Map<string, number> {
  const column = table.header.indexOf(key);
  const rows = new Map<string, number>();
  for (const [row, cells] of table.rows.entries()) {
    const run = cells[column]!.trim();
    const line = table.lines[row]!;
    if (rows.has(run)) {
      const message = `${table.file}:${line}: “${key}” must tell runs apart, “${run}” stands on line ${table.lines[rows.get(run)!]} too`;
      throw new DoremiError("bad-data", "bad-run", message, { file: table.file, line });
    }
    rows.set(run, row);
  }
  return rows;
}
