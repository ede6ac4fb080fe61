/**
 * The plan of an Arrow file or stream: for each record batch where its message lies and which dictionary messages it
 * needs, as plain data. A file says so in its footer; a stream is walked from header to header without reading bodies.
 */

import type { Block } from "apache-arrow/fb/block";
import { Footer } from "apache-arrow/fb/footer";
import { ByteBuffer } from "flatbuffers";
import type { RandomAccessFile } from "../../storage/storage.ts";
import { requirePath } from "../columns.ts";
import { badShard, checkRows, guarded } from "../failure.ts";
import type { ColumnSelection, ReadLimits, ShardLayout, ShardUnit } from "../shard.ts";
import type { BatchHeader, MessagePlace } from "./message.ts";
import { readMessage } from "./message.ts";
import type { ArrowField, TextPath } from "./schema.ts";
import { buffersOf, fieldsOf, positionsOf, selectText } from "./schema.ts";

/** What a unit's `locator` holds. */
export interface BatchLocator {
  /** the stream's schema message, or the file's footer (flatbuffer only) */
  readonly schema: MessagePlace;
  readonly batch: MessagePlace;
  /** by id of the dictionaries that the selected columns use: first a whole one, then its deltas, in order */
  readonly dictionaries: readonly { readonly id: number; readonly messages: readonly MessagePlace[] }[];
}

/** "ARROW1", at both ends of a file; at the head padded to 8 */
const MAGIC_BYTES = 6;

/** Headers of record batches that are read at once: each is a request of its own where the file is far away. */
const HEADS_AT_ONCE = 16;

interface Selected {
  readonly fields: readonly ArrowField[];
  readonly text: TextPath;
  readonly domain?: TextPath;
  readonly extra: readonly ArrowField[];
}

export async function arrowFileLayout(
  file: RandomAccessFile,
  columns: ColumnSelection,
  limits: ReadLimits,
): Promise<ShardLayout> {
  const place = { file: file.uri };
  const { footer, at } = await readFooter(file, limits);
  const { batches, dictionaryBlocks, selected } = guarded("bad-footer", place, "the footer must be Arrow's", () => ({
    selected: select(fieldsOf(footer.schema()!, footer.version(), file.uri), columns, file.uri),
    batches: blockPlaces(footer.recordBatchesLength(), at.headBytes, (i) => footer.recordBatches(i)!),
    dictionaryBlocks: blockPlaces(footer.dictionariesLength(), at.headBytes, (i) => footer.dictionaries(i)!),
  }));
  for (const [i, block] of [...batches, ...dictionaryBlocks].entries())
    requireInside(file, block, i < batches.length ? i : undefined);
  // Dictionaries of a file stand in any order but are never replaced; deltas follow in order.
  const needed = dictionaryIds(selected);
  const dictionaries = new Map<number, MessagePlace[]>();
  if (needed.size > 0) {
    for (const block of dictionaryBlocks) {
      const found = await readMessage(file, block.offset, place, limits);
      if (found?.message.kind !== "dictionary")
        throw badShard("bad-footer", place, `a dictionary must lie at byte ${block.offset}`);
      const { id, isDelta } = found.message;
      if (!needed.has(id)) continue;
      const messages = dictionaries.get(id) ?? [];
      if (isDelta) messages.push(found.place);
      else messages.unshift(found.place);
      dictionaries.set(id, messages);
    }
  }
  const units: ShardUnit[] = [];
  for (let first = 0; first < batches.length; first += HEADS_AT_ONCE) {
    const blocks = batches.slice(first, first + HEADS_AT_ONCE);
    const read = await Promise.allSettled(
      blocks.map(({ offset }, i) => readMessage(file, offset, { file: file.uri, rowGroup: first + i }, limits)),
    );
    for (const [i, result] of read.entries()) {
      if (result.status === "rejected") throw result.reason; // the first in order, whichever failed first
      const index = first + i;
      const found = result.value;
      if (found?.message.kind !== "batch") {
        const batchPlace = { file: file.uri, rowGroup: index };
        throw badShard("bad-footer", batchPlace, `a record batch must lie at byte ${blocks[i]!.offset}`);
      }
      units.push(unitOf(file.uri, index, at, found.place, found.message.batch, dictionaries, selected, limits));
    }
  }
  return layoutOf("arrow-file", file, units);
}

export async function arrowStreamLayout(
  file: RandomAccessFile,
  columns: ColumnSelection,
  limits: ReadLimits,
): Promise<ShardLayout> {
  const first = await readMessage(file, 0, { file: file.uri }, limits);
  if (first?.message.kind !== "schema") {
    throw badShard(
      "bad-magic",
      { file: file.uri },
      "an Arrow stream must begin with its schema, and this begins with something else",
    );
  }
  const { schema, version } = first.message;
  const selected = guarded("corrupt", { file: file.uri }, "the schema must be Arrow's", () =>
    select(fieldsOf(schema, version, file.uri), columns, file.uri),
  );
  const needed = dictionaryIds(selected);
  const dictionaries = new Map<number, readonly MessagePlace[]>();
  const units: ShardUnit[] = [];
  for (let offset = endOf(first.place); ; ) {
    const found = await readMessage(file, offset, { file: file.uri, rowGroup: units.length }, limits);
    if (!found) break;
    const { message, place } = found;
    if (message.kind === "batch") {
      units.push(unitOf(file.uri, units.length, first.place, place, message.batch, dictionaries, selected, limits));
    } else if (message.kind === "dictionary" && needed.has(message.id)) {
      dictionaries.set(message.id, message.isDelta ? [...(dictionaries.get(message.id) ?? []), place] : [place]);
    }
    offset = endOf(place);
  }
  return layoutOf("arrow-stream", file, units);
}

