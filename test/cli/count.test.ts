/** What `count` makes of its options, and of counts and estimates. */
import { InvalidArgumentError } from "commander";
import { describe, expect, it } from "vitest";
import { pipelineOfData } from "../../src/cli/commands/count.ts";
import { countLine, countLines } from "../../src/cli/counting.ts";
import { estimateLine, estimateLines } from "../../src/cli/estimating.ts";
import { byteSize, fractionOfAll, overriddenSettings } from "../../src/cli/options.ts";
import { buildProgram } from "../../src/cli/program.ts";
import { describeCounted } from "../../src/cli/progress/lines.ts";
import { withShares } from "../../src/stages/count/totals.ts";
import type { EstimateOutput } from "../../src/stages/estimate/contract.ts";

const tokenizer = (name: string, path: "fast" | "library") => ({
  name,
  fingerprint: "",
  vocabularySize: 1,
  endOfText: 0,
  path,
  specialTokens: "text" as const,
});
const heldOut = { documents: 0, bytes: 0, tokens: { r50k: 0, bert: 0 } };
const COUNT = {
  tokenizers: [tokenizer("r50k", "fast"), tokenizer("bert", "library")],
  domains: withShares(
    [
      { name: "books", documents: 3000, bytes: 400_000, tokens: { r50k: 90_000, bert: 90_000 }, heldOut },
      { name: "宋词", documents: 1000, bytes: 40_000, tokens: { r50k: 30_000, bert: 10_000 }, heldOut },
    ],
    ["r50k", "bert"],
  ),
  skipped: [],
};
const COUNTED = {
  type: "counted" as const,
  stage: "count",
  shards: 3,
  kept: 97,
  cached: 90,
  seconds: { r50k: 1.5, bert: 61.5 },
};

describe("counts under several tokenizers", () => {
  it("show how far the shares are from the first tokenizer's, and what the slow one cost", () => {
    const lines = countLines(COUNT, COUNTED);
    expect(lines[0]).toMatch(/points$/);
    expect(lines.slice(2)).toEqual([
      expect.stringMatching(/^domain +documents +bytes +r50k +share +per token +bert +share +r50k +per token$/),
      expect.stringMatching(/^[─ ]+$/),
      expect.stringMatching(/^books +3,000 +400 kB +90,000 +75\.00% +4\.44 +90,000 +90\.00% +\+15\.00 +4\.44$/),
      expect.stringMatching(/^宋词 +1,000 +40\.0 kB +30,000 +25\.00% +1\.33 +10,000 +10\.00% +-15\.00 +4\.00$/),
      expect.stringMatching(/^[─ ]+$/),
      expect.stringMatching(/^total +4,000 +440 kB +120,000 +3\.67 +100,000 +4\.40$/),
      "bert was counted by @huggingface/tokenizers: exactly, at a thirtieth of the counter's speed or less, in 1 min 02 s of the workers' 1 min 03 s in tokenizers",
    ]);
  });

  it("are in the result line, with what was counted and what was kept", () => {
    expect(countLine(COUNT, COUNTED)).toMatchObject({
      domains: {
        books: { share: { r50k: 0.75, bert: 0.9 }, difference: { bert: expect.closeTo(15, 9) } },
        宋词: { share: { r50k: 0.25, bert: 0.1 }, difference: { bert: expect.closeTo(-15, 9) } },
      },
      slowTokenizers: ["bert"],
      shards: { counted: 3, kept: 97, cached: 90 },
      tokenizerSeconds: { r50k: 1.5, bert: 61.5 },
    });
    const one = { ...COUNT, tokenizers: COUNT.tokenizers.slice(0, 1) };
    expect(JSON.stringify(countLine(one))).not.toMatch(/difference|tokenizerSeconds|kept/);
  });

  it("say what came from earlier counts, where something did", () => {
    expect(describeCounted(COUNTED)).toBe(
      "97 shards counted before and unchanged (90 of them from the cache), 3 counted now",
    );
    expect(describeCounted({ ...COUNTED, cached: 0 })).toBe("97 shards counted before and unchanged, 3 counted now");
    expect(describeCounted({ ...COUNTED, kept: 0, cached: 0 })).toBeUndefined();
  });
});

