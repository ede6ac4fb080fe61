/**
 * A look into a shard of which nothing is known: its format, its columns, and some values of those that hold text.
 * It reads a few pages of each column and never the whole shard.
 */
import { DoremiError } from "../lib/errors.ts";
import type { RandomAccessFile } from "../storage/storage.ts";
import { readFooter as readArrowFooter } from "./arrow/layout.ts";
import { readMessage } from "./arrow/message.ts";
import { fieldsOf, selectText } from "./arrow/schema.ts";
import { leafPaths } from "./columns.ts";
import { badShard } from "./failure.ts";
import { linesOf, rowLeaves, rowOf } from "./jsonl/first-rows.ts";
import { readFooter } from "./parquet/footer.ts";
import { planUnits } from "./parquet/layout.ts";
import { inspectShard, readUnit } from "./read.ts";
import { DEFAULT_LIMITS, type ShardFormat, type ShardLayout } from "./shard.ts";
import { type Compression, sniff } from "./sniff.ts";

export interface ShardSample {
  readonly format: ShardFormat;
  /** of the file as a whole; Parquet and Arrow compress inside */
  readonly compression: Compression;
  /** paths of all columns, whatever they hold */
  readonly columns: readonly string[];
  /** values of the columns that hold text, in rows that were looked at; null where a row has none */
  readonly texts: ReadonlyMap<string, readonly (string | null)[]>;
  /** of the whole shard; estimated from the first rows where only reading tells (JSON Lines) */
  readonly rows: number;
}

export interface SampleOptions {
  /** of each column, from each part of the shard that is looked at */
  readonly rowsPerUnit: number;
  /** columns that are read, at most */
  readonly maxColumns?: number;
}

/** bytes of a column that are read of a part, about: labels to the end of most parts, of texts some hundred */
const BYTES_PER_UNIT = 2 << 20;

/** Text shrinks to about a quarter under gzip and zstd: for estimates alone. */
const COMPRESSED_SHARE = 1 / 4;

/** @throws DoremiError with kind bad-data */
export async function sampleShard(file: RandomAccessFile, options: SampleOptions): Promise<ShardSample> {
  const sniffed = await sniff(file);
  if (sniffed.format === "jsonl") return sampleJsonLines(file, sniffed.compression, options.rowsPerUnit);
  const { columns, texts } =
    sniffed.format === "parquet" ? await parquetColumns(file) : await arrowColumns(file, sniffed.format);
  const read = new Map<string, (string | null)[]>();
  let rows = 0;
  for (const path of texts.slice(0, options.maxColumns ?? 64)) {
    const layout = await inspectShard(file, { text: path });
    rows = layout.rows ?? 0;
    read.set(path, await spreadValues(file, layout, path, options.rowsPerUnit));
  }
  return { format: sniffed.format, compression: "none", columns, texts: read, rows };
}

async function parquetColumns(file: RandomAccessFile) {
  const footer = await readFooter(file, DEFAULT_LIMITS);
  const columns = leafPaths(footer.fields);
  return { columns, texts: columns.filter((path) => holdsText(() => planUnits(file.uri, footer, { text: path }))) };
}

async function arrowColumns(file: RandomAccessFile, format: "arrow-file" | "arrow-stream") {
  const { schema, version } = format === "arrow-file" ? await footerSchema(file) : await firstMessage(file);
  const fields = fieldsOf(schema, version, file.uri);
  const columns = leafPaths(fields);
  return { columns, texts: columns.filter((path) => holdsText(() => selectText(fields, { text: path }, file.uri))) };
}

async function footerSchema(file: RandomAccessFile) {
  const { footer } = await readArrowFooter(file, DEFAULT_LIMITS);
  const schema = footer.schema();
  if (!schema)
    throw badShard("bad-footer", { file: file.uri }, "the footer must hold the schema, and this one has none");
  return { schema, version: footer.version() };
}

async function firstMessage(file: RandomAccessFile) {
  const first = await readMessage(file, 0, { file: file.uri }, DEFAULT_LIMITS);
  if (first?.message.kind !== "schema")
    throw badShard("bad-magic", { file: file.uri }, "an Arrow stream must begin with its schema");
  return first.message;
}

