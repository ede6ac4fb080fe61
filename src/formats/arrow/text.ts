/**
 * A text column of one record batch as a cursor over its buffers: utf8, binary, their large and view kinds, and
 * dictionaries of these. No string and no object per row; every offset is checked where it is used.
 */
import type { TextRows } from "../batch.ts";
import { badShard } from "../failure.ts";
import type { BatchSource } from "./buffers.ts";
import { readBuffer } from "./buffers.ts";
import type { ArrowField, FieldPosition, TextLayout, TextPath } from "./schema.ts";

/**
 * After `locate(row)` is true, the row's text is bytes[start .. end]; it is false for null. Texts that lie together in
 * one buffer, and entries of a dictionary whose texts do, need no cursor: `together` gives them as they are.
 */
export interface TextCursor {
  readonly rows: number;
  bytes: Uint8Array;
  start: number;
  end: number;
  locate(row: number): boolean;
  together?(): TextRows | undefined;
}

/** Dictionaries by id, as cursors over their entries. */
export type Dictionaries = ReadonlyMap<number, TextCursor>;

type IsValid = (row: number) => boolean;

const EMPTY = new Uint8Array(0);
const VIEW_BYTES = 16;
const MAX_INLINE = 12;

/** The cursor of a selected column. @throws DoremiError corrupt */
export async function readTextColumn(
  source: BatchSource,
  column: TextPath,
  positions: ReadonlyMap<ArrowField, FieldPosition>,
  dictionaries: Dictionaries,
): Promise<TextCursor & { readonly entryOf?: (row: number) => number }> {
  const masks: Uint8Array[] = [];
  for (const field of column.fields) {
    const mask = await readValidity(source, field, positions.get(field)!);
    if (mask) masks.push(mask);
  }
  const [first, second] = masks;
  const isValid: IsValid =
    first === undefined
      ? () => true
      : second === undefined
        ? (row) => isSet(first, row)
        : (row) => masks.every((mask) => isSet(mask, row));
  const { leaf } = column;
  const position = positions.get(leaf)!;
  if (!leaf.dictionary) return readValues(source, column.layout, position, isValid);

  const { id, indexBytes, isSigned } = leaf.dictionary;
  const dictionary = dictionaries.get(id);
  const rows = source.header.nodes[position.node]!.length;
  const indices = indexReader(await readSized(source, position.buffer + 1, rows * indexBytes), indexBytes, isSigned);
  if (!dictionary && rows > 0) throw corrupt(source, `needs dictionary ${id}, which does not come before it`);
  const requireEntry = (row: number, index: number): void => {
    if (index >= 0 && index < dictionary!.rows) return;
    throw corrupt(source, `row ${row} refers to entry ${index} of dictionary ${id}, which has ${dictionary!.rows}`);
  };
  return {
    rows,
    bytes: EMPTY,
    start: 0,
    end: 0,
    entryOf: indices,
    locate(this: TextCursor, row) {
      if (!isValid(row)) return false;
      const index = indices(row);
      requireEntry(row, index);
      if (!dictionary!.locate(index)) return false;
      this.bytes = dictionary!.bytes;
      this.start = dictionary!.start;
      this.end = dictionary!.end;
      return true;
    },
    together() {
      const texts = dictionary?.together?.();
      if (!texts) return undefined;
      const entries = new Int32Array(rows);
      const validity = new Uint8Array(rows);
      let valid = 0;
      for (let row = 0; row < rows; row++) {
        if (!isValid(row)) continue;
        const index = indices(row);
        requireEntry(row, index);
        entries[row] = index;
        validity[row] = texts.validity?.[index] ?? 1;
        valid += validity[row]!;
      }
      return { rows, bytes: texts.bytes, offsets: texts.offsets, entries, ...(valid < rows && { validity }) };
    },
  };
}

/** A whole dictionary: the values of one batch and of the deltas after it. */
export function joined(parts: readonly TextCursor[]): TextCursor {
  const only = parts[0];
  if (only && parts.length === 1) return only;
  const ends: number[] = [];
  for (const part of parts) ends.push((ends.at(-1) ?? 0) + part.rows);
  return {
    rows: ends.at(-1) ?? 0,
    bytes: EMPTY,
    start: 0,
    end: 0,
    locate(this: TextCursor, row) {
      const index = ends.findIndex((end) => row < end);
      const part = parts[index]!;
      if (!part.locate(row - (ends[index - 1] ?? 0))) return false;
      this.bytes = part.bytes;
      this.start = part.start;
      this.end = part.end;
      return true;
    },
  };
}

/** The values of a dictionary batch, whose only column they are. */
export async function readDictionaryValues(source: BatchSource, layout: TextLayout): Promise<TextCursor> {
  const position = { node: 0, buffer: 0, variadic: 0 };
  const mask = layout === "null" ? undefined : await readBitmap(source, position);
  return readValues(source, layout, position, mask ? (row) => isSet(mask, row) : () => true);
}

