/** A JSON Lines shard: the keys of its first objects. It is not read to its end, so rows are not counted. */
import { firstRows, rowLeaves } from "../../formats/jsonl/first-rows.ts";
import type { Compression } from "../../formats/sniff.ts";
import type { RandomAccessFile } from "../../storage/storage.ts";
import { formatBytes, formatInteger, plural } from "../numbers.ts";
import { formatPairs, formatTable } from "../table.ts";
import type { Inspection } from "./contract.ts";

const SAMPLE_LINES = 100;

export async function inspectJsonLines(file: RandomAccessFile, compression: Compression): Promise<Inspection> {
  const columns = new Map<string, { types: Set<string>; rows: number }>();
  const sampled = await firstRows(file, compression, SAMPLE_LINES);
  for (const [path, value] of sampled.flatMap(rowLeaves)) {
    const entry = columns.get(path) ?? { types: new Set(), rows: 0 };
    columns.set(path, entry);
    entry.types.add(typeOf(value));
    entry.rows++;
  }
  const table = [...columns].map(([path, { types, rows }]) => ({ path, types: [...types], rows }));
  return {
    kind: "JSON Lines shard",
    facts: { format: "jsonl", size: file.size, compression, sampledRows: sampled.length, columns: table },
    lines: [
      ...formatPairs([
        ["size", formatBytes(file.size)],
        ["compression", compression],
        ["looked at", `the first ${plural(sampled.length, "row")}`],
      ]),
      "",
      ...formatTable(
        [{ header: "column", align: "left" }, { header: "type", align: "left" }, { header: "in rows" }],
        table.map(({ path, types, rows }) => [path, types.join(" or "), formatInteger(rows)]),
      ),
    ],
  };
}

function typeOf(value: unknown): string {
  if (value === null) return "null";
  return Array.isArray(value) ? "list" : typeof value;
}
