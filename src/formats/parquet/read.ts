/**
 * Reads one row group of a Parquet file by its locator: the text column page by page, each page a batch whose bytes are
 * the page's own; the domain column as dictionary indices. Exactly the byte ranges of the plan are read, unless extra
 * columns are wanted.
 */
import type { ErrorPlace } from "../../lib/errors.ts";
import type { RandomAccessFile } from "../../storage/storage.ts";
import type { DomainColumn } from "../batch.ts";
import { cutBatches, NameDictionary, type TextRows, withColumns } from "../batch.ts";
import { PageBuffer } from "../codecs/page-buffer.ts";
import { loadZstd } from "../codecs/zstd.ts";
import { badShard, guarded } from "../failure.ts";
import type { BatchForm, ColumnSelection, ReadLimits, ShardUnit, TextBatch } from "../shard.ts";
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
  form: BatchForm,
): AsyncGenerator<TextBatch> {
  const locator = unit.locator as RowGroupLocator;
  const place = { file: file.uri, rowGroup: unit.index };
  if (locator.rows === 0) return;
  await loadZstd();
  file.expect?.(locator.domain ? [locator.domain, locator.text] : [locator.text]);
  const domain = locator.domain && (await readDomain(file, locator.domain, locator.rows, place, limits));
  const extra = columns.extra?.length ? await readExtraColumns(file, unit, locator, columns.extra, limits) : undefined;

  const buffer = form === "lent" ? new PageBuffer() : undefined;
  let row = 0;
  for await (const page of decodePages(file, locator.text, locator.rows, place, limits, buffer)) {
    const rows = rowsOf(page, locator.text.maxDefinition);
    for (const batch of cutBatches(unit.index, row, rows, limits)) yield withColumns(batch, domain, extra);
    row += page.rows;
  }
}

/** A page's values with its nulls between them. */
function rowsOf({ rows, levels, values, indices }: DecodedPage, maxDefinition: number): TextRows {
  const { bytes } = values;
  if (!levels) return { rows, ...values, ...(indices && { entries: indices }) };
  const validity = new Uint8Array(rows);
  const offsets = indices ? values.offsets : new Uint32Array(rows + 1);
  const entries = indices && new Int32Array(rows);
  let value = 0;
  for (let row = 0; row < rows; row++) {
    if (levels[row] === maxDefinition) {
      validity[row] = 1;
      if (entries) entries[row] = indices[value]!;
      value++;
    }
    if (!entries) offsets[row + 1] = values.offsets[value]!;
  }
  return { rows, bytes, offsets, validity, ...(entries && { entries }) };
}

async function readDomain(
  file: RandomAccessFile,
  locator: ChunkLocator,
  rows: number,
  place: ErrorPlace,
  limits: ReadLimits,
): Promise<DomainColumn> {
  const dictionary = new NameDictionary();
  const indices = new Int32Array(rows).fill(-1);
  let row = 0;
  for await (const page of decodePages(file, locator, rows, place, limits, new PageBuffer())) {
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
  const { bytes, offsets } = page.values;
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const read = (index: number) => dictionary.indexOf(text.toString("utf8", offsets[index], offsets[index + 1]));
  const { indices } = page;
  if (!indices) return read;
  const known = new Map<number, number>();
  return (value) => {
    const entry = indices[value]!;
    const index = known.get(entry) ?? read(entry);
    known.set(entry, index);
    return index;
  };
}

/** The data pages of a chunk, decoded; together they have exactly the row group's rows. */
async function* decodePages(
  file: RandomAccessFile,
  locator: ChunkLocator,
  rows: number,
  place: ErrorPlace,
  limits: ReadLimits,
  buffer: PageBuffer | undefined,
): AsyncGenerator<DecodedPage> {
  let dictionary: ByteValues | undefined;
  let seen = 0;
  for await (const page of readPages(file, locator, place, limits, buffer)) {
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