async function readValues(
  source: BatchSource,
  layout: TextLayout,
  { node, buffer, variadic }: FieldPosition,
  isValid: IsValid,
): Promise<TextCursor> {
  const rows = source.header.nodes[node]!.length;
  const cursor = { rows, bytes: EMPTY, start: 0, end: 0 };
  switch (layout) {
    case "null":
      return { ...cursor, locate: () => false };
    case "offsets32":
    case "offsets64": {
      const width = layout === "offsets32" ? 4 : 8;
      // A column without rows may leave out even the first offset.
      const offsets = rows === 0 ? EMPTY : await readSized(source, buffer + 1, (rows + 1) * width);
      const view = new DataView(offsets.buffer, offsets.byteOffset, offsets.byteLength);
      const bytes = await readBuffer(source, buffer + 2);
      const offset =
        width === 4
          ? (row: number) => view.getInt32(row * 4, true)
          : (row: number) => view.getUint32(row * 8, true) + view.getInt32(row * 8 + 4, true) * 0x1_0000_0000;
      return {
        ...cursor,
        bytes,
        locate(this: TextCursor, row) {
          if (!isValid(row)) return false;
          this.start = offset(row);
          this.end = offset(row + 1);
          if (this.start >= 0 && this.end >= this.start && this.end <= bytes.length) return true;
          throw corrupt(
            source,
            `row ${row} must lie in ${bytes.length} bytes of text; it lies at ${this.start} to ${this.end}`,
          );
        },
        together: () => textsTogether(rows, bytes, offset, isValid),
      };
    }
    case "views": {
      const views = await readSized(source, buffer + 1, rows * VIEW_BYTES);
      const view = new DataView(views.buffer, views.byteOffset, views.byteLength);
      const data: Uint8Array[] = [];
      for (let i = 0; i < (source.header.variadicCounts[variadic] ?? 0); i++)
        data.push(await readBuffer(source, buffer + 2 + i));
      return {
        ...cursor,
        locate(this: TextCursor, row) {
          if (!isValid(row)) return false;
          const at = row * VIEW_BYTES;
          const length = view.getInt32(at, true);
          const inline = length <= MAX_INLINE;
          const bytes = inline ? views : data[view.getInt32(at + 8, true)];
          this.start = inline ? at + 4 : view.getInt32(at + 12, true);
          this.end = this.start + length;
          if (length < 0 || !bytes || this.start < 0 || this.end > bytes.length) {
            throw corrupt(
              source,
              `row ${row} must lie in the column's data buffers; its view says ${length} bytes at ${this.start}`,
            );
          }
          this.bytes = bytes;
          return true;
        },
      };
    }
    default:
      return layout satisfies never;
  }
}

/** undefined where null rows have bytes, which no batch may show, or where an offset is wrong, which `locate` reports. */
function textsTogether(
  rows: number,
  bytes: Uint8Array,
  offsetOf: (row: number) => number,
  isValid: IsValid,
): TextRows | undefined {
  const offsets = new Uint32Array(rows + 1);
  const start = rows === 0 ? 0 : offsetOf(0);
  if (start < 0) return undefined;
  let validity: Uint8Array | undefined;
  let end = start;
  for (let row = 0; row < rows; row++) {
    const next = offsetOf(row + 1);
    if (next < end || next > bytes.length) return undefined;
    if (!isValid(row)) {
      if (next !== end) return undefined;
      validity ??= new Uint8Array(rows).fill(1);
      validity[row] = 0;
    }
    end = next;
    offsets[row + 1] = end - start;
  }
  return { rows, bytes: bytes.subarray(start, end), offsets, ...(validity && { validity }) };
}

async function readValidity(
  source: BatchSource,
  field: ArrowField,
  position: FieldPosition,
): Promise<Uint8Array | undefined> {
  const node = source.header.nodes[position.node];
  if (node?.length !== source.header.rows) {
    throw corrupt(
      source,
      `column ${field.name} must have the batch's ${source.header.rows} rows; it has ${node?.length}`,
    );
  }
  return field.buffers === 0 ? undefined : await readBitmap(source, position);
}

async function readBitmap(source: BatchSource, position: FieldPosition): Promise<Uint8Array | undefined> {
  const node = source.header.nodes[position.node];
  if (!node || node.length < 0) throw corrupt(source, `says ${node?.length} rows`);
  return node.nulls === 0 ? undefined : await readSized(source, position.buffer, Math.ceil(node.length / 8));
}

function isSet(bitmap: Uint8Array, row: number): boolean {
  return ((bitmap[row >> 3]! >> (row & 7)) & 1) === 1;
}

/** The buffer, which must have at least so many bytes (it may be padded). */
async function readSized(source: BatchSource, index: number, bytes: number): Promise<Uint8Array> {
  const buffer = await readBuffer(source, index);
  if (buffer.length >= bytes) return buffer;
  throw corrupt(source, `buffer ${index} must have ${bytes} bytes; it has ${buffer.length}`);
}

function indexReader(bytes: Uint8Array, width: 1 | 2 | 4 | 8, isSigned: boolean): (row: number) => number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  switch (width) {
    case 1:
      return isSigned ? (row) => view.getInt8(row) : (row) => view.getUint8(row);
    case 2:
      return isSigned ? (row) => view.getInt16(row * 2, true) : (row) => view.getUint16(row * 2, true);
    case 4:
      return isSigned ? (row) => view.getInt32(row * 4, true) : (row) => view.getUint32(row * 4, true);
    case 8:
      return (row) => Number(isSigned ? view.getBigInt64(row * 8, true) : view.getBigUint64(row * 8, true));
  }
}

function corrupt(source: BatchSource, found: string): Error {
  return badShard("corrupt", source.place, found);
}
