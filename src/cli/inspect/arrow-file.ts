/** Arrow files and streams: row counts and trajectories of ours, or a shard with its columns and record batches. */
import { readFile } from "node:fs/promises";
import type { Schema } from "apache-arrow/fb/schema";
import { Type } from "apache-arrow/fb/type";
import { checkArrowNumbers } from "../../formats/arrow/check.ts";
import { readFooter } from "../../formats/arrow/layout.ts";
import { readMessage } from "../../formats/arrow/message.ts";
import { type ArrowField, fieldsOf } from "../../formats/arrow/schema.ts";
import { badShard } from "../../formats/failure.ts";
import { DEFAULT_LIMITS } from "../../formats/shard.ts";
import type { RandomAccessFile } from "../../storage/storage.ts";
import { formatBytes, formatInteger } from "../numbers.ts";
import { formatPairs, formatTable } from "../table.ts";
import { inspectRowCounts } from "./arrow-results.ts";
import { type Inspection, SHOWN_ROWS } from "./contract.ts";
import { inspectTrace, inspectTrajectory } from "./recordings.ts";

/** Key of the schema's metadata in which our files keep the domains' names. */
const DOMAINS_KEY = "doremi.domains";

interface Batch {
  readonly rows: number;
  readonly bytes: number;
  readonly compression: string;
}

export async function inspectArrow(file: RandomAccessFile, format: "arrow-file" | "arrow-stream"): Promise<Inspection> {
  const { schema, version, batches } = format === "arrow-file" ? await openFile(file) : await openStream(file);
  const fields = fieldsOf(schema, version, file.uri);
  const domains = metadataOf(schema).get(DOMAINS_KEY);
  if (domains !== undefined) {
    const names = fields.map((field) => field.name);
    if (names.includes("step")) {
      const rows = batches.map((batch) => batch.rows);
      // A trace has its sequences' domains.
      return names.includes("domain")
        ? inspectTrace(file.uri)
        : inspectTrajectory(file.uri, rows, parseNames(domains, file.uri));
    }
    if (names.includes("bytes")) {
      await checkArrowNumbers(file);
      return inspectRowCounts(await readFile(file.uri), parseNames(domains, file.uri));
    }
  }
  const rows = batches.reduce((sum, batch) => sum + batch.rows, 0);
  const columns = fields.flatMap((field) => leavesOf(field, ""));
  const compression = [...new Set(batches.map((batch) => batch.compression))];
  return {
    kind: format === "arrow-file" ? "Arrow file shard" : "Arrow stream shard",
    facts: { format, size: file.size, rows, columns, batches },
    lines: [
      ...formatPairs([
        ["size", formatBytes(file.size)],
        ["rows", formatInteger(rows)],
        ["record batches", formatInteger(batches.length)],
        ["compression", compression.join(", ") || "none"],
      ]),
      "",
      ...formatTable(
        [
          { header: "column", align: "left" },
          { header: "type", align: "left" },
        ],
        columns.map((column) => [column.path, column.type]),
      ),
      "",
      ...formatTable(
        [{ header: "batch" }, { header: "rows" }, { header: "size" }],
        batches
          .slice(0, SHOWN_ROWS)
          .map((batch, i) => [String(i), formatInteger(batch.rows), formatBytes(batch.bytes)]),
      ),
      ...(batches.length > SHOWN_ROWS ? [`… and ${formatInteger(batches.length - SHOWN_ROWS)} more`] : []),
    ],
  };
}

async function openFile(file: RandomAccessFile) {
  const { footer } = await readFooter(file, DEFAULT_LIMITS);
  const schema = footer.schema();
  if (!schema)
    throw badShard("bad-footer", { file: file.uri }, "the footer must hold the schema, and this one has none");
  const batches: Batch[] = [];
  for (let i = 0; i < footer.recordBatchesLength(); i++) {
    const found = await readMessage(
      file,
      Number(footer.recordBatches(i)!.offset()),
      { file: file.uri, rowGroup: i },
      DEFAULT_LIMITS,
    );
    if (found?.message.kind === "batch") batches.push(batchOf(found.place, found.message.batch));
  }
  return { schema, version: footer.version(), batches };
}

async function openStream(file: RandomAccessFile) {
  const first = await readMessage(file, 0, { file: file.uri }, DEFAULT_LIMITS);
  if (first?.message.kind !== "schema")
    throw badShard("bad-magic", { file: file.uri }, "an Arrow stream must begin with its schema");
  const { schema, version } = first.message;
  const batches: Batch[] = [];
  let offset = first.place.headBytes + first.place.bodyBytes;
  for (;;) {
    const found = await readMessage(file, offset, { file: file.uri, rowGroup: batches.length }, DEFAULT_LIMITS);
    if (!found) return { schema, version, batches };
    if (found.message.kind === "batch") batches.push(batchOf(found.place, found.message.batch));
    offset = found.place.offset + found.place.headBytes + found.place.bodyBytes;
  }
}

function batchOf(
  place: { headBytes: number; bodyBytes: number },
  header: { rows: number; compression: string },
): Batch {
  return { rows: header.rows, bytes: place.headBytes + place.bodyBytes, compression: header.compression };
}

function leavesOf(field: ArrowField, prefix: string): { readonly path: string; readonly type: string }[] {
  const path = `${prefix}${field.name}`;
  if (field.children.length > 0) return field.children.flatMap((child) => leavesOf(child, `${path}.`));
  const name = (Type[field.type] ?? `type ${field.type}`).replace(/_$/, "").toLowerCase();
  const of =
    field.inner.length > 0
      ? ` of ${field.inner.map((inner) => (Type[inner.type] ?? "?").replace(/_$/, "").toLowerCase()).join(", ")}`
      : "";
  return [{ path, type: `${name}${of}${field.dictionary ? " (dictionary)" : ""}` }];
}

function metadataOf(schema: Schema): Map<string, string> {
  const entries = Array.from({ length: schema.customMetadataLength() }, (_, i) => schema.customMetadata(i)!);
  return new Map(entries.map((entry) => [entry.key() ?? "", entry.value() ?? ""]));
}

function parseNames(text: string, file: string): string[] {
  try {
    const names: unknown = JSON.parse(text);
    if (Array.isArray(names) && names.every((name) => typeof name === "string")) return names;
  } catch {}
  throw badShard("corrupt", { file }, `the schema's ${DOMAINS_KEY} must be a JSON list of names; write the file again`);
}
