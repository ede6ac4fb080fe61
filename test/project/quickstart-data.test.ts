/** What the repository's sample data promises: its size, its table, a licence text for every mention. Not its counts. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";

const ROOT = path.join(import.meta.dirname, "..", "..");
const QUICKSTART = path.join(ROOT, "pipelines/quickstart");
const QUICKSTART_LIMIT_BYTES = 4_000_000;
const TEST_CORPUS_LIMIT_BYTES = 300_000;

interface Totals {
  readonly documents: number;
  readonly bytes: number;
  readonly tokens: Readonly<Record<"r50k" | "tokenizer-4096", number>>;
}
interface Counts {
  readonly domains: Readonly<Record<string, Totals>>;
  readonly shards: Readonly<Record<string, Totals>>;
}

function files(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name)).split(path.sep).join("/"))
    .sort();
}

function sizeOf(folder: string): number {
  return files(folder).reduce((sum, file) => sum + statSync(path.join(folder, file)).size, 0);
}

function readCounts(file: string): Counts {
  return JSON.parse(readFileSync(path.join(ROOT, file), "utf8"));
}

function figures({ documents, bytes, tokens }: Totals): number[] {
  return [documents, bytes, tokens.r50k, tokens["tokenizer-4096"]];
}

function sum(rows: readonly Totals[]): number[] {
  return rows.map(figures).reduce((total, row) => total.map((value, i) => value + row[i]!));
}

describe("the quickstart's data", () => {
  const counts = readCounts("pipelines/quickstart/counts.json");
  const readme = readFileSync(path.join(QUICKSTART, "README.md"), "utf8");

  it("is small", () => {
    expect(sizeOf(QUICKSTART)).toBeLessThan(QUICKSTART_LIMIT_BYTES);
    expect(sizeOf(path.join(ROOT, "test/files/corpus"))).toBeLessThan(TEST_CORPUS_LIMIT_BYTES);
  });

  it("has the domains and figures that its README shows", () => {
    const shown = [...readme.matchAll(/^\| (\w+) \| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \|/gm)].map(
      ([, domain, ...cells]) => [domain, cells.map((cell) => Number(cell.replaceAll(",", "")))] as const,
    );
    const expected = Object.entries(counts.domains).map(([domain, totals]) => [domain, figures(totals)] as const);
    expect(new Map(shown)).toEqual(new Map([...expected, ["all", sum(Object.values(counts.domains))]]));
  });

  it("brings the licence texts that its README names", () => {
    const named = [...readme.matchAll(/`([\w.-]+\.txt)`/g)].map((match) => match[1]!).sort();
    expect(named).toEqual(files(path.join(QUICKSTART, "licences")));
  });
});

describe.each([
  ["pipelines/quickstart/counts.json", "pipelines/quickstart/data"],
  ["test/files/corpus/folders.counts.json", "test/files/corpus/folders"],
  ["test/files/corpus/mixed.counts.json", "test/files/corpus/mixed"],
])("%s", (file, data) => {
  const counts = readCounts(file);

  it("speaks of every shard", () => {
    expect(Object.keys(counts.shards).sort()).toEqual(files(path.join(ROOT, data)));
  });

  it("adds up alike over domains and over shards", () => {
    expect(sum(Object.values(counts.domains))).toEqual(sum(Object.values(counts.shards)));
  });
});
