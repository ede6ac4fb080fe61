/**
 * JSON Lines, plain or compressed. A plain file is cut into stretches without reading it, and a stretch owns the lines
 * that start in its byte range; a compressed file is one unit, streamed.
 */
import type { RandomAccessFile } from "../../storage/storage.ts";
import { BatchBuilder, NameDictionary, withColumns } from "../batch.ts";
import { badShard } from "../failure.ts";
import type { ColumnSelection, ReadLimits, ShardLayout, ShardUnit, TextBatch } from "../shard.ts";
import type { Compression } from "../sniff.ts";
import { decompressed } from "./decompress.ts";
import { LineTooLong, linesOf } from "./lines.ts";
import { BadLine, parseRecord, stringAt, valueAt } from "./record.ts";

/** What a unit's `locator` holds. */
export interface StretchLocator {
  readonly compression: Compression;
  /** bytes start..end (exclusive) of a plain file; of a compressed one, the whole */
  readonly start: number;
  readonly end: number;
}

/** bytes of a plain file's stretch */
export const STRETCH_BYTES = 32 << 20;
/** A decoder's window and the chunks in flight. */
const STREAM_MEMORY = 16 << 20;

/** Pure: nothing is read. */
export function jsonlLayout(
  size: number,
  compression: Compression,
  limits: ReadLimits,
  stretchBytes = STRETCH_BYTES,
): ShardLayout {
  const count = compression === "none" ? Math.max(1, Math.ceil(size / stretchBytes)) : 1;
  const units = Array.from({ length: count }, (_, index): ShardUnit => {
    const start = index * stretchBytes;
    const end = count === 1 ? size : Math.min(size, start + stretchBytes);
    const locator: StretchLocator = { compression, start, end };
    const storedBytes = end - start;
    return { index, rows: null, storedBytes, memoryBytes: STREAM_MEMORY + 3 * limits.batchBytes, locator };
  });
  return { format: "jsonl", size, rows: null, units };
}

/** @throws DoremiError bad-json, missing-column, wrong-column-type, line-too-long, invalid-utf8, truncated, corrupt */
export async function* readStretch(
  file: RandomAccessFile,
  unit: ShardUnit,
  columns: ColumnSelection,
  limits: ReadLimits,
): AsyncGenerator<TextBatch> {
  const { compression, start, end } = unit.locator as StretchLocator;
  // From the byte before: where that is a newline, the first line of the stretch is its own.
  const from = start > 0 ? start - 1 : 0;
  const bytes = compression === "none" ? file.stream(from) : decompressed(file, compression);
  const stop = compression === "none" ? end - from : Number.POSITIVE_INFINITY;
  const rows = new RowCollector(unit.index, columns, limits);
  let index = 0; // of the line, in this stream
  try {
    for await (const lines of linesOf(bytes, limits.maxLineBytes)) {
      for (const line of lines) {
        if (line.start >= stop) {
          if (rows.count > 0) yield rows.take();
          return;
        }
        if (index > 0 || start === 0) {
          rows.add(index === 0 ? withoutMark(line.bytes) : line.bytes); // a byte order mark only opens a file
          if (rows.isFull) yield rows.take();
        }
        index++;
      }
    }
  } catch (error) {
    if (error instanceof BadLine) throw await atLine(file, from, index, error.code, error.message);
    if (error instanceof LineTooLong) {
      throw await atLine(
        file,
        from,
        error.index,
        "line-too-long",
        `${error.message} (maxLineBytes); split the document`,
      );
    }
    throw error;
  }
  if (rows.count > 0) yield rows.take();
}

/** Rows of a batch in the making, with domain and extra columns. */
class RowCollector {
  readonly #columns: ColumnSelection;
  readonly #builder: BatchBuilder;
  readonly #names = new NameDictionary();
  #domains: number[] = [];
  #extra: Map<string, unknown[]>;

  constructor(unit: number, columns: ColumnSelection, limits: ReadLimits) {
    this.#columns = columns;
    this.#builder = new BatchBuilder(unit, limits, Math.min(limits.batchBytes, 1 << 20));
    this.#extra = this.#emptyExtra();
  }

  get count(): number {
    return this.#builder.rows;
  }

  get isFull(): boolean {
    return this.#builder.isFull;
  }

  add(line: Buffer): void {
    const record = parseRecord(line);
    if (!record) return;
    const text = stringAt(record, this.#columns.text);
    if (this.#columns.domain !== undefined) {
      const domain = stringAt(record, this.#columns.domain);
      this.#domains.push(domain === null ? -1 : this.#names.indexOf(domain));
    }
    for (const [path, values] of this.#extra) values.push(valueAt(record, path) ?? null);
    if (text === null) this.#builder.appendNull();
    else this.#builder.appendString(text);
  }

  take(): TextBatch {
    const batch = this.#builder.take();
    const domain = { names: this.#names.names.slice(), indices: Int32Array.from(this.#domains) };
    const extra = this.#extra;
    this.#domains = [];
    this.#extra = this.#emptyExtra();
    const { domain: path } = this.#columns;
    return {
      ...withColumns(batch, undefined, undefined),
      ...(path !== undefined && { domain }),
      ...(extra.size > 0 && { extra }),
    };
  }

  #emptyExtra(): Map<string, unknown[]> {
    return new Map((this.#columns.extra ?? []).map((path) => [path, []]));
  }
}

function withoutMark(bytes: Buffer): Buffer {
  return bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? bytes.subarray(3) : bytes;
}

/** The error with the line's number in the whole file, for which the lines before the stretch are counted. */
async function atLine(file: RandomAccessFile, from: number, index: number, code: string, message: string) {
  let before = 0;
  if (from > 0) {
    for await (const chunk of file.stream(0, from)) {
      for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, at + 1)) before++;
    }
  }
  return badShard(code, { file: file.uri, line: before + index + 1 }, message);
}