/** The footer where it was found before. @throws DoremiError bad-footer */
export async function footerAt(file: RandomAccessFile, { offset, headBytes }: MessagePlace): Promise<Footer> {
  const bytes = await file.read(offset, offset + headBytes);
  return guarded("bad-footer", { file: file.uri }, "the footer must be Arrow's", () =>
    Footer.getRootAsFooter(new ByteBuffer(bytes)),
  );
}

/** The footer's flatbuffer and where it lies. @throws DoremiError bad-footer */
export async function readFooter(file: RandomAccessFile, limits: ReadLimits) {
  const place = { file: file.uri };
  const tailBytes = 4 + MAGIC_BYTES;
  const length = Buffer.from(await file.read(file.size - tailBytes, file.size)).readInt32LE(0);
  const offset = file.size - tailBytes - length;
  if (length <= 0 || offset < 8 || length > limits.maxMetadataBytes) {
    throw badShard(
      "bad-footer",
      place,
      `the footer's length must fit the file of ${file.size} bytes and the limit of ${limits.maxMetadataBytes} (maxMetadataBytes); it says ${length}`,
    );
  }
  const at: MessagePlace = { offset, headBytes: length, bodyBytes: 0 };
  return { footer: await footerAt(file, at), at };
}

function select(fields: readonly ArrowField[], columns: ColumnSelection, uri: string): Selected {
  const extra = (columns.extra ?? []).map((path) => requirePath(fields, path, { file: uri })[0]!);
  return { fields, ...selectText(fields, columns, uri), extra };
}

function dictionaryIds({ text, domain, extra }: Selected): ReadonlySet<number> {
  const ids = new Set<number>();
  const visit = (field: ArrowField): void => {
    if (field.dictionary) ids.add(field.dictionary.id);
    field.inner.forEach(visit);
  };
  for (const { leaf } of domain ? [text, domain] : [text]) visit(leaf);
  extra.forEach(visit);
  return ids;
}

function unitOf(
  uri: string,
  index: number,
  schema: MessagePlace,
  batch: MessagePlace,
  header: BatchHeader,
  dictionaries: ReadonlyMap<number, readonly MessagePlace[]>,
  selected: Selected,
  limits: ReadLimits,
): ShardUnit {
  checkRows({ rowGroup: index, file: uri }, header.rows, limits);
  const positions = positionsOf(selected.fields, header.variadicCounts);
  let storedBytes = batch.headBytes;
  const chosen = [selected.text, ...(selected.domain ? [selected.domain] : [])].flatMap(({ fields }) => fields);
  for (const { length } of buffersOf(chosen, header, positions)) storedBytes += length;
  const locator: BatchLocator = {
    schema,
    batch,
    dictionaries: [...dictionaries].map(([id, messages]) => ({ id, messages })),
  };
  for (const { messages } of locator.dictionaries) for (const { bodyBytes } of messages) storedBytes += bodyBytes;
  // Compressed text is taken to expand fourfold; what it really takes is bounded when its buffers are read.
  const memoryBytes = storedBytes * (header.compression === "none" ? 1 : 5) + 2 * limits.batchBytes;
  return { index, rows: header.rows, storedBytes, memoryBytes, locator };
}

function layoutOf(
  format: "arrow-file" | "arrow-stream",
  file: RandomAccessFile,
  units: readonly ShardUnit[],
): ShardLayout {
  return { format, size: file.size, rows: units.reduce((sum, { rows }) => sum + rows!, 0), units };
}

/** @param footerBytes a block takes 24 of them: a damaged length must not become an array of that length */
export function blockPlaces(length: number, footerBytes: number, at: (i: number) => Block): MessagePlace[] {
  if (length < 0 || length * 24 > footerBytes) throw new Error(`a list of ${length} messages`);
  return Array.from({ length }, (_, i) => blockPlace(at(i)));
}

function blockPlace(block: Block): MessagePlace {
  return { offset: Number(block.offset()), headBytes: block.metaDataLength(), bodyBytes: Number(block.bodyLength()) };
}

export function requireInside(file: RandomAccessFile, block: MessagePlace, rowGroup: number | undefined): void {
  if (block.offset >= 0 && block.headBytes >= 0 && block.bodyBytes >= 0 && endOf(block) <= file.size) return;
  throw badShard(
    "bad-footer",
    { file: file.uri, ...(rowGroup !== undefined && { rowGroup }) },
    `the footer must point into the file of ${file.size} bytes; it says bytes ${block.offset} to ${endOf(block)}`,
  );
}

function endOf(place: MessagePlace): number {
  return place.offset + place.headBytes + place.bodyBytes;
}
