/**
 * Is an Arrow file of numbers what its lengths say? The Arrow library believes every length that a file states and can be
 * made to loop for hours or to take any memory, so the files of ours that it reads are looked at here first: every list
 * within the bytes that hold it, every column within its buffers.
 */
import type { Field } from "apache-arrow/fb/field";
import { FloatingPoint } from "apache-arrow/fb/floating-point";
import { Int } from "apache-arrow/fb/int";
import type { KeyValue } from "apache-arrow/fb/key-value";
import { Precision } from "apache-arrow/fb/precision";
import type { Schema } from "apache-arrow/fb/schema";
import { Type } from "apache-arrow/fb/type";
import type { RandomAccessFile } from "../../storage/storage.ts";
import { badShard, guarded } from "../failure.ts";
import { DEFAULT_LIMITS, type ReadLimits } from "../shard.ts";
import { blockPlaces, readFooter, requireInside } from "./layout.ts";
import { type BatchHeader, readMessage } from "./message.ts";
import { fieldsOf } from "./schema.ts";

/** Of a footer or a header: many times what a file of ours needs. */
const LIMITS: ReadLimits = { ...DEFAULT_LIMITS, maxMetadataBytes: 16 << 20 };

/** "ARROW1" and padding, and at the end the footer's length and "ARROW1" again. */
const SMALLEST_FILE = 22;

/**
 * @param file an Arrow file, not a stream, of integers, floats and lists of them, not compressed, without dictionaries
 * @throws DoremiError bad-footer, truncated, corrupt
 */
export async function checkArrowNumbers(file: RandomAccessFile): Promise<void> {
  const place = { file: file.uri };
  if (file.size < SMALLEST_FILE) throw badShard("bad-footer", place, `is too short for an Arrow file`);
  const { footer, at } = await readFooter(file, LIMITS);
  const { columns, batches } = guarded("bad-footer", place, "the footer must be Arrow's", () => {
    const schema = footer.schema();
    if (!schema) throw new Error("it has no schema");
    fieldsOf(schema, footer.version(), file.uri); // its fields are as many as its bytes can hold
    checkMetadata(schema, at.headBytes);
    if (footer.dictionariesLength() !== 0) throw new Error("it has dictionaries");
    return {
      columns: Array.from({ length: schema.fieldsLength() }, (_, i) => columnOf(schema.fields(i)!, at.headBytes)),
      batches: blockPlaces(footer.recordBatchesLength(), at.headBytes, (i) => footer.recordBatches(i)!),
    };
  });
  for (const [rowGroup, block] of batches.entries()) {
    requireInside(file, block, rowGroup);
    const within = { ...place, rowGroup };
    const found = await readMessage(file, block.offset, within, LIMITS);
    if (found?.message.kind !== "batch") throw badShard("corrupt", within, "must be a record batch");
    const { batch } = found.message;
    const { bodyBytes } = found.place;
    guarded("corrupt", within, "must be a record batch of the schema", () => checkBatch(columns, batch, bodyBytes));
  }
}

/** What the bytes of a column are. */
type NumberColumn =
  | { readonly kind: "numbers"; readonly bytesEach: number }
  | { readonly kind: "lists" | "lists of one length"; readonly item: NumberColumn };

/** @param bytes that hold the field */
function columnOf(field: Field, bytes: number): NumberColumn {
  checkMetadata(field, bytes);
  const name = field.name() ?? "";
  switch (field.typeType()) {
    case Type.Int:
      return { kind: "numbers", bytesEach: (field.type(new Int()) as Int).bitWidth() / 8 };
    case Type.FloatingPoint: {
      const precision = (field.type(new FloatingPoint()) as FloatingPoint).precision();
      return {
        kind: "numbers",
        bytesEach: precision === Precision.DOUBLE ? 8 : precision === Precision.SINGLE ? 4 : 2,
      };
    }
    case Type.List:
    case Type.FixedSizeList: {
      if (field.childrenLength() !== 1) throw new Error(`the lists of ${name} are of ${field.childrenLength()} fields`);
      const kind = field.typeType() === Type.List ? "lists" : "lists of one length";
      return { kind, item: columnOf(field.children(0)!, bytes) };
    }
    default:
      throw new Error(`column ${name} must be of numbers or lists of numbers`);
  }
}

function checkMetadata(
  holder: Pick<Schema | Field, "customMetadataLength"> & { customMetadata(i: number): KeyValue | null },
  bytes: number,
): void {
  const length = holder.customMetadataLength();
  if (length < 0 || length * 4 > bytes) throw new Error(`a list of ${length} keys and values`);
  let characters = 0;
  for (let i = 0; i < length; i++) {
    const entry = holder.customMetadata(i)!;
    characters += (entry.key()?.length ?? 0) + (entry.value()?.length ?? 0);
    if (characters > bytes) throw new Error("keys and values are longer than what holds them");
  }
}

function checkBatch(columns: readonly NumberColumn[], header: BatchHeader, bodyBytes: number): void {
  if (header.compression !== "none") throw new Error("it is compressed");
  let [node, buffer] = [0, 0];
  const take = (atLeast: number): void => {
    const { offset, length } = header.buffers[buffer] ?? { offset: -1, length: -1 };
    if (offset < 0 || length < 0 || offset + length > bodyBytes || length < atLeast)
      throw new Error(
        `buffer ${buffer} must have ${atLeast} of the body's ${bodyBytes} bytes; it says ${length} at ${offset}`,
      );
    buffer++;
  };
  /** @returns length of the column */
  const visit = (column: NumberColumn): number => {
    const { length, nulls } = header.nodes[node++] ?? { length: -1, nulls: 0 };
    if (length < 0 || nulls < 0 || nulls > length)
      throw new Error(`a column of ${length} values, ${nulls} of them null`);
    take(nulls === 0 ? 0 : Math.ceil(length / 8));
    if (column.kind === "numbers") {
      take(length * column.bytesEach);
      return length;
    }
    if (column.kind === "lists") take(length === 0 ? 0 : 4 * (length + 1));
    const items = visit(column.item);
    // A list has a place in the body, or an item, which has one.
    if (column.kind === "lists of one length" && items < length)
      throw new Error(`${length} lists, and ${items} items in all`);
    return length;
  };
  for (const column of columns) {
    const length = visit(column);
    if (length !== header.rows) throw new Error(`a column of ${length} rows, in a batch of ${header.rows}`);
  }
}
