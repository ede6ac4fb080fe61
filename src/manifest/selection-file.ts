/**
 * selection.parquet: the chosen rows, written in row groups of bounded size, whatever the number of rows.
 * The same rows give the same bytes. Snappy, because every reader has it and it is compressed here in plain JavaScript.
 */
import { createHash } from "node:crypto";
import { ByteWriter, ParquetWriter } from "hyparquet-writer";
import { AtomicFile } from "../lib/atomic-write.ts";
import type { SelectionRow } from "./contract.ts";
import { SELECTION_COLUMNS } from "./selection-columns.ts";

export { readSelection } from "./selection-columns.ts";

/** Of ours: the rows that are held in memory while writing. */
const ROW_GROUP_ROWS = 1 << 16;

const required = (name: string, type: "INT32" | "INT64" | "BYTE_ARRAY") =>
  ({ name, type, repetition_type: "REQUIRED" }) as const;

const SCHEMA: ConstructorParameters<typeof ParquetWriter>[0]["schema"] = [
  { name: "selection", num_children: SELECTION_COLUMNS.length },
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
