/** Reads shards for tests: every row as bytes, with domains, and the hash that golden files state. */
import { createHash } from "node:crypto";
import { inspectShard, readUnit } from "../../src/formats/read.ts";
import type { BatchForm, ColumnSelection, ReadLimits, ShardLayout, TextBatch } from "../../src/formats/shard.ts";
import { LocalStorage } from "../../src/storage/local.ts";
import type { RandomAccessFile } from "../../src/storage/storage.ts";

export interface ReadResult {
  readonly layout: ShardLayout;
  /** null for a null row */
  readonly rows: (Buffer | null)[];
  readonly domains: (string | null)[];
  readonly unitRows: number[];
}

export async function readAll(
  path: string,
  columns: ColumnSelection,
  limits: Partial<ReadLimits> = {},
  form: BatchForm = "owned",
): Promise<ReadResult> {
  return await withFile(path, async (file) => {
    const layout = await inspectShard(file, columns, limits);
    const result: ReadResult = { layout, rows: [], domains: [], unitRows: [] };
    for (const unit of JSON.parse(JSON.stringify(layout.units))) {
      let rows = 0;
      for await (const batch of readUnit(file, layout, unit, columns, limits, form)) {
        rows += batch.rows;
        result.rows.push(...rowsOf(batch));
        result.domains.push(...domainsOf(batch));
      }
      result.unitRows.push(rows);
    }
    return result;
  });
}

export async function withFile<T>(path: string, work: (file: RandomAccessFile) => Promise<T>): Promise<T> {
  const file = await new LocalStorage().open(path);
  try {
    return await work(file);
  } finally {
    await file.close();
  }
}

/** Copies: a lent batch's memory is written over. */
export function rowsOf({ rows, bytes, offsets, validity, entries }: TextBatch): (Buffer | null)[] {
  return Array.from({ length: rows }, (_, row) => {
    if (validity && !validity[row]) return null;
    const text = entries ? entries[row]! : row;
    return Buffer.from(bytes.subarray(offsets[text], offsets[text + 1]));
  });
}

export function domainsOf({ domain }: TextBatch): (string | null)[] {
  return domain ? Array.from(domain.indices, (index) => (index < 0 ? null : domain.names[index]!)) : [];
}

/** Over the rows in order, each as `<byte length>:` and its bytes; `-:` for null. */
export function textSha256(rows: readonly (Buffer | null)[]): string {
  const hash = createHash("sha256");
  for (const row of rows) {
    hash.update(row ? `${row.length}:` : "-:");
    if (row) hash.update(row);
  }
  return hash.digest("hex");
}
