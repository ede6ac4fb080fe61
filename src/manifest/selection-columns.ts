/**
 * Reads selection.parquet, a row group at a time, in columns, whoever wrote it. Checks that the columns are there and hold
 * what they should; whether the manifest has such rows is for others.
 */
import { endianness } from "node:os";
import { type AsyncBuffer, type DecodedArray, type FileMetaData, parquetMetadataAsync, parquetRead } from "hyparquet";
import { compressors } from "hyparquet-compressors";
import { checkPages } from "../formats/parquet/extra.ts";
import { DEFAULT_LIMITS } from "../formats/shard.ts";
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
      if (start < rowEnd) {
        await decoding(path, () => checkPages(file, rowGroup, metadata, SELECTION_COLUMNS, DEFAULT_LIMITS));
        yield await readRows(path, buffer, metadata, start, rowEnd, rowGroup);
      }
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
  type Name = (typeof SELECTION_COLUMNS)[number];
  /** @param put takes values from..to (exclusive) of a chunk; they go to `at` and behind @returns the first that is wrong, or −1 */
  const fill = (
    name: Name,
    what: string,
    put: (values: DecodedArray, from: number, to: number, at: number) => number,
  ) => {
    let filled = 0;
    for (const chunk of chunks) {
      if (chunk.name !== name) continue;
      const from = Math.max(0, start - chunk.start);
      const to = Math.max(from, Math.min(chunk.values.length, end - chunk.start));
      const wrong = put(chunk.values, from, to, chunk.start + from - start);
      if (wrong >= 0) {
        throw bad(path, `row ${chunk.start + wrong}: ${name} must be ${what}, got ${String(chunk.values[wrong])}`);
      }
      filled += to - from;
    }
    if (filled !== count) throw bad(path, `row group ${rowGroup} holds ${filled} of its ${count} rows of ${name}`);
  };
  const texts = (name: Name) => {
    const column = new Array<string>(count);
    fill(name, "a string", (values, from, to, at) => {
      for (let i = from; i < to; i++) {
        const value: unknown = values[i];
        if (typeof value !== "string") return i;
        column[at + i - from] = value;
      }
      return -1;
    });
    return column;
  };
  const integers = (name: Name) => {
    const column = new Float64Array(count);
    fill(name, "an integer ≥ 0", (values, from, to, at) => {
      if (values instanceof BigInt64Array) copyNumbers(values.subarray(from, to), column, at);
      else for (let i = from; i < to; i++) column[at + i - from] = numberOf(values[i]);
      for (let i = from; i < to; i++) {
        const number = column[at + i - from]!;
        if (!Number.isSafeInteger(number) || number < 0) return i;
      }
      return -1;
    });
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

function numberOf(value: unknown): number {
  return typeof value === "number" ? value : typeof value === "bigint" ? Number(value) : Number.NaN;
}

/** By halves: a BigInt made of each value would cost more than decoding it. */
function copyNumbers(values: BigInt64Array, into: Float64Array, at: number): void {
  const halves = new Int32Array(values.buffer, values.byteOffset, 2 * values.length);
  for (let i = 0; i < values.length; i++) {
    into[at + i] = halves[2 * i + HIGH]! * 0x1_0000_0000 + (halves[2 * i + 1 - HIGH]! >>> 0);
  }
}

/** Which half of 64 bits is the high one on this machine. */
const HIGH = endianness() === "LE" ? 1 : 0;

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
    if (error instanceof DoremiError && !(error.kind === "bad-data" && error.rowGroup !== undefined)) throw error;
    throw bad(path, `cannot be read as Parquet (${error instanceof Error ? error.message : String(error)})`, error);
  }
}

function bad(path: string, message: string, cause?: unknown): DoremiError {
  return new DoremiError("bad-data", "bad-selection", `${path}: ${message}; write it anew with \`doremi resample\``, {
    file: path,
    ...(cause !== undefined && { cause }),
  });
}
