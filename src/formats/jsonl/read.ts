/**
 * JSON Lines, plain or compressed. A plain file is cut into stretches without reading it, and a stretch owns the lines
 * that start in its byte range; a compressed file is one unit, streamed.
 */
import type { ErrorCode } from "../../lib/error-codes.ts";
import type { RandomAccessFile } from "../../storage/storage.ts";
import { policyRemedy } from "../bad-documents.ts";
import { badShard } from "../failure.ts";
import type { BatchForm, ColumnSelection, ReadLimits, ShardLayout, ShardUnit, TextBatch } from "../shard.ts";
import type { Compression } from "../sniff.ts";
import { blocksOf, LineTooLong } from "./blocks.ts";
import { decompressed } from "./decompress.ts";
import { BadLine } from "./record.ts";
import { RowCollector } from "./rows.ts";

/** What a unit's `locator` holds. */
export interface StretchLocator {
  readonly compression: Compression;
  /** bytes start..end (exclusive) of a plain file; of a compressed one, the whole */
  readonly start: number;
  readonly end: number;
}

const NEWLINE = 10;
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
  form: BatchForm,
): AsyncGenerator<TextBatch> {
  const { compression, start, end } = unit.locator as StretchLocator;
  // From the byte before: where that is a newline, the first line of the stretch is its own.
  const from = start > 0 ? start - 1 : 0;
  const bytes = compression === "none" ? file.stream(from, file.size, end) : decompressed(file, compression);
  const stop = compression === "none" ? end - from : Number.POSITIVE_INFINITY;
  const rows = new RowCollector(unit.index, columns, limits, form);
  let index = 0; // of the line, in this stream
  try {
    for await (const block of blocksOf(bytes, limits.maxLineBytes)) {
      const isQuick = rows.open(block.bytes);
      for (let at = 0; at < block.bytes.length; index++) {
        const isOwn = index > 0 || start === 0;
        if (block.start + at >= stop) {
          if (rows.count > 0) yield rows.take();
          return;
        }
        let end = isQuick && isOwn ? rows.addQuickly(at) : -1;
        const isAdded = end >= 0;
        if (!isAdded) end = block.bytes.indexOf(NEWLINE, at);
        if (end < 0) end = block.bytes.length;
        if (end - at > limits.maxLineBytes) throw new LineTooLong(limits.maxLineBytes);
        if (isOwn && !isAdded) {
          const line = block.bytes.subarray(at, end);
          rows.add(index === 0 ? withoutMark(line) : line); // a byte order mark only opens a file
        }
        at = end + 1;
        if (rows.isFull) yield rows.take();
      }
    }
  } catch (error) {
    if (error instanceof BadLine) {
      const mend = error.saysRemedy ? "" : "; mend the line";
      const more = columns.onBadDocument === undefined ? "" : `${mend}, ${policyRemedy(error.code)}`;
      throw await atLine(file, from, index, error.code, `${error.message}${more}`);
    }
    if (error instanceof LineTooLong) {
      const message = `${error.message} (maxLineBytes); split the document`;
      throw await atLine(file, from, index, "line-too-long", message);
    }
    throw error;
  } finally {
    rows.close();
  }
  if (rows.count > 0) yield rows.take();
}

function withoutMark(bytes: Buffer): Buffer {
  return bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? bytes.subarray(3) : bytes;
}

/** The error with the line's number in the whole file, for which the lines before the stretch are counted. */
async function atLine(file: RandomAccessFile, from: number, index: number, code: ErrorCode, message: string) {
  let before = 0;
  if (from > 0) {
    for await (const chunk of file.stream(0, from)) {
      for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, at + 1)) before++;
    }
  }
  return badShard(code, { file: file.uri, line: before + index + 1 }, message);
}
