/**
 * Arrow files that grow with the steps of a training, its trajectory and its trace: columns of numbers and of lists of
 * numbers, written and read a record batch at a time, so that their size is no matter of memory.
 */
import { type FileHandle, open } from "node:fs/promises";
import * as arrow from "apache-arrow";
import { checkArrowNumbers } from "../formats/arrow/check.ts";
import { reason } from "../formats/failure.ts";
import { sniff } from "../formats/sniff.ts";
import { AtomicFile } from "../lib/atomic-write.ts";
import { DoremiError, withPlace } from "../lib/errors.ts";
import { LocalStorage } from "../storage/local.ts";

export type Numbers = Uint8Array | Uint16Array | Int32Array | Float64Array;

export interface Column {
  readonly name: string;
  readonly data: arrow.Data;
  readonly nullable?: boolean;
}

/** A number a row. */
export function numbers(name: string, values: Numbers): Column {
  return { name, data: primitive(values) };
}

/** A list of `width` numbers a row, behind each other in `values`. */
export function lists(name: string, values: Numbers, width: number): Column {
  const child = primitive(values);
  const type = new arrow.FixedSizeList(width, new arrow.Field("item", child.type, false));
  return { name, data: arrow.makeData({ type, length: values.length / width, nullCount: 0, child }) };
}

/** As `lists`; a row in which no number is one is null, and takes no room. */
export function listsOrNull(name: string, values: Float64Array, width: number): Column {
  const length = values.length / width;
  const nullBitmap = new Uint8Array((length + 7) >> 3);
  const valueOffsets = new Int32Array(length + 1);
  const kept: Float64Array[] = [];
  for (let row = 0; row < length; row++) {
    const list = values.subarray(row * width, (row + 1) * width);
    if (!list.every(Number.isNaN)) {
      nullBitmap[row >> 3]! |= 1 << (row & 7);
      kept.push(list);
    }
    valueOffsets[row + 1] = kept.length * width;
  }
  const present = new Float64Array(kept.length * width);
  for (const [i, list] of kept.entries()) present.set(list, i * width);
  const child = primitive(present);
  const type = new arrow.List(new arrow.Field("item", child.type, false));
  const data = arrow.makeData({ type, length, nullCount: length - kept.length, nullBitmap, valueOffsets, child });
  return { name, data, nullable: true };
}

function primitive(data: Numbers): arrow.Data {
  const rest = { length: data.length, nullCount: 0 };
  if (data instanceof Uint8Array) return arrow.makeData({ type: new arrow.Uint8(), data, ...rest });
  if (data instanceof Uint16Array) return arrow.makeData({ type: new arrow.Uint16(), data, ...rest });
  if (data instanceof Int32Array) return arrow.makeData({ type: new arrow.Int32(), data, ...rest });
  return arrow.makeData({ type: new arrow.Float64(), data, ...rest });
}

/** Bytes that the writer has made and nobody has taken yet. */
class Pending extends arrow.AsyncByteQueue {
  #chunks: Uint8Array[] = [];

  override write(chunk: Uint8Array): void {
    this.#chunks.push(chunk);
  }

  take(): Buffer {
    const bytes = Buffer.concat(this.#chunks);
    this.#chunks = [];
    return bytes;
  }
}

/** An Arrow file that grows batch by batch, and appears whole or not at all. Every batch has the columns of the first. */
export class RecordBatchFile {
  readonly #file: AtomicFile;
  readonly #metadata: ReadonlyMap<string, string>;
  readonly #pending = new Pending();
  readonly #writer = new arrow.RecordBatchFileWriter();
  #schema: arrow.Schema | undefined;

  private constructor(file: AtomicFile, metadata: ReadonlyMap<string, string>) {
    this.#file = file;
    this.#metadata = metadata;
  }

  static async create(path: string, metadata: ReadonlyMap<string, string> = new Map()): Promise<RecordBatchFile> {
    return new RecordBatchFile(await AtomicFile.create(path), metadata);
  }

  async write(columns: readonly Column[]): Promise<void> {
    if (!this.#schema) {
      const fields = columns.map(({ name, data, nullable }) => new arrow.Field(name, data.type, nullable ?? false));
      this.#schema = new arrow.Schema(fields, new Map(this.#metadata));
      this.#writer.reset(this.#pending, this.#schema);
    }
    const type = new arrow.Struct(this.#schema.fields);
    const children = columns.map(({ data }) => data);
    const length = children[0]?.length ?? 0;
    this.#writer.write(new arrow.RecordBatch(this.#schema, arrow.makeData({ type, length, nullCount: 0, children })));
    await this.#file.write(this.#pending.take());
  }

  /** After at least one batch, which may have no row. */
  async commit(): Promise<void> {
    this.#writer.close();
    await this.#file.write(this.#pending.take());
    await this.#file.commit();
  }

  discard(): Promise<void> {
    return this.#file.discard();
  }
}

/**
 * The file appears whole or not at all.
 * @param batches of the same columns; at least one, which may have no row
 */
export async function writeRecordBatches(
  path: string,
  metadata: ReadonlyMap<string, string>,
  batches: Iterable<readonly Column[]>,
): Promise<void> {
  const file = await RecordBatchFile.create(path, metadata);
  try {
    for (const columns of batches) await file.write(columns);
    await file.commit();
  } catch (error) {
    await file.discard();
    throw error;
  }
}

/** An open file of record batches. Close it. */
export class RecordBatches {
  readonly path: string;
  readonly #handle: FileHandle;
  readonly #reader: arrow.AsyncRecordBatchFileReader;

