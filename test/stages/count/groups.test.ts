/** Totals by row group, against the counts of the rows, whichever way the counts came about. */
import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { runPipeline } from "../../../src/pipeline/run.ts";
import type { CountOutput } from "../../../src/stages/count/contract.ts";
import { RowCountsReader, readCountedShards, readGroupCounts } from "../../../src/stages/count/counted-shards.ts";
import { groupTotals } from "../../../src/stages/count/totals.ts";
import { smallPipeline, temporaryFolder } from "../../e2e/small.ts";

const RULE = { listed: null, map: null, unlisted: "fail" } as const;

/** Sums of rows, by row group and domain; the check that does not go through what is checked. */
async function expectGroupsOfRows(folder: string, count: CountOutput): Promise<number> {
  const domains = count.domains.map((domain) => domain.name);
  let groups = 0;
  for (const { name: tokenizer } of count.tokenizers) {
    const reader = new RowCountsReader(folder, tokenizer, RULE, domains);
    for (const shard of await readCountedShards(folder, count.shards)) {
      const rows = await reader.read(shard);
      const found = readGroupCounts(shard, tokenizer, domains);
      const expected = { documents: [] as number[], bytes: [] as number[], tokens: [] as number[] };
      let row = 0;
      for (const size of shard.rowGroups) {
        const of = domains.map(() => ({ documents: 0, bytes: 0, tokens: 0 }));
        for (const end = row + size; row < end; row++) {
          const into = of[rows.domain[row]!];
          if (!into) continue;
          into.documents += 1;
          into.bytes += rows.bytes[row]!;
          into.tokens += rows.tokens[row]!;
        }
        for (const key of ["documents", "bytes", "tokens"] as const) expected[key].push(...of.map((one) => one[key]));
      }
      expect(row).toBe(shard.rows);
      expect({
        documents: [...found.documents],
        bytes: [...found.bytes],
        tokens: [...found.tokens],
      }).toEqual(expected);
      expect(found.file).toMatchObject({ path: shard.path, rowGroups: shard.rowGroups });
      groups += shard.rowGroups.length;
    }
  }
  return groups;
}

describe("totals of row groups", () => {
  it("are those of their rows, in shards of one domain and several row groups", async () => {
    const output = temporaryFolder();
    const { count } = await runPipeline(smallPipeline(output), { until: "count" });
    expect(await expectGroupsOfRows(join(output, "count"), count!)).toBeGreaterThan(2 * count!.shards.shards);
  });

  it("are those of their rows where a file mixes domains and has rows that are no documents, also out of the cache", async () => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, "data"));
    const lines = Array.from({ length: 60 }, (_, i) => ({ text: i % 7 ? `${i} of sixty` : null, set: "abc"[i % 3]! }));
    writeFileSync(join(folder, "data/0.jsonl"), lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
    const settings = {
      tokenizer: "r50k",
      count: {},
      data: { files: join(folder, "data/*"), domainColumn: "set", heldOut: "none" as const },
    };
    const run = (name: string) =>
      runPipeline(smallPipeline(join(folder, name), { ...settings, cache: join(folder, "cache") }), { until: "count" });
    const { count } = await run("one");
    expect(await expectGroupsOfRows(join(folder, "one/count"), count!)).toBe(1);

    // Kept counts, put together with those of another shard.
    copyFileSync(join(folder, "data/0.jsonl"), join(folder, "data/00.jsonl"));
    const second = await run("two");
    expect(await expectGroupsOfRows(join(folder, "two/count"), second.count!)).toBe(2);
  });

  it("of a file that is read in stretches are those of the file", () => {
    const values = [
      { value: "x", documents: [2, 0, 1], bytes: [20, 0, 5], tokens: [[7, 0, 2]] },
      { value: "y", documents: [0, 4, 0], bytes: [0, 9, 0], tokens: [[0, 3, 0]] },
      { value: null, documents: [1, 1, 1], bytes: [1, 1, 1], tokens: [[1, 1, 1]] },
    ];
    const rule = { listed: ["both"], map: { x: "both", y: "both" }, unlisted: "drop" } as const;
    const of = (groups: number) =>
      groupTotals(values, { domain: null }, { ...rule, listed: [...rule.listed] }, ["r50k"], groups);
    expect(of(1)).toEqual({ both: { documents: [7], bytes: [34], tokens: { r50k: [12] } } });
    expect(of(3)).toEqual({ both: { documents: [2, 4, 1], bytes: [20, 9, 5], tokens: { r50k: [7, 3, 2] } } });
  });
});
