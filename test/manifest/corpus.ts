/**
 * A small corpus for the manifest's tests: JSONL files, a line per document, a token per word, with some lines that are
 * no documents; counted by code that shares nothing with what is tested.
 */
import { createHash } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { inspectShard, readUnit } from "../../src/formats/read.ts";
import type { ColumnSelection } from "../../src/formats/shard.ts";
import type { CountSource, ManifestFile, ShardCounts } from "../../src/manifest/contract.ts";
import { hashOf } from "../../src/storage/files.ts";
import { LocalStorage } from "../../src/storage/local.ts";

export const DOMAINS = ["books", "code", "web", "empty-weight"];

/** path → domain of every row, or null where the rows say it */
export const FILES: [path: string, domain: string | null, rows: number][] = [
  ["books/a.jsonl", "books", 40],
  ["mixed/m.jsonl", null, 150],
  ["books/b.jsonl", "books", 1],
  ["web/x.jsonl", "web", 120],
];

/** Text of a row; null = the row is no document. Some documents are empty. */
export function textOf(file: number, row: number): string | null {
  const mix = (file * 7919 + row * 104729) % 101;
  if (mix % 17 === 3) return null;
  if (mix % 13 === 5) return "";
  return Array.from({ length: 1 + (mix % 23) + (file === 3 ? 5 : 0) }, (_, i) => `w${mix + i}`).join(" ");
}

function domainOf(file: number, row: number): string {
  const [, domain] = FILES[file]!;
  return domain ?? DOMAINS[[1, 2, 1, 3, 0, 1, 1][(row * 5) % 7]!]!;
}

export async function writeCorpus(root: string): Promise<void> {
  for (const [index, [path, , rows]] of FILES.entries()) {
    const lines = Array.from({ length: rows }, (_, row) =>
      JSON.stringify({ text: textOf(index, row), domain: domainOf(index, row) }),
    );
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), `${lines.join("\n")}\n`);
  }
}

/** Counts the files from their content. Row groups of 32 rows, so that runs have boundaries to respect. */
export async function countFile(root: string, path: string, domain: string | null): Promise<ShardCounts> {
  const content = await readFile(join(root, path));
  const lines = content.toString("utf8").split("\n").slice(0, -1);
  const rows = lines.map((line) => JSON.parse(line) as { text: string | null; domain: string });
  const file: ManifestFile = {
    path,
    size: content.length,
    sha256: createHash("sha256").update(content).digest("hex"),
    format: "jsonl",
    rows: rows.length,
    rowGroups: groupsOf(rows.length),
    domain,
  };
  return {
    file,
    domain: Int32Array.from(rows, (row) => (row.text === null ? -1 : DOMAINS.indexOf(row.domain))),
    bytes: Uint32Array.from(rows, (row) => Buffer.byteLength(row.text ?? "")),
    tokens: Uint32Array.from(rows, (row) => (row.text ? row.text.split(" ").length : 0)),
  };
}

function groupsOf(rows: number): number[] {
  const groups = Array.from({ length: Math.floor(rows / 32) }, () => 32);
  return rows % 32 === 0 ? groups : [...groups, rows % 32];
}

export function countCorpus(root: string): CountSource {
  return async function* () {
    for (const [path, domain] of FILES) yield await countFile(root, path, domain);
  };
}

export async function* recount(root: string, files: readonly ManifestFile[]): AsyncGenerator<ShardCounts> {
  for (const file of files) yield await countFile(root, file.path, file.domain);
}

/** Counts without files, for laws: shards given as [domain, tokens] of each row. */
export function countsFrom(shards: readonly (readonly [domain: number, tokens: number][])[]): CountSource {
  return () =>
    shards.map((rows, index) => ({
      file: {
        path: `s${index}.jsonl`,
        size: 1,
        sha256: "0".repeat(64),
        format: "jsonl" as const,
        rows: rows.length,
        rowGroups: groupsOf(rows.length),
        domain: null,
      },
      domain: Int32Array.from(rows, ([domain]) => domain),
      bytes: Uint32Array.from(rows, ([, tokens]) => tokens * 4),
      tokens: Uint32Array.from(rows, ([, tokens]) => tokens),
    }));
}

/** Counts a shard of any format through the readers; a token is a byte. `domain` is that of every row, or null. */
export async function countBytes(
  root: string,
  path: string,
  columns: ColumnSelection,
  names: readonly string[],
  domain: string | null,
): Promise<ShardCounts> {
  const file = await new LocalStorage().open(join(root, path));
  try {
    const layout = await inspectShard(file, columns);
    const domains: number[] = [];
    const bytes: number[] = [];
    const rowGroups: number[] = [];
    for (const unit of layout.units) {
      const before = domains.length;
      for await (const batch of readUnit(file, layout, unit, columns)) {
        for (let i = 0; i < batch.rows; i++) {
          const name = domain ?? batch.domain!.names[batch.domain!.indices[i]!]!;
          domains.push(batch.validity?.[i] === 0 ? -1 : names.indexOf(name));
          bytes.push(batch.offsets[i + 1]! - batch.offsets[i]!);
        }
      }
      rowGroups.push(domains.length - before);
    }
    const { size, sha256 } = await hashOf(join(root, path));
    return {
      file: { path, size, sha256, format: layout.format, rows: domains.length, rowGroups, domain },
      domain: Int32Array.from(domains),
      bytes: Uint32Array.from(bytes),
      tokens: Uint32Array.from(bytes),
    };
  } finally {
    await file.close();
  }
}
