/** A JSON Lines shard: the keys of its first objects. It is not read to its end, so rows are not counted. */

import { badShard } from "../../formats/failure.ts";
import { blocksOf, LineTooLong } from "../../formats/jsonl/blocks.ts";
import { decompressed } from "../../formats/jsonl/decompress.ts";
import { DEFAULT_LIMITS } from "../../formats/shard.ts";
import type { Compression } from "../../formats/sniff.ts";
import type { RandomAccessFile } from "../../storage/storage.ts";
import { formatBytes, formatInteger, plural } from "../numbers.ts";
import { formatPairs, formatTable } from "../table.ts";
import type { Inspection } from "./contract.ts";

const SAMPLE_LINES = 100;
const MAX_DEPTH = 8;

export async function inspectJsonLines(file: RandomAccessFile, compression: Compression): Promise<Inspection> {
  const columns = new Map<string, { types: Set<string>; rows: number }>();
  let sampled = 0;
  let line = 0;
  for await (const bytes of sample(file, compression)) {
    line++;
    const text = bytes.toString("utf8").replace(/^\uFEFF/, "");
    if (text.trim() === "") continue;
    for (const [path, type] of leavesOf(parseLine(text, file.uri, line), "", 0)) {
      const entry = columns.get(path) ?? { types: new Set(), rows: 0 };
      columns.set(path, entry);
      entry.types.add(type);
      entry.rows++;
    }
    if (++sampled === SAMPLE_LINES) break;
  }
  const table = [...columns].map(([path, { types, rows }]) => ({ path, types: [...types], rows }));
  return {
    kind: "JSON Lines shard",
    facts: { format: "jsonl", size: file.size, compression, sampledRows: sampled, columns: table },
    lines: [
      ...formatPairs([
        ["size", formatBytes(file.size)],
        ["compression", compression],
        ["looked at", `the first ${plural(sampled, "row")}`],
      ]),
      "",
      ...formatTable(
        [{ header: "column", align: "left" }, { header: "type", align: "left" }, { header: "in rows" }],
        table.map(({ path, types, rows }) => [path, types.join(" or "), formatInteger(rows)]),
      ),
    ],
  };
}

async function* sample(file: RandomAccessFile, compression: Compression): AsyncGenerator<Buffer> {
  const chunks = compression === "none" ? file.stream() : decompressed(file, compression);
  let line = 0;
  try {
    for await (const { bytes } of blocksOf(chunks, DEFAULT_LIMITS.maxLineBytes)) {
      for (let at = 0; at < bytes.length; line++) {
        const newline = bytes.indexOf("\n", at);
        const end = newline < 0 ? bytes.length : newline;
        yield bytes.subarray(at, end);
        at = end + 1;
      }
    }
  } catch (error) {
    if (!(error instanceof LineTooLong)) throw error;
    throw badShard("line-too-long", { file: file.uri, line: line + 1 }, error.message);
  }
}

function parseLine(text: string, file: string, line: number): object {
  try {
    // Python writes NaN and Infinity, which are no JSON and which readers of shards accept all the same.
    const value: unknown = JSON.parse(text.replace(/([:,[]\s*)(?:NaN|-?Infinity)(?=\s*[,}\]])/g, "$10"));
    if (value !== null && typeof value === "object" && !Array.isArray(value)) return value;
  } catch (error) {
    throw badShard("bad-json", { file, line }, `must be a JSON object: ${(error as Error).message}`);
  }
  throw badShard("bad-json", { file, line }, `must be a JSON object, found ${text.slice(0, 40)}`);
}

function leavesOf(value: object, prefix: string, depth: number): [path: string, type: string][] {
  return Object.entries(value).flatMap(([key, inner]): [string, string][] => {
    const path = `${prefix}${key}`;
    if (inner === null) return [[path, "null"]];
    if (Array.isArray(inner)) return [[path, "list"]];
    if (typeof inner === "object" && depth < MAX_DEPTH) return leavesOf(inner, `${path}.`, depth + 1);
    return [[path, typeof inner]];
  });
}
