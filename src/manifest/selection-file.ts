/**
 * selection.parquet: the chosen rows, written and read in row groups of bounded size, whatever the number of rows.
 * The same rows give the same bytes. Snappy, because every reader has it and it is compressed here in plain JavaScript.
 */
import { createHash } from "node:crypto";
import { type AsyncBuffer, type FileMetaData, parquetMetadataAsync, parquetReadObjects } from "hyparquet";
import { compressors } from "hyparquet-compressors";
import { ByteWriter, ParquetWriter } from "hyparquet-writer";
import { AtomicFile } from "../lib/atomic-write.ts";
import { DoremiError } from "../lib/errors.ts";
import { LocalStorage } from "../storage/local.ts";
import type { RandomAccessFile } from "../storage/storage.ts";
import type { SelectionRow } from "./contract.ts";

/** Of ours: the rows that are held in memory while writing. */
const ROW_GROUP_ROWS = 1 << 16;
/** Of a file that another program wrote: a group is decoded whole. */
const MAX_ROW_GROUP_ROWS = 1 << 23;

const COLUMNS = ["file", "row_group", "row_start", "row_end", "domain", "epoch", "tokens"] as const;

const required = (name: string, type: "INT32" | "INT64" | "BYTE_ARRAY") =>
  ({ name, type, repetition_type: "REQUIRED" }) as const;

const SCHEMA: ConstructorParameters<typeof ParquetWriter>[0]["schema"] = [
  { name: "selection", num_children: COLUMNS.length },
  { ...required("file", "BYTE_ARRAY"), converted_type: "UTF8" },
  required("row_group", "INT32"),
  required("row_start", "INT64"),
  required("row_end", "INT64"),
  { ...required("domain", "BYTE_ARRAY"), converted_type: "UTF8" },
  required("epoch", "INT32"),
  required("tokens", "INT64"),
];

export interface WrittenSelection {
  readonly sha256: string;
  /** rows of the file, which are runs of documents */
  readonly rows: number;
}

/** Writes the file as a whole or not at all. @throws DoremiError; whatever `rows` throws, with nothing left behind */
export async function writeSelection(
  path: string,
  rows: Iterable<SelectionRow> | AsyncIterable<SelectionRow>,
): Promise<WrittenSelection> {
  const file = await AtomicFile.create(path);
  try {
    const hash = createHash("sha256");
    const bytes = new ByteWriter();
    const parquet = new ParquetWriter({ writer: bytes, schema: SCHEMA, codec: "SNAPPY", createdBy: "doremi" });
    const drain = async () => {
      const chunk = bytes.getBytes();
      hash.update(chunk);
      await file.write(chunk);
      bytes.index = 0;
    };
    let total = 0;
    let group: SelectionRow[] = [];
    const writeGroup = async () => {
      await parquet.write({ columnData: columnsOf(group), rowGroupSize: ROW_GROUP_ROWS });
      await drain();
      total += group.length;
      group = [];
    };
    for await (const row of rows) {
      group.push(row);
      if (group.length === ROW_GROUP_ROWS) await writeGroup();
    }
    if (group.length > 0) await writeGroup();
    await parquet.finish();
    await drain();
    await file.commit();
    return { sha256: hash.digest("hex"), rows: total };
  } catch (error) {
    await file.discard();
    throw error;
  }
}

function columnsOf(rows: readonly SelectionRow[]) {
  const int64 = (value: (row: SelectionRow) => number) => BigInt64Array.from(rows, (row) => BigInt(value(row)));
  // Row numbers rise slowly, so their differences are short.
  const delta = { encoding: "DELTA_BINARY_PACKED" } as const;
  return [
    { name: "file", data: rows.map((row) => row.file) },
    { name: "row_group", data: Int32Array.from(rows, (row) => row.rowGroup) },
    { name: "row_start", data: int64((row) => row.rowStart), ...delta },
    { name: "row_end", data: int64((row) => row.rowEnd), ...delta },
    { name: "domain", data: rows.map((row) => row.domain) },
    { name: "epoch", data: Int32Array.from(rows, (row) => row.epoch) },
    { name: "tokens", data: int64((row) => row.tokens) },
  ];
}

/**
 * The rows, a row group at a time.
 *
 * @param fromRow the first row that is given; row groups before its own are not decoded
 * @throws DoremiError missing-file, bad-selection
 */
export async function* readSelection(path: string, fromRow = 0): AsyncGenerator<SelectionRow[], void> {
  const file = await new LocalStorage().open(path);
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
      if (rowEnd > fromRow) {
        const columns = [...COLUMNS];
        const objects = await decoding(path, () =>
          parquetReadObjects({ file: buffer, metadata, columns, rowStart, rowEnd, compressors }),
        );
        if (objects.length !== size)
          throw bad(path, `row group ${rowGroup} holds ${objects.length} of its ${size} rows`);
        const skipped = Math.max(0, fromRow - rowStart);
        yield objects.slice(skipped).map((object, i) => rowFrom(object, path, rowStart + skipped + i));
      }
      rowStart = rowEnd;
    }
  } finally {
    await file.close();
  }
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
  const missing = COLUMNS.filter((name) => !present.includes(name));
  if (missing.length > 0)
    throw bad(path, `must have the columns ${COLUMNS.join(", ")}; it lacks ${missing.join(", ")}`);
}

function rowFrom(object: Record<string, unknown>, path: string, index: number): SelectionRow {
  const text = (name: string) => {
    const value = object[name];
    if (typeof value !== "string") throw bad(path, `row ${index}: ${name} must be a string, got ${typeof value}`);
    return value;
  };
  const integer = (name: string) => {
    const value = Number(object[name] ?? Number.NaN);
    if (!Number.isSafeInteger(value) || value < 0) {
      throw bad(path, `row ${index}: ${name} must be an integer ≥ 0, got ${String(object[name])}`);
    }
    return value;
  };
  return {
    file: text("file"),
    rowGroup: integer("row_group"),
    rowStart: integer("row_start"),
    rowEnd: integer("row_end"),
    domain: text("domain"),
    epoch: integer("epoch"),
    tokens: integer("tokens"),
  };
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