/** A column that is named by no path, as where names have dots and lie in each other's way, is none either. */
function holdsText(select: () => unknown): boolean {
  try {
    select();
    return true;
  } catch (error) {
    if (error instanceof DoremiError && ["wrong-column-type", "missing-column"].includes(error.code)) return false;
    throw error;
  }
}

/** Of the first, the middle and the last part, rows at even distances as far as so many bytes go: shards are often sorted. */
async function spreadValues(file: RandomAccessFile, layout: ShardLayout, path: string, most: number) {
  const { units } = layout;
  const values: (string | null)[] = [];
  for (const index of new Set([0, units.length >> 1, units.length - 1])) {
    const unit = units[index];
    if (!unit) continue;
    const thinned = new Thinned<string | null>(most);
    let bytesRead = 0;
    for await (const batch of readUnit(file, layout, unit, { text: path })) {
      const { bytes, offsets, validity } = batch;
      for (let row = 0; row < batch.rows; row++) {
        thinned.add(() => {
          const text = Buffer.from(bytes.buffer, bytes.byteOffset + offsets[row]!, offsets[row + 1]! - offsets[row]!);
          return validity?.[row] === 0 ? null : text.toString("utf8");
        });
      }
      bytesRead += offsets[batch.rows]! - offsets[0]!;
      if (bytesRead >= BYTES_PER_UNIT) break;
    }
    values.push(...thinned.values);
  }
  return values;
}

/** Some of a row of values of which nobody knows how many there are, at even distances. */
class Thinned<T> {
  readonly #most: number;
  #values: T[] = [];
  #seen = 0;
  #each = 1;

  constructor(most: number) {
    this.#most = most;
  }

  get values(): readonly T[] {
    return this.#values;
  }

  add(value: () => T): void {
    if (this.#seen++ % this.#each !== 0) return;
    if (this.#values.length === this.#most) {
      this.#values = this.#values.filter((_, i) => i % 2 === 0);
      this.#each *= 2;
      if ((this.#seen - 1) % this.#each !== 0) return;
    }
    this.#values.push(value());
  }
}

async function sampleJsonLines(file: RandomAccessFile, compression: Compression, most: number): Promise<ShardSample> {
  const { found, rows } = await spreadRows(file, compression, most);
  const leaves = found.map((row) => new Map(rowLeaves(row)));
  const columns = [...new Set(leaves.flatMap((row) => [...row.keys()]))];
  const texts = new Map<string, (string | null)[]>();
  for (const path of columns) {
    const values = leaves.map((row) => row.get(path) ?? null);
    const isText = values.every((value) => value === null || typeof value === "string");
    if (isText && values.some((value) => value !== null)) texts.set(path, values as (string | null)[]);
  }
  return { format: "jsonl", compression, columns, texts, rows };
}

/**
 * Rows at even distances as far as some bytes go, and of a larger shard that can be entered anywhere some of its middle
 * and of its end.
 */
async function spreadRows(file: RandomAccessFile, compression: Compression, most: number) {
  const thinned = new Thinned<object | undefined>(most);
  let [line, rows, bytes] = [0, 0, 0];
  let isWhole = true;
  for await (const text of linesOf(file, compression)) {
    line++;
    bytes += text.length + 1;
    if (text.length > 0) rows++;
    thinned.add(() => rowOf(text, file.uri, line));
    if (bytes < BYTES_PER_UNIT) continue;
    isWhole = false;
    break;
  }
  const found = [...thinned.values];
  if (!isWhole && compression === "none") {
    for (const start of [file.size >> 1, file.size - BYTES_PER_UNIT]) {
      if (start < bytes) continue;
      let taken = 0;
      for await (const text of linesOf(file, compression, start)) {
        found.push(rowOf(text, file.uri, 0));
        if (++taken === most) break;
      }
    }
  }
  const whole = file.size / (compression === "none" ? 1 : COMPRESSED_SHARE);
  return {
    found: found.filter((row) => row !== undefined),
    rows: isWhole ? rows : Math.round((whole / bytes) * rows),
  };
}
