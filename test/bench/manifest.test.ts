/** The benchmark of resampling: its parts on a small corpus, and its goals. */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { writeCorpus } from "../../bench/manifest/corpus.ts";
import { parseOptions } from "../../bench/manifest/options.ts";
import { measurePart } from "../../bench/manifest/program.ts";
import { type About, goalsOf, type PartRun } from "../../bench/manifest/report.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "doremi-bench-test-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe("bench:manifest", () => {
  it.each([
    ["of one domain each", false],
    ["that mix domains", true],
  ])("measures every part, by shards %s", async (_, mixed) => {
    const at = join(folder, String(mixed));
    await mkdir(join(at, "count"), { recursive: true });
    const corpus = await writeCorpus(join(at, "count"), { shards: 9, documents: 3000, domains: 3, mixed });
    const tokens = corpus.count.domains.reduce((sum, domain) => sum + domain.tokens["made-up"]!, 0);
    expect(corpus.count.domains.reduce((sum, domain) => sum + domain.documents, 0)).toBe(3000);
    await writeFile(join(at, "input.json"), JSON.stringify({ corpus, budgetTokens: Math.floor(1.5 * tokens) }));
    const figures = await measurePart(at, "document");
    expect(figures.documents).toBeGreaterThan(3000);
    expect(figures.rows).toBeLessThanOrEqual(figures.documents);
    expect(await measurePart(at, "verify")).toMatchObject({ sha256: figures.sha256 });
    expect((await measurePart(at, "row-group")).rows).toBeLessThan(figures.rows);
  });

  it("has goals at one size, by the median time and the highest memory", () => {
    const about = (documents: string): About => {
      const { out: _, ...options } = parseOptions(["--documents", documents])!;
      return { date: "", machine: "", doremi: "", tokens: 0, options };
    };
    const run = (part: PartRun["part"], seconds: number, peakBytes: number): PartRun => ({
      ...{ part, seconds, peakBytes, round: 0, otherShare: 0, cpuSeconds: seconds },
      ...{ rows: 1, documents: 1, selectionBytes: 1, manifestBytes: 1, sha256: "" },
    });
    const runs = [
      run("document", 100, 9e8),
      run("document", 300, 11e8),
      run("document", 110, 8e8),
      run("row-group", 6, 2e9),
    ];
    expect(goalsOf(about("100000000"), runs).map(({ found, met }) => [found, met])).toEqual([
      ["110.0 s", true],
      ["6.0 s", false],
      ["1100 MB", false],
    ]);
    expect(goalsOf(about("1000000"), runs)).toEqual([]);
  });

  it.each([
    [["--shards", "3", "--domains", "5"], /--shards/],
    [["--documents", "10"], /--documents/],
    [["--parts", "verify"], /--parts/],
  ])("refuses %j", (args, message) => {
    expect(() => parseOptions(args)).toThrow(message);
  });
});
