/**
 * The one entry to reading shards: what a file is and which parts it has (`inspectShard`), one part (`readUnit`), all of
 * it in order (`readShard`). Formats are told apart by the file's bytes.
 */
import type { RandomAccessFile } from "../storage/storage.ts";
import { arrowFileLayout, arrowStreamLayout } from "./arrow/layout.ts";
import { readRecordBatch } from "./arrow/read.ts";
import { screened } from "./bad-documents.ts";
import { spreadEntries } from "./batch.ts";
import { jsonlLayout, readStretch } from "./jsonl/read.ts";
import { parquetLayout } from "./parquet/layout.ts";
import { readRowGroup } from "./parquet/read.ts";
import type { BatchForm, ColumnSelection, ReadLimits, ShardLayout, ShardUnit, TextBatch } from "./shard.ts";
import { DEFAULT_LIMITS } from "./shard.ts";
import { sniff } from "./sniff.ts";

/**
 * Opens nothing but headers and footers. A column that is missing or of the wrong type is an error here, except in JSON
 * Lines, where only reading tells.
 * @throws DoremiError with kind bad-data; see failure.ts for the codes
 */
export async function inspectShard(
  file: RandomAccessFile,
  columns: ColumnSelection,
  limits: Partial<ReadLimits> = {},
): Promise<ShardLayout> {
  const all = { ...DEFAULT_LIMITS, ...limits };
  const sniffed = await sniff(file);
  switch (sniffed.format) {
    case "parquet":
      return parquetLayout(file, columns, all);
    case "arrow-file":
      return arrowFileLayout(file, columns, all);
    case "arrow-stream":
      return arrowStreamLayout(file, columns, all);
    case "jsonl":
      return jsonlLayout(file.size, sniffed.compression, all);
    default:
      return sniffed satisfies never;
  }
}

/**
 * One unit's rows in order, in batches of about `batchBytes`. Units can be read alone, in any order, by any process that
 * has the file, the unit as inspectShard gave it and the same columns.
 */
export function readUnit(
  file: RandomAccessFile,
  layout: Pick<ShardLayout, "format">,
  unit: ShardUnit,
  columns: ColumnSelection,
  limits: Partial<ReadLimits> = {},
  form: BatchForm = "owned",
): AsyncGenerator<TextBatch> {
  const batches = unitBatches(file, layout, unit, columns, { ...DEFAULT_LIMITS, ...limits }, form);
  // Lines of JSON are judged one by one as they are read.
  if (columns.onBadDocument === undefined || layout.format === "jsonl") return batches;
  return screened(batches, columns.onBadDocument, { file: file.uri, rowGroup: unit.index });
}

async function* unitBatches(
  file: RandomAccessFile,
  layout: Pick<ShardLayout, "format">,
  unit: ShardUnit,
  columns: ColumnSelection,
  all: ReadLimits,
  form: BatchForm,
): AsyncGenerator<TextBatch> {
  if (form === "lent") {
    const batchBytes = Math.min(all.batchBytes, LENT_BATCH_BYTES);
    yield* readAsStored(file, layout, unit, columns, { ...all, batchBytes }, form);
    return;
  }
  for await (const batch of readAsStored(file, layout, unit, columns, all, form)) yield* spreadEntries(batch, all);
}

/** A lent batch is looked at once: it should still be in the processor's cache then. */
const LENT_BATCH_BYTES = 1 << 20;

function readAsStored(
  file: RandomAccessFile,
  layout: Pick<ShardLayout, "format">,
  unit: ShardUnit,
  columns: ColumnSelection,
  all: ReadLimits,
  form: BatchForm,
): AsyncGenerator<TextBatch> {
  switch (layout.format) {
    case "parquet":
      return readRowGroup(file, unit, columns, all, form);
    case "arrow-file":
    case "arrow-stream":
      return readRecordBatch(file, layout.format, unit, columns, all, form);
    case "jsonl":
      return readStretch(file, unit, columns, all, form);
    default:
      return layout.format satisfies never;
  }
}

/** A batch and where its first row stands in the whole file. */
export interface ShardBatch extends TextBatch {
  readonly shardRowStart: number;
}

/** All rows of a shard, in order. */
export async function* readShard(
  file: RandomAccessFile,
  columns: ColumnSelection,
  limits: Partial<ReadLimits> = {},
): AsyncGenerator<ShardBatch> {
  const layout = await inspectShard(file, columns, limits);
  let shardRowStart = 0;
  for (const unit of layout.units) {
    for await (const batch of readUnit(file, layout, unit, columns, limits)) {
      yield { ...batch, shardRowStart };
      shardRowStart += batch.rows;
    }
  }
}