  private constructor(path: string, handle: FileHandle, reader: arrow.AsyncRecordBatchFileReader) {
    this.path = path;
    this.#handle = handle;
    this.#reader = reader;
  }

  /** @throws DoremiError missing-file, and of a file that is no Arrow file: what was found */
  static async open(path: string): Promise<RecordBatches> {
    const file = await new LocalStorage().open(path);
    try {
      const { format } = await sniff(file);
      if (format !== "arrow-file") {
        const found = format === "arrow-stream" ? "an Arrow stream" : `a ${format} file`;
        throw new DoremiError("bad-data", "wrong-file", `${path}: must be an Arrow file, found ${found}`, {
          file: path,
        });
      }
      await checkArrowNumbers(file).catch((error: unknown) => {
        const isOfFile = error instanceof DoremiError && error.kind === "bad-data";
        throw corrupt(path, isOfFile ? new Error(error.message) : error);
      });
    } finally {
      await file.close();
    }
    const handle = await open(path);
    try {
      const reader = await arrow.RecordBatchReader.from(handle);
      return new RecordBatches(path, handle, (await reader.open()) as unknown as arrow.AsyncRecordBatchFileReader);
    } catch (error) {
      await handle.close().catch(() => {});
      throw corrupt(path, error);
    }
  }

  get metadata(): ReadonlyMap<string, string> {
    return this.#reader.schema.metadata;
  }

  get columns(): readonly string[] {
    return this.#reader.schema.fields.map((field) => field.name);
  }

  /** number of record batches */
  get length(): number {
    return this.#reader.numRecordBatches;
  }

  /** @throws DoremiError corrupt-file */
  async read(index: number): Promise<BatchColumns> {
    try {
      const batch = await this.#reader.readRecordBatch(index);
      if (!batch) throw new Error(`record batch ${index} is not where the footer says`);
      return new BatchColumns(this.path, batch);
    } catch (error) {
      throw corrupt(this.path, error);
    }
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<BatchColumns> {
    for (let i = 0; i < this.length; i++) yield await this.read(i);
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }
}

/** The columns of one batch, as the functions above make them. What is not as they make it is corrupt. */
export class BatchColumns {
  readonly path: string;
  readonly rows: number;
  readonly #batch: arrow.RecordBatch;

  constructor(path: string, batch: arrow.RecordBatch) {
    this.path = path;
    this.rows = batch.numRows;
    this.#batch = batch;
  }

  numbers(name: string): Numbers {
    return this.#checked(name, ({ values }) => numericValues(values, this.rows));
  }

  /** length of each row's list */
  widthOf(name: string): number {
    return this.#checked(name, ({ type }) => {
      if (!arrow.DataType.isFixedSizeList(type)) throw new Error(`must have lists of one length, and has ${type}`);
      return type.listSize;
    });
  }

  lists(name: string, width: number): Numbers {
    if (this.widthOf(name) !== width)
      throw corrupt(this.path, new Error(`column ${name} must have lists of ${width}, and has ${this.widthOf(name)}`));
    return this.#checked(name, ({ children }) => numericValues(children[0]!.values, this.rows * width));
  }

  float64Lists(name: string, width: number): Float64Array {
    const values = this.lists(name, width);
    if (!(values instanceof Float64Array)) throw corrupt(this.path, new Error(`column ${name} must be of float64`));
    return values;
  }

  /** undefined where a row is null */
  listsOrNull(name: string, width: number): (Float64Array | undefined)[] {
    return this.#checked(name, (data) => {
      if (!arrow.DataType.isList(data.type)) throw new Error(`must have lists, and has ${data.type}`);
      const values = data.children[0]!.values;
      return Array.from({ length: this.rows }, (_, row) => {
        if (!data.getValid(row)) return undefined;
        const from = data.valueOffsets[row]!;
        if (data.valueOffsets[row + 1]! - from !== width) throw new Error(`must have lists of ${width}`);
        return values.subarray(from, from + width);
      });
    });
  }

  #checked<T>(name: string, read: (data: arrow.Data) => T): T {
    const data = this.#batch.getChild(name)?.data[0];
    try {
      if (!data) throw new Error("must be there");
      return read(data);
    } catch (error) {
      throw corrupt(this.path, new Error(`column ${name} ${reason(error)}`));
    }
  }
}

function numericValues(values: unknown, length: number): Numbers {
  const known =
    values instanceof Uint8Array ||
    values instanceof Uint16Array ||
    values instanceof Int32Array ||
    values instanceof Float64Array;
  if (!known || values.length < length) throw new Error(`must have ${length} numbers`);
  return values.subarray(0, length);
}

function corrupt(path: string, cause: unknown): DoremiError {
  if (cause instanceof DoremiError) return cause;
  if (cause instanceof Error && "syscall" in cause) return withPlace(cause, { file: path });
  return new DoremiError("bad-data", "corrupt-file", `${path}: is damaged: ${reason(cause)}; make it again`, {
    file: path,
    cause,
  });
}
