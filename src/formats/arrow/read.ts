/**
 * Reads one record batch of an Arrow file or stream by its locator: the selected columns' buffers and the dictionaries
 * they need, nothing else.
 */
import { MessageHeader } from "apache-arrow/fb/message-header";
import type { ErrorPlace } from "../../lib/errors.ts";
import type { RandomAccessFile } from "../../storage/storage.ts";
import type { DomainColumn } from "../batch.ts";
import { BatchBuilder, cutBatches, NameDictionary, withColumns } from "../batch.ts";
import { badShard, guarded } from "../failure.ts";
import type { BatchForm, ColumnSelection, ReadLimits, ShardFormat, ShardUnit, TextBatch } from "../shard.ts";
import type { BatchSource } from "./buffers.ts";
import { readExtraColumns } from "./extra.ts";
import type { BatchLocator } from "./layout.ts";
import { footerAt } from "./layout.ts";
import type { MessagePlace } from "./message.ts";
import { readMessage } from "./message.ts";
import type { TextPath } from "./schema.ts";
import { buffersOf, fieldsOf, positionsOf, selectText } from "./schema.ts";
import type { Dictionaries, TextCursor } from "./text.ts";
import { joined, readDictionaryValues, readTextColumn } from "./text.ts";

/** @throws DoremiError corrupt, buffer-too-large, truncated */
export async function* readRecordBatch(
  file: RandomAccessFile,
  format: ShardFormat,
  unit: ShardUnit,
  columns: ColumnSelection,
  limits: ReadLimits,
  form: BatchForm,
): AsyncGenerator<TextBatch> {
  if (unit.rows === 0) return;
  const locator = unit.locator as BatchLocator;
  const place = { file: file.uri, rowGroup: unit.index };
  const { schema, version } = await schemaAt(file, format, locator.schema, limits);
  const fields = guarded("corrupt", place, "the schema must be Arrow's", () => fieldsOf(schema, version, file.uri));
  const { text, domain } = selectText(fields, columns, file.uri);
  const { offset, headBytes, bodyBytes } = locator.batch;
  const isMostlyRead = 2 * unit.storedBytes >= headBytes + bodyBytes;
  if (isMostlyRead) file.expect?.([{ start: offset, end: offset + headBytes + bodyBytes }]);
  const source = await openBatch(file, locator.batch, place, limits);
  const positions = positionsOf(fields, source.header.variadicCounts);
  if (!isMostlyRead) {
    const body = offset + headBytes;
    const chosen = buffersOf([...text.fields, ...(domain?.fields ?? [])], source.header, positions);
    file.expect?.(chosen.map((buffer) => ({ start: body + buffer.offset, end: body + buffer.offset + buffer.length })));
  }
  const dictionaries = await readDictionaries(file, locator, domain ? [text, domain] : [text], place, limits);

  const domainColumn = domain && domainOf(await readTextColumn(source, domain, positions, dictionaries));
  const extra = columns.extra?.length
    ? await readExtraColumns({ source, schema, version, fields, positions, locator, paths: columns.extra })
    : undefined;
  const cursor = await readTextColumn(source, text, positions, dictionaries);
  const together = cursor.together?.();
  if (together) {
    for (const batch of cutBatches(unit.index, 0, together, limits)) yield withColumns(batch, domainColumn, extra);
    return;
  }
  const builder = new BatchBuilder(unit.index, limits, { expectedBytes: locator.batch.bodyBytes, form });
  for (let row = 0; row < cursor.rows; row++) {
    if (!cursor.locate(row)) {
      builder.appendNull();
      continue;
    }
    if (builder.overflowsWith(cursor.end - cursor.start)) yield withColumns(builder.take(), domainColumn, extra);
    builder.append(cursor.bytes, cursor.start, cursor.end);
  }
  if (builder.rows > 0) yield withColumns(builder.take(), domainColumn, extra);
}

function domainOf(cursor: TextCursor & { readonly entryOf?: (row: number) => number }): DomainColumn {
  const dictionary = new NameDictionary();
  const indices = new Int32Array(cursor.rows).fill(-1);
  const known = new Map<number, number>();
  for (let row = 0; row < cursor.rows; row++) {
    if (!cursor.locate(row)) continue;
    const entry = cursor.entryOf?.(row);
    let index = entry === undefined ? undefined : known.get(entry);
    if (index === undefined) {
      const { bytes, start, end } = cursor;
      index = dictionary.indexOf(Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString("utf8"));
      if (entry !== undefined) known.set(entry, index);
    }
    indices[row] = index;
  }
  return { names: dictionary.names, indices };
}

async function schemaAt(file: RandomAccessFile, format: ShardFormat, at: MessagePlace, limits: ReadLimits) {
  if (format === "arrow-file") {
    const footer = await footerAt(file, at);
    return { schema: footer.schema()!, version: footer.version() };
  }
  const found = await readMessage(file, at.offset, { file: file.uri }, limits);
  if (found?.message.kind === "schema") return found.message;
  throw unexpected(file, at, "a schema", { file: file.uri });
}

async function openBatch(
  file: RandomAccessFile,
  message: MessagePlace,
  place: ErrorPlace,
  limits: ReadLimits,
): Promise<BatchSource> {
  const found = await readMessage(file, message.offset, place, limits);
  if (found?.message.kind !== "batch" && found?.message.kind !== "dictionary") {
    throw unexpected(file, message, MessageHeader[MessageHeader.RecordBatch], place);
  }
  return { file, message: found.place, header: found.message.batch, place, limits, taken: { bytes: 0 } };
}

/** Decoded dictionaries of the file that was read last, for the next batch that uses the same messages. */
const remembered = new WeakMap<RandomAccessFile, Map<number, { readonly key: string; readonly cursor: TextCursor }>>();

async function readDictionaries(
  file: RandomAccessFile,
  locator: BatchLocator,
  columns: readonly TextPath[],
  place: ErrorPlace,
  limits: ReadLimits,
): Promise<Dictionaries> {
  const dictionaries = new Map<number, TextCursor>();
  const ofFile = remembered.get(file) ?? new Map();
  remembered.set(file, ofFile);
  for (const { leaf, layout } of columns) {
    const id = leaf.dictionary?.id;
    const messages = locator.dictionaries.find((dictionary) => dictionary.id === id)?.messages;
    if (id === undefined || !messages) continue;
    const key = messages.map(({ offset }) => offset).join();
    if (ofFile.get(id)?.key !== key) {
      const parts: TextCursor[] = [];
      for (const message of messages) {
        parts.push(await readDictionaryValues(await openBatch(file, message, place, limits), layout));
      }
      ofFile.set(id, { key, cursor: joined(parts) });
    }
    dictionaries.set(id, ofFile.get(id).cursor);
  }
  return dictionaries;
}

function unexpected(file: RandomAccessFile, at: MessagePlace, what: string, place: ErrorPlace): Error {
  return badShard(
    "corrupt",
    place,
    `${what} must lie at byte ${at.offset} of ${file.size}; was the file written over since it was listed?`,
  );
}
