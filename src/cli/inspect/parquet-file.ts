/** Parquet files: a selection of ours, or a shard with its columns and row groups. */
import type { SchemaElement } from "hyparquet";
import { type ParquetField, readFooter } from "../../formats/parquet/footer.ts";
import { DEFAULT_LIMITS } from "../../formats/shard.ts";
import { readSelection } from "../../manifest/selection-file.ts";
import type { RandomAccessFile } from "../../storage/storage.ts";
import { formatBytes, formatInteger, plural } from "../numbers.ts";
import { formatPairs, formatTable } from "../table.ts";
import { type Inspection, SHOWN_ROWS } from "./contract.ts";

const SELECTION_COLUMNS = ["file", "row_group", "row_start", "row_end", "domain", "epoch", "tokens"];

export async function inspectParquet(file: RandomAccessFile): Promise<Inspection> {
  const { metadata, fields } = await readFooter(file, DEFAULT_LIMITS);
  const names = fields.map((field) => field.name);
  if (SELECTION_COLUMNS.every((name) => names.includes(name))) return inspectSelection(file.uri);
  const rowGroups = metadata.row_groups.map((group) => ({
    rows: Number(group.num_rows),
    bytes: group.columns.reduce((sum, column) => sum + Number(column.meta_data?.total_compressed_size ?? 0), 0),
    codecs: [...new Set(group.columns.map((column) => column.meta_data?.codec ?? "unknown"))],
  }));
  const columns = fields.flatMap((field) => leavesOf(field, ""));
  const rows = rowGroups.reduce((sum, group) => sum + group.rows, 0);
  return {
    kind: "Parquet shard",
    facts: { format: "parquet", size: file.size, rows, createdBy: metadata.created_by ?? null, columns, rowGroups },
    lines: [
      ...formatPairs([
        ["size", formatBytes(file.size)],
        ["rows", formatInteger(rows)],
        ["row groups", formatInteger(rowGroups.length)],
        ["compression", [...new Set(rowGroups.flatMap((group) => group.codecs))].join(", ") || "none"],
        ["written by", metadata.created_by ?? "unknown"],
      ]),
      "",
      ...formatTable(
        [
          { header: "column", align: "left" },
          { header: "type", align: "left" },
          { header: "", align: "left" },
        ],
        columns.map((column) => [column.path, column.type, column.nullable ? "may be null" : ""]),
      ),
      "",
      ...formatTable(
        [{ header: "row group" }, { header: "rows" }, { header: "size" }],
        rowGroups
          .slice(0, SHOWN_ROWS)
          .map((group, i) => [String(i), formatInteger(group.rows), formatBytes(group.bytes)]),
      ),
      ...(rowGroups.length > SHOWN_ROWS ? [`… and ${formatInteger(rowGroups.length - SHOWN_ROWS)} more`] : []),
    ],
  };
}

interface Leaf {
  readonly path: string;
  readonly type: string;
  readonly nullable: boolean;
}

function leavesOf({ name, element, children }: ParquetField, prefix: string): Leaf[] {
  const path = `${prefix}${name}`;
  if (children.length > 0) return children.flatMap((child) => leavesOf(child, `${path}.`));
  return [{ path, type: typeOf(element), nullable: element.repetition_type !== "REQUIRED" }];
}

function typeOf({ type, converted_type, logical_type }: SchemaElement): string {
  const logical = logical_type?.type ?? converted_type;
  if (logical === "STRING" || logical === "UTF8") return "string";
  return logical === undefined
    ? (type ?? "group").toLowerCase()
    : `${type?.toLowerCase() ?? "group"} (${logical.toLowerCase()})`;
}

async function inspectSelection(path: string): Promise<Inspection> {
  const domains = new Map<string, { runs: number; documents: number; tokens: number; epochs: number }>();
  const files = new Set<string>();
  let runs = 0;
  for await (const rows of readSelection(path)) {
    for (const row of rows) {
      const entry = domains.get(row.domain) ?? { runs: 0, documents: 0, tokens: 0, epochs: 0 };
      domains.set(row.domain, entry);
      entry.runs++;
      entry.documents += row.rowEnd - row.rowStart;
      entry.tokens += row.tokens;
      entry.epochs = Math.max(entry.epochs, row.epoch + 1);
      files.add(row.file);
      runs++;
    }
  }
  const table = [...domains].map(([name, entry]) => ({ name, ...entry }));
  const sum = (pick: (domain: (typeof table)[number]) => number) =>
    formatInteger(table.reduce((total, domain) => total + pick(domain), 0));
  return {
    kind: "selection of a resampled set",
    facts: { runs, files: files.size, domains: table },
    lines: [
      `${plural(runs, "run")} of rows in ${plural(files.size, "file")}`,
      "",
      ...formatTable(
        [
          { header: "domain", align: "left" },
          { header: "runs" },
          { header: "documents" },
          { header: "tokens" },
          { header: "passes" },
        ],
        table.map((domain) => [
          domain.name,
          formatInteger(domain.runs),
          formatInteger(domain.documents),
          formatInteger(domain.tokens),
          formatInteger(domain.epochs),
        ]),
        [["total", sum((domain) => domain.runs), sum((domain) => domain.documents), sum((domain) => domain.tokens)]],
      ),
    ],
  };
}
