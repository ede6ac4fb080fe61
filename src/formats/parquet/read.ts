/**
 * Reads one row group of a Parquet file by its locator: the text column page by page into batches, the domain column
 * as dictionary indices. Exactly the byte ranges of the plan are read, unless extra columns are wanted.
 */
import type { ErrorPlace } from "../../lib/errors.ts";
import type { RandomAccessFile } from "../../storage/storage.ts";
import type { DomainColumn } from "../batch.ts";
import { BatchBuilder, NameDictionary, withColumns } from "../batch.ts";
import { loadZstd } from "../codecs/zstd.ts";
import { badShard, guarded } from "../failure.ts";
import type { ColumnSelection, ReadLimits, ShardUnit, TextBatch } from "../shard.ts";
import type { ByteValues, DecodedPage } from "./byte-array.ts";
import { decodeDataPage, decodeDictionary } from "./byte-array.ts";
import { readExtraColumns } from "./extra.ts";
import type { ChunkLocator, RowGroupLocator } from "./layout.ts";
import { readPages } from "./pages.ts";

/** @throws DoremiError corrupt-page, page-too-large, row-count-mismatch, unsupported-codec */
export async function* readRowGroup(
  file: RandomAccessFile,
  unit: ShardUnit,
  columns: ColumnSelection,
  limits: ReadLimits,
): AsyncGenerator<TextBatch> {
  const locator = unit.locator as RowGroupLocator;
  const place = { file: file.uri, rowGroup: unit.index };
  if (locator.rows === 0) return;
  await loadZstd();
  const domain = locator.domain && (await readDomain(file, locator.domain, locator.rows, place, limits));
  const extra = columns.extra?.length ? await readExtraColumns(file, unit, locator, columns.extra, limits) : undefined;

  const chunk = await file.read(locator.text.start, locator.text.end);
  const builder = new BatchBuilder(unit.index, limits, locator.text.uncompressedBytes);
  for (const page of decodePages(chunk, locator.text, locator.rows, place, limits)) {
    const { bytes, starts, ends } = page.values;
    let value = 0;
    for (let row = 0; row < page.rows; row++) {
      if (page.levels && page.levels[row] !== locator.text.maxDefinition) {
        builder.appendNull();
        continue;
      }
      const [start, end] = [starts[value]!, ends[value]!];
      value++;
      if (builder.overflowsWith(end - start)) yield withColumns(builder.take(), domain, extra);
      builder.append(bytes, start, end);
    }
  }
  if (builder.rows > 0) yield withColumns(builder.take(), domain, extra);
}

async function readDomain(
  file: RandomAccessFile,
  locator: ChunkLocator,
  rows: number,
  place: ErrorPlace,
  limits: ReadLimits,
): Promise<DomainColumn> {
  const chunk = await file.read(locator.start, locator.end);
  const dictionary = new NameDictionary();
  const indices = new Int32Array(rows).fill(-1);
  let row = 0;
  for (const page of decodePages(chunk, locator, rows, place, limits)) {
    const nameIndex = nameIndexer(page, dictionary);
    let value = 0;
    for (let i = 0; i < page.rows; i++, row++) {
      if (!page.levels || page.levels[i] === locator.maxDefinition) indices[row] = nameIndex(value++);
    }
  }
  return { names: dictionary.names, indices };
}

/** Index of the name of value i of a page; a dictionary-encoded page makes each entry a string once. */
function nameIndexer(page: DecodedPage, dictionary: NameDictionary): (value: number) => number {
  const { bytes, starts, ends } = page.values;
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const read = (value: number) => dictionary.indexOf(text.toString("utf8", starts[value], ends[value]));
  const { indices } = page;
  if (!indices) return read;
  const known = new Map<number, number>();
  return (value) => {
    const entry = indices[value]!;
    const index = known.get(entry) ?? read(value);
    known.set(entry, index);
    return index;
  };
}

/** The data pages of a chunk, decoded; together they have exactly the row group's rows. */
function* decodePages(
  chunk: Uint8Array,
  locator: ChunkLocator,
  rows: number,
  place: ErrorPlace,
  limits: ReadLimits,
): Generator<DecodedPage> {
  let dictionary: ByteValues | undefined;
  let seen = 0;
  for (const page of readPages(chunk, locator, place, limits)) {
    const rule = `a page of column ${locator.path} must hold what its header says`;
    if (page.kind === "dictionary") {
      dictionary = guarded("corrupt-page", place, rule, () => decodeDictionary(page));
      continue;
    }
    seen += page.values;
    if (seen > rows) throw rowMismatch(place, locator, rows, `at least ${seen}`);
    yield guarded("corrupt-page", place, rule, () =>
      decodeDataPage(page, dictionary, locator.maxDefinition, limits.maxPageBytes),
    );
  }
  if (seen !== rows) throw rowMismatch(place, locator, rows, String(seen));
}

function rowMismatch(place: ErrorPlace, locator: ChunkLocator, rows: number, found: string): Error {
  return badShard(
    "row-count-mismatch",
    place,
    `must have ${rows} rows, as the footer says; column ${locator.path} has ${found}. Write the file again`,
  );
}
