/** Rows of a JSON Lines shard as objects, and the columns that they have: the first ones, or any. */
import type { RandomAccessFile } from "../../storage/storage.ts";
import { badShard } from "../failure.ts";
import { DEFAULT_LIMITS } from "../shard.ts";
import type { Compression } from "../sniff.ts";
import { blocksOf, LineTooLong } from "./blocks.ts";
import { decompressed } from "./decompress.ts";

const MAX_DEPTH = 8;

/** @throws DoremiError bad-json, line-too-long, and what a compressed stream is refused for */
export async function firstRows(file: RandomAccessFile, compression: Compression, most: number): Promise<object[]> {
  const rows: object[] = [];
  let line = 0;
  for await (const bytes of linesOf(file, compression)) {
    line++;
    const row = rowOf(bytes, file.uri, line);
    if (row && rows.push(row) === most) break;
  }
  return rows;
}

/** Undefined of a blank line. @param line 1-based; 0 where it is not known @throws DoremiError bad-json */
export function rowOf(bytes: Buffer, file: string, line: number): object | undefined {
  const text = bytes.toString("utf8").replace(/^\uFEFF/, "");
  return text.trim() === "" ? undefined : parseLine(text, file, line);
}

/** Leaves of a row by path: what dots go into. Lists are leaves. */
export function rowLeaves(row: object): [path: string, value: unknown][] {
  return leavesOf(row, "", 0);
}

/** @param start byte to begin at, of a shard that is not compressed: the line that it lies in is left out */
export async function* linesOf(file: RandomAccessFile, compression: Compression, start = 0): AsyncGenerator<Buffer> {
  const chunks = compression === "none" ? file.stream(Math.max(0, start - 1)) : decompressed(file, compression);
  let line = 0;
  let isCut = start > 0;
  try {
    for await (const { bytes } of blocksOf(chunks, DEFAULT_LIMITS.maxLineBytes)) {
      for (let at = 0; at < bytes.length; line++) {
        const newline = bytes.indexOf("\n", at);
        const end = newline < 0 ? bytes.length : newline;
        if (!isCut) yield bytes.subarray(at, end);
        isCut = false;
        at = end + 1;
      }
    }
  } catch (error) {
    if (!(error instanceof LineTooLong)) throw error;
    throw badShard("line-too-long", { file: file.uri, line: line + 1 }, error.message);
  }
}

function parseLine(text: string, file: string, line: number): object {
  const place = { file, ...(line > 0 && { line }) };
  try {
    // Python writes NaN and Infinity, which are no JSON and which readers of shards accept all the same.
    const value: unknown = JSON.parse(text.replace(/([:,[]\s*)(?:NaN|-?Infinity)(?=\s*[,}\]])/g, "$10"));
    if (value !== null && typeof value === "object" && !Array.isArray(value)) return value;
  } catch (error) {
    throw badShard("bad-json", place, `must be a JSON object: ${(error as Error).message}`);
  }
  throw badShard("bad-json", place, `must be a JSON object, found ${text.slice(0, 40)}`);
}

function leavesOf(value: object, prefix: string, depth: number): [path: string, value: unknown][] {
  return Object.entries(value).flatMap(([key, inner]): [string, unknown][] => {
    const path = `${prefix}${key}`;
    const isTable = inner !== null && typeof inner === "object" && !Array.isArray(inner);
    return isTable && depth < MAX_DEPTH ? leavesOf(inner, `${path}.`, depth + 1) : [[path, inner]];
  });
}
