/** What the repository's sample data promises: its size, its table, a licence text for every mention. Not its counts. */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { count } from "../../src/stages/count/run.ts";
import { discover } from "../../src/stages/discover/run.ts";
import { proxy } from "../../src/stages/proxy/run.ts";
import { reference } from "../../src/stages/reference/run.ts";
import { resample } from "../../src/stages/resample/run.ts";
import { tokenize } from "../../src/stages/tokenize/run.ts";

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

it("the README's picture and table are of the stages and settings that are there now", () => {
  const picture = readFileSync(path.join(ROOT, "docs/quickstart.svg"), "utf8");
  const settings = createHash("sha256")
    .update(readFileSync(path.join(ROOT, "pipelines/quickstart.yaml")))
    .digest("hex");
  const now = [
    ...[discover, count, tokenize, reference, proxy, resample].map(({ name, version }) => `${name} ${version}`),
    `quickstart.yaml ${settings.slice(0, 16)}`,
  ].join(", ");
  expect(picture, "npm start, then tsx scripts/quickstart-chart.ts, and its table into the README").toContain(
    `<!-- of: ${now} -->`,
  );
  // The table's weights are those that the picture has.
  const readme = readFileSync(path.join(ROOT, "README.md"), "utf8");
  const weights = [...readme.matchAll(/^(\w+) .*%\s+(0\.\d{4})\s+\d\.\d\d /gm)].map(([, name, weight]) => [
    name,
    weight,
  ]);
  expect(weights).toHaveLength(8);
  for (const [, weight] of weights) expect(picture).toContain((Number(weight) * 100).toFixed(1));
});
