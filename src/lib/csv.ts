/**
 * Comma-separated values as RFC 4180 has them: a header, quoted fields, lines that end in LF or CRLF. Cells stay text;
 * what they mean is the reader's to say.
 */
import { DoremiError } from "./errors.ts";

export interface CsvTable {
  /** for messages */
  readonly file: string;
  readonly header: readonly string[];
  readonly rows: readonly (readonly string[])[];
  /** 1-based line on which each row begins */
  readonly lines: readonly number[];
}

/** @throws DoremiError bad-csv */
export function parseCsv(text: string, file: string): CsvTable {
  const records = [...recordsOf(text.replace(/^\uFEFF/, ""), file)].filter(
    ({ cells }) => cells.length > 1 || cells[0]!.trim() !== "",
  );
  const [head, ...rows] = records;
  if (!head || rows.length === 0) {
    throw new DoremiError("bad-data", "bad-csv", `${file}: needs a header and a row at least, found none`, { file });
  }
  const header = head.cells.map((cell) => cell.trim());
  const twice = header.find((name, i) => header.indexOf(name) < i);
  if (twice !== undefined) {
    throw new DoremiError(
      "bad-data",
      "bad-csv",
      `${file}: each column needs a name of its own, “${twice}” stands twice`,
      {
        file,
        line: head.line,
      },
    );
  }
  for (const { cells, line } of rows) {
    if (cells.length === header.length) continue;
    throw new DoremiError(
      "bad-data",
      "bad-csv",
      `${file}:${line}: must have as many cells as the header, ${header.length}, found ${cells.length}`,
      { file, line },
    );
  }
  return { file, header, rows: rows.map((row) => row.cells), lines: rows.map((row) => row.line) };
}

interface CsvRecord {
  readonly cells: string[];
  readonly line: number;
}

function* recordsOf(text: string, file: string): Generator<CsvRecord> {
  let line = 1;
  let record: CsvRecord = { cells: [], line };
  // A cell, and what ends it: a comma, a line's end, or the text's.
  const cell = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r?\n|\r|$)/y;
  for (let at = 0; at <= text.length; at = cell.lastIndex) {
    cell.lastIndex = at;
    const match = cell.exec(text);
    if (!match) {
      throw new DoremiError(
        "bad-data",
        "bad-csv",
        `${file}:${line}: a quote must open and close a whole cell, found ${JSON.stringify(text.slice(at, at + 20))}`,
        { file, line },
      );
    }
    const [all, quoted, plain = "", end] = match;
    record.cells.push(quoted === undefined ? plain : quoted.replaceAll('""', '"'));
    line += all.match(/\r\n|\n|\r/g)?.length ?? 0;
    if (end === ",") continue;
    yield record;
    if (end === "") return;
    record = { cells: [], line };
  }
}

/** A line with its end; what is null or undefined is an empty cell. */
export function csvLine(cells: readonly (string | number | null | undefined)[]): string {
  return `${cells.map(csvCell).join(",")}\n`;
}

/** A cell as it has to be written. */
export function csvCell(value: string | number | null | undefined): string {
  const text = value === null || value === undefined ? "" : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
