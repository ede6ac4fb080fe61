/**
 * Reads selection.parquet, a row group at a time, in columns, whoever wrote it. Checks that the columns are there and hold
 * what they should; whether the manifest has such rows is for others.
 */
import { type AsyncBuffer, type DecodedArray, type FileMetaData, parquetMetadataAsync, parquetRead } from "hyparquet";
import { compressors } from "hyparquet-compressors";
import { DoremiError } from "../lib/errors.ts";
import { storage } from "../storage/files.ts";
import type { RandomAccessFile } from "../storage/storage.ts";
import type { SelectionRow } from "./contract.ts";

export const SELECTION_COLUMNS = ["file", "row_group", "row_start", "row_end", "domain", "epoch", "tokens"] as const;

/** A group is decoded whole; other programs write up to so many rows into one. */
const MAX_ROW_GROUP_ROWS = 1 << 20;

/** Consecutive rows; see SelectionRow. All arrays are as long as `count`. */
export interface SelectionColumns {
  /** row of the selection that the first is */
  readonly start: number;
  readonly count: number;
  readonly file: readonly string[];
  readonly rowGroup: Float64Array;
  readonly rowStart: Float64Array;
  readonly rowEnd: Float64Array; // exclusive
  readonly domain: readonly string[];
  readonly epoch: Float64Array;
  readonly tokens: Float64Array;
}

/**
 * @param fromRow the first row that is given; row groups before its own are not decoded
 * @throws DoremiError missing-file, bad-selection
 */
export async function* readSelectionColumns(path: string, fromRow = 0): AsyncGenerator<SelectionColumns, void> {
  const file = await storage.open(path);
  try {
    const buffer = asyncBuffer(file);
    const metadata = await decoding(path, () => parquetMetadataAsync(buffer));
    checkColumns(path, metadata);
    let rowStart = 0;
    for (const [rowGroup, { num_rows }] of metadata.row_groups.entries()) {
      const size = Number(num_rows);
      if (!(size >= 0 && size <= MAX_ROW_GROUP_ROWS)) {
        throw bad(path, `row group ${rowGroup} claims ${num_rows} rows, at most ${MAX_ROW_GROUP_ROWS} can be read`);
      }
      const rowEnd = rowStart + size;
      const start = Math.max(rowStart, fromRow);
      if (start < rowEnd) yield await readRows(path, buffer, metadata, start, rowEnd, rowGroup);
      rowStart = rowEnd;
    }
  } finally {
    await file.close();
  }
}

/** The rows one by one, for selections of no great size. @throws as readSelectionColumns */
export async function* readSelection(path: string): AsyncGenerator<SelectionRow[], void> {
  for await (const { count, file, rowGroup, rowStart, rowEnd, domain, epoch, tokens } of readSelectionColumns(path)) {
    yield Array.from({ length: count }, (_, i) => ({
      file: file[i]!,
      rowGroup: rowGroup[i]!,
      rowStart: rowStart[i]!,
      rowEnd: rowEnd[i]!,
      domain: domain[i]!,
      epoch: epoch[i]!,
      tokens: tokens[i]!,
    }));
  }
}

async function readRows(
  path: string,
  file: AsyncBuffer,
  metadata: FileMetaData,
  start: number,
  end: number,
  rowGroup: number,
): Promise<SelectionColumns> {
  const chunks: { readonly name: string; readonly start: number; readonly values: DecodedArray }[] = [];
  await decoding(path, () =>
    parquetRead({
      file,
      metadata,
      columns: [...SELECTION_COLUMNS],
      rowStart: start,
      rowEnd: end,
      compressors,
      onChunk: ({ columnName, columnData, rowStart }) =>
        chunks.push({ name: columnName, start: rowStart, values: columnData }),
    }),
  );
  const count = end - start;
  /** What `put` makes of each value of a column, at its place. */
  const fill = (
    name: (typeof SELECTION_COLUMNS)[number],
    put: (value: unknown, at: number) => boolean,
    what: string,
  ) => {
    let filled = 0;
    for (const chunk of chunks) {
      if (chunk.name !== name) continue;
      for (let i = Math.max(0, start - chunk.start); i < chunk.values.length; i++) {
        const row = chunk.start + i;
        if (row >= end) break;
        if (!put(chunk.values[i], row - start)) {
          throw bad(path, `row ${row}: ${name} must be ${what}, got ${String(chunk.values[i])}`);
        }
        filled += 1;
      }
    }
    if (filled !== count) throw bad(path, `row group ${rowGroup} holds ${filled} of its ${count} rows of ${name}`);
  };
  const texts = (name: (typeof SELECTION_COLUMNS)[number]) => {
    const column = new Array<string>(count);
    const put = (value: unknown, at: number) => {
      column[at] = value as string;
      return typeof value === "string";
    };
    fill(name, put, "a string");
    return column;
  };
  const integers = (name: (typeof SELECTION_COLUMNS)[number]) => {
    const column = new Float64Array(count);
    const put = (value: unknown, at: number) => {
      const number = typeof value === "number" ? value : typeof value === "bigint" ? Number(value) : Number.NaN;
      column[at] = number;
      return Number.isSafeInteger(number) && number >= 0;
    };
    fill(name, put, "an integer ≥ 0");
    return column;
  };
  return {
    start,
    count,
    file: texts("file"),
    rowGroup: integers("row_group"),
    rowStart: integers("row_start"),
    rowEnd: integers("row_end"),
    domain: texts("domain"),
    epoch: integers("epoch"),
    tokens: integers("tokens"),
  };
}

/** hyparquet's view of the file. A broken footer makes it ask for ranges that are no ranges. */
function asyncBuffer(file: RandomAccessFile): AsyncBuffer {
  const read = async (start: number, end: number) => {
    if (!(start >= 0 && end >= start)) throw bad(file.uri, `its footer points at bytes ${start} to ${end}`);
    const bytes = await file.read(start, end);
    return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer;
  };
  return {
    byteLength: file.size,
    slice: (start, end = file.size) => {
      const bytes = read(start, end);
      // hyparquet asks for several ranges at once and awaits them in turn: when one fails, nobody awaits the others,
      // and their failures would end the process as unhandled.
      bytes.catch(() => {});
      return bytes;
    },
  };
}

/** @throws DoremiError as readSelection */
function checkColumns(path: string, metadata: FileMetaData): void {
  const present = metadata.schema.slice(1).map((element) => element.name);
  const missing = SELECTION_COLUMNS.filter((name) => !present.includes(name));
  if (missing.length > 0)
    throw bad(path, `must have the columns ${SELECTION_COLUMNS.join(", ")}; it lacks ${missing.join(", ")}`);
}

/** Runs a step of the Parquet decoder, whose failures are of many kinds, and says whose file it was. */
async function decoding<T>(path: string, step: () => Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (error) {
    if (error instanceof DoremiError) throw error;
    throw bad(path, `cannot be read as Parquet (${error instanceof Error ? error.message : String(error)})`, error);
  }
}

function bad(path: string, message: string, cause?: unknown): DoremiError {
  return new DoremiError("bad-data", "bad-selection", `${path}: ${message}; write it anew with \`doremi resample\``, {
    file: path,
    ...(cause !== undefined && { cause }),
  });
}