describe("estimates", () => {
  const of = (estimate: number, low: number, high: number) => ({ estimate, low, high });
  const ESTIMATE: EstimateOutput = {
    format: "doremi-estimate",
    sample: {
      fraction: 0.01,
      seed: 1,
      units: { read: 120, of: 9000 },
      storedBytes: { read: 12e9, of: 900e9 },
    },
    confidence: 0.95,
    tokenizers: COUNT.tokenizers,
    domains: [
      {
        name: "books",
        documents: of(3000, 2900, 3100),
        bytes: of(4e5, 3.9e5, 4.1e5),
        tokens: { r50k: of(90_000, 88_000, 92_000), bert: of(91_000, 89_000, 93_000) },
        share: { r50k: of(0.75, 0.74, 0.76), bert: of(0.9, 0.89, 0.91) },
        difference: { bert: of(15, 14.5, 15.5) },
      },
    ],
    skipped: [],
    notes: [],
  };

  it("show every figure with its interval, and that they are none", () => {
    const lines = estimateLines(ESTIMATE);
    expect(lines.at(-2)).toMatch(
      /^books +~ 90,000 +88,000 … 92,000 +~ 75\.00% +74\.00% … 76\.00% +~ 91,000 .*~ \+15\.00 +\+14\.50 … \+15\.50$/,
    );
    expect(lines.at(-1)).toBe(
      "Estimated from 120 of 9,000 row groups (12.0 GB of 900 GB), drawn at random; without --sample the counts are exact.",
    );
  });

  it("are called estimates in the result line", () => {
    const line = estimateLine(ESTIMATE);
    expect(line).toMatchObject({ confidence: 0.95, estimates: { books: { tokens: { r50k: { low: 88_000 } } } } });
    expect(line).not.toHaveProperty("domains");
  });
});

describe("options", () => {
  it.each([
    ["1%", 0.01],
    ["0.5 %", 0.005],
    ["100%", 1],
    ["0.01", 0.01],
    [".2", 0.2],
  ])("--sample %s", (text, value) => expect(fractionOfAll(text)).toBeCloseTo(value, 12));

  it.each(["0", "0%", "101%", "2", "-1%", "some", "", "1 percent"])("--sample %s is refused", (text) => {
    expect(() => fractionOfAll(text)).toThrow(InvalidArgumentError);
  });

  it.each(["", "0", "0GB", "lots", "1 TB", "-1MB"])("--max-memory %s is refused", (text) => {
    expect(() => byteSize(text)).toThrow(InvalidArgumentError);
  });

  it("replace settings of the pipeline file, and only those that are given", () => {
    expect(overriddenSettings({})).toEqual({});
    expect(overriddenSettings({ workers: 3, maxMemory: byteSize("2 GiB"), cache: "counts" })).toEqual({
      workers: 3,
      memory: "2 GiB",
      cache: `${process.cwd()}/counts`,
    });
    expect(overriddenSettings({ cache: false })).toEqual({ cache: false });
  });

  it("make a pipeline with a map of domains and one for the rest", async () => {
    const options = { data: ["a/*"], tokenizer: ["r50k"], domainColumn: "set" };
    const map = { domainMap: ["Pile-CC=web", "a=b=code"], unlisted: "other" };
    const { config } = await pipelineOfData({ ...options, ...map }, "/out");
    expect(config.data).toMatchObject({
      domainMap: { "Pile-CC": "web", "a=b": "code" },
      onUnlistedDomain: { domain: "other" },
    });
    expect((await pipelineOfData({ ...options, unlisted: "drop" }, "/out")).config.data.onUnlistedDomain).toBe("drop");
    for (const pair of ["web", "=web", "Pile-CC="]) {
      await expect(pipelineOfData({ ...options, domainMap: [pair] }, "/out")).rejects.toMatchObject({ kind: "usage" });
    }
  });

  it("keep counts beside the output, where there is one that stays", async () => {
    const options = { data: ["a/*"], tokenizer: ["r50k"] };
    expect((await pipelineOfData(options, "/tmp/x")).config.cache).toBe(false);
    expect((await pipelineOfData({ ...options, output: "out" }, "out")).config.cache).toBe(true);
    expect((await pipelineOfData({ ...options, cache: "/c" }, "/tmp/x")).config.cache).toBe("/c");
  });

  it("stand in the help, with examples", () => {
    const help: string[] = [];
    const command = buildProgram(() => {}).commands.find((other) => other.name() === "count")!;
    command.configureOutput({ writeOut: (text) => void help.push(text) }).outputHelp();
    for (const option of [
      "--sample 1%",
      "--max-memory 2GB",
      "--cache /scratch",
      "--domain-map Pile-CC=web",
      "--no-cache",
    ])
      expect(help.join("")).toContain(option);
  });
});
