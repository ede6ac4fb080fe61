/** What commands make of their options, and of results: pure parts, without running anything. */
import { InvalidArgumentError } from "commander";
import { describe, expect, it } from "vitest";
import { pipelineOfData } from "../../src/cli/commands/count.ts";
import { overrideResample } from "../../src/cli/commands/resample.ts";
import { verdictLines } from "../../src/cli/commands/verify.ts";
import { countLine } from "../../src/cli/counting.ts";
import { positiveInteger, positiveNumber, tokenBudget } from "../../src/cli/options.ts";
import { planLines } from "../../src/cli/plan-text.ts";
import { runLine } from "../../src/cli/running.ts";
import { summariseDomains, summaryEvent, summaryLines } from "../../src/cli/summary.ts";
import { definePipeline } from "../../src/pipeline/load.ts";
import type { PipelinePlan } from "../../src/pipeline/plan.ts";
import type { RunResult } from "../../src/pipeline/run.ts";
import { combine } from "../../src/stages/mixture/run.ts";
import type { ProxyOutput } from "../../src/stages/proxy/contract.ts";
import type { ReferenceOutput } from "../../src/stages/reference/contract.ts";
import { completeModel } from "../../src/trainer/model.ts";
import { PRESETS } from "../../src/trainer/presets.ts";

const heldOut = { documents: 0, bytes: 0, tokens: { r50k: 0, small: 0 } };
const model = { path: "model", sha256: "" };
const REFERENCE: ReferenceOutput = {
  model,
  steps: 1,
  trainedTokens: 1,
  weights: {},
  weightsFrom: "natural",
  finalLoss: 1,
  evaluation: { loss: [4.5, null], tokens: [1, 0] },
  dataWait: 0.001,
  notes: [],
  warnings: [],
};
const PROXY: ProxyOutput = {
  weights: { 宋词: 0.4, books: 0.6 },
  finalAlpha: {},
  model,
  steps: 1,
  trainedTokens: 1,
  finalLoss: 1,
  evaluation: { loss: [4.25, 3.5], tokens: [1, 1] },
  trajectory: "trajectory.arrow",
  trace: null,
  dataWait: 0.001,
  notes: [],
  warnings: [],
};
const RESULT: RunResult = {
  status: "done",
  output: "/runs/x",
  stages: [],
  count: {
    tokenizers: ["r50k", "small"].map((name) => ({
      name,
      fingerprint: "",
      vocabularySize: 1,
      endOfText: 0,
      path: "fast",
      specialTokens: "text" as const,
    })),
    domains: [
      {
        name: "宋词",
        documents: 1000,
        bytes: 40_000,
        tokens: { r50k: 30_000, small: 10_000 },
        heldOut,
        share: { r50k: 0.25, small: 0.1 },
        difference: { small: -15 },
      },
      {
        name: "books",
        documents: 3000,
        bytes: 400_000,
        tokens: { r50k: 90_000, small: 90_000 },
        heldOut,
        share: { r50k: 0.75, small: 0.9 },
        difference: { small: 15 },
      },
    ],
    shards: { path: "shards.jsonl", sha256: "", shards: 2, rows: 4000 },
    skipped: [],
    notes: [],
  },
  reference: REFERENCE,
  proxy: PROXY,
  trainings: [{ round: 1, seed: 1, reference: REFERENCE, proxy: PROXY }],
  weights: PROXY.weights,
  resample: {
    unit: { kind: "tokens" },
    selectionSettings: { granularity: "document", order: "mixed", shuffle: "document" },
    manifest: "manifest.json",
    selection: "selection.parquet",
    budgetTokens: 100_000,
    achievedTokens: 99_999,
    domains: [
      {
        name: "宋词",
        weight: 0.4,
        tokenWeight: 0.4,
        achievedWeight: 0.4,
        targetTokens: 40_000,
        achievedTokens: 40_000,
        selectedDocuments: 1200,
        epochs: 1.3333,
        capped: false,
        floored: false,
      },
      {
        name: "books",
        weight: 0.6,
        tokenWeight: 0.6,
        achievedWeight: 0.6,
        targetTokens: 60_000,
        achievedTokens: 59_999,
        selectedDocuments: 1900,
        epochs: 0.6667,
        capped: false,
        floored: false,
      },
    ],
    notes: [],
  },
  paths: { manifest: "/runs/x/resample/manifest.json" },
};

describe("the table of domains", () => {
  it("shows what there is, learned and chosen", () => {
    expect(summaryLines(RESULT)).toEqual([
      "                                                                             held-out  held-out",
      "                             share by  share by  share by  learned            loss of   loss of",
      "domain  documents   tokens  documents    tokens     small   weight  epochs  reference     proxy",
      "──────  ─────────  ───────  ─────────  ────────  ────────  ───────  ──────  ─────────  ────────",
      "宋词        1,000   30,000     25.00%    25.00%    10.00%   0.4000    1.33      4.500     4.250",
      "books       3,000   90,000     75.00%    75.00%    90.00%   0.6000    0.67          –     3.500",
      "──────  ─────────  ───────  ─────────  ────────  ────────  ───────  ──────  ─────────  ────────",
      "total       4,000  120,000",
      "",
      "Tokens are those of r50k; losses are in nats per token.",
      "Resampled set: 99,999 tokens of a budget of 100,000, in 3,100 documents.",
      "Weights by tokens; documents chosen whole, domains interleaved in proportion, documents shuffled in every epoch.",
    ]);
  });

  it("says once more what went wrong in the trainings", () => {
    const message = "the loss is 85.196";
    const warning = { code: "worse-than-uniform", message, step: 12 } as const;
    const [first, ...others] = RESULT.trainings;
    const again = { ...first!, seed: 2, reference: { ...first!.reference!, warnings: [warning] } };
    const result = { ...RESULT, trainings: [first!, ...others, again] };
    expect(summaryLines(result)).toContain(
      "! reference-seed-2: warning: step 12: the loss is 85.196 [worse-than-uniform]",
    );
    expect(summaryEvent(result)).toMatchObject({ warnings: [{ stage: "reference-seed-2", ...warning }] });
  });

  it("says which bound decided, and what the notes say", () => {
    const resample = RESULT.resample!;
    const [first, second] = resample.domains;
    const domains = [
      { ...first!, capped: true },
      { ...second!, floored: true },
    ];
    const notes = ["“宋词”: capped at 1.3333 epochs"];
    const lines = summaryLines({ ...RESULT, resample: { ...resample, domains, notes } });
    expect(lines.find((line) => line.startsWith("宋词"))).toMatch(/ 1\.33 {2}epochs /);
    expect(lines.find((line) => line.startsWith("books"))).toMatch(/ 0\.67 {2}least share /);
    expect(lines.at(-1)).toBe("“宋词”: capped at 1.3333 epochs.");
  });

  it("shows the share of the new set where caps moved it away from the weight", () => {
    const [first, second] = RESULT.resample!.domains;
    const domains = [
      { ...first!, achievedWeight: 0.3 },
      { ...second!, achievedWeight: 0.7 },
    ];
    const capped = { ...RESULT, resample: { ...RESULT.resample!, domains } };
    expect(summaryLines(capped)[2]).toMatch(/weight +new set +epochs/);
    expect(summaryLines(capped)[4]).toContain("30.00%");
  });

  it("shows the weights of each round, how far seeds lie apart, and the mean of the last round's losses", () => {
    const seed = (stage: string, weight: number) => ({ stage, seed: 1, weights: [weight, 1 - weight] });
    const mixture = combine({
      domains: ["宋词", "books"],
      reference: [0.25, 0.75],
      tolerance: null,
      rounds: [
        [seed("proxy", 0.3), seed("proxy-seed-2", 0.4)],
        [seed("proxy-round-2", 0.39), seed("proxy-round-2-seed-2", 0.41)],
      ],
    });
    const lossOf = (loss: number): ProxyOutput => ({ ...PROXY, evaluation: { loss: [loss, null], tokens: [1, 0] } });
    const { reference: _, ...result } = RESULT;
    const lines = summaryLines({
      ...result,
      mixture,
      weights: mixture.weights,
      trainings: [
        { round: 1, seed: 1, proxy: lossOf(9) },
        { round: 1, seed: 2, proxy: lossOf(9) },
        { round: 2, seed: 1, proxy: lossOf(4) },
        { round: 2, seed: 2, proxy: lossOf(5) },
      ],
    });
    // The deviation of .39 and .41 is .02 ÷ √2.
    const columns = (line: string) => line.replace("宋词", "song").slice(59); // which is as wide
    expect(lines.slice(0, 6).map(columns)).toEqual([
      "                                    held-out",
      "weight of          learned           loss of",
      "  round 1       in round 2  epochs     proxy",
      "─────────  ───────────────  ──────  ────────",
      "   0.3500  0.4000 ± 0.0141    1.33     4.500",
      "   0.6500  0.6000 ± 0.0141    0.67         –",
    ]);
    expect(lines).toContain("2 rounds: the last changed the weight of “宋词” by 0.0500.");
    expect(lines).toContain(
      "The weights are the mean of 2 seeds, which differ most on “宋词”: 0.4000 ± 0.0141 (standard deviation), from 0.3900 to 0.4100.",
    );
  });

  it("leaves out what a run did not get to", () => {
    const { reference: _r, proxy: _p, weights: _w, resample: _s, ...others } = RESULT;
    const counted = { ...others, trainings: [] };
    expect(Object.keys(summariseDomains(counted)[0]!)).toEqual([
      "name",
      "documents",
      "tokens",
      "documentShare",
      "tokenShare",
    ]);
    expect(summaryLines(counted).join("\n")).not.toMatch(/weight|epochs|loss/);
    expect(runLine(counted)).toEqual({ status: "done", output: "/runs/x", manifest: "/runs/x/resample/manifest.json" });
  });
});

describe("result lines", () => {
  it("run", () => {
    expect(runLine(RESULT)).toEqual({
      status: "done",
      output: "/runs/x",
      manifest: "/runs/x/resample/manifest.json",
      weights: { 宋词: 0.4, books: 0.6 },
    });
  });

  it("count", () => {
    expect(
      countLine({
        ...RESULT.count!,
        skipped: [{ path: "a", code: "truncated", reason: "ends early", domain: null, bytes: 9 }],
      }),
    ).toEqual({
      domains: {
        宋词: {
          documents: 1000,
          bytes: 40_000,
          tokens: { r50k: 30_000, small: 10_000 },
          share: { r50k: 0.25, small: 0.1 },
          difference: { small: -15 },
        },
        books: {
          documents: 3000,
          bytes: 400_000,
          tokens: { r50k: 90_000, small: 90_000 },
          share: { r50k: 0.75, small: 0.9 },
          difference: { small: 15 },
        },
      },
      slowTokenizers: [],
      skipped: [{ path: "a", code: "truncated", reason: "ends early", domain: null, bytes: 9 }],
    });
  });

  it("verify, for a person", () => {
    const problems = [{ code: "sha256", message: "a.parquet: differs" }];
    const notes = [{ code: "extra-file", message: "b.parquet: is not named" }];
    const checked = {
      sample: null,
      files: { total: 40, hashed: 2, counted: 2 },
      selection: { rows: 9, documents: 12, comparedRows: 1, reproduced: false },
      notChecked: ["this", "that"],
    };
    const verdict = { ok: false, problems, omitted: 2, notes, checked };
    const lines = [
      "✗ manifest.json: 3 disagreements with the files",
      "  sha256: a.parquet: differs",
      "  and 2 more",
      "  note, extra-file: b.parquet: is not named",
    ];
    expect(verdictLines(verdict, "manifest.json")).toEqual(lines);
    const sampled = { ...verdict, checked: { ...checked, sample: { share: 0.05, seed: 1 } } };
    const rest = ["Checked 2 of 40 files. Not checked:", "  this", "  that"];
    expect(verdictLines(sampled, "manifest.json")).toEqual([...lines, ...rest]);
    const fine = { ...sampled, ok: true, problems: [], omitted: 0, notes: [] };
    expect(verdictLines(fine, "m.json")).toEqual(["✓ m.json: all that was checked agrees with the files", ...rest]);
  });
});

describe("option values", () => {
  it.each([
    ["300000000", 3e8],
    ["300_000_000", 3e8],
    ["300,000,000", 3e8],
    ["3e8", 3e8],
    ["300M", 3e8],
    ["1.5B", 1.5e9],
    ["auto", "auto"],
  ])("budget %s", (text, value) => expect(tokenBudget(text)).toBe(value));

  it.each(["", "many", "-1", "0", "1.5e", "3MB", "1e30"])("budget %s is refused", (text) => {
    expect(() => tokenBudget(text)).toThrow(InvalidArgumentError);
  });

  it.each(["0", "-1", "1.5", "x", ""])("workers %s are refused", (text) => {
    expect(() => positiveInteger(text)).toThrow(InvalidArgumentError);
  });

  it.each(["0", "-1", "x", "", " ", "Infinity"])("epochs %s are refused", (text) => {
    expect(() => positiveNumber(text)).toThrow(InvalidArgumentError);
  });
});

describe("count --data", () => {
  it("is one domain called all where nothing names domains", async () => {
    const { config } = await pipelineOfData({ data: ["a/*", "b/*"], tokenizer: ["r50k", "t.json"] }, "/out");
    expect(config.data.domains).toEqual({ all: ["a/*", "b/*"] });
    expect([config.tokenizer, config.count.tokenizers]).toEqual(["r50k", ["t.json"]]);
  });

  it("takes domains from the path or from a column", async () => {
    const named = await pipelineOfData({ data: ["{domain}/*"], tokenizer: ["r50k"] }, "/out");
    expect(named.config.data).toMatchObject({ files: ["{domain}/*"], textColumn: "text" });
    expect(named.config.data.domains).toBeUndefined();
    const column = await pipelineOfData(
      { data: ["a/*"], tokenizer: ["r50k"], domainColumn: "meta.set", textColumn: "doc.body" },
      "/out",
    );
    expect(column.config.data).toMatchObject({ files: ["a/*"], domainColumn: "meta.set", textColumn: "doc.body" });
  });

  it("refuses a mixture of patterns with and without {domain}", async () => {
    await expect(pipelineOfData({ data: ["{domain}/*", "b/*"], tokenizer: ["r50k"] }, "/out")).rejects.toMatchObject({
      kind: "usage",
    });
  });
});

it("resample overrides the pipeline file and nothing else", () => {
  const pipeline = definePipeline({
    version: 1,
    name: "x",
    output: "out",
    tokenizer: "r50k",
    data: { files: "{domain}/*" },
  });
  const { config } = overrideResample(pipeline, { weights: "w.json", budget: 10, maxEpochs: 2 });
  expect(config.resample).toEqual({
    ...pipeline.config.resample,
    weights: `${process.cwd()}/w.json`,
    budgetTokens: 10,
    maxEpochs: 2,
  });
  expect({ ...config, resample: 0 }).toEqual({ ...pipeline.config, resample: 0 });
  expect(overrideResample(pipeline, { weights: "unimax", maxEpochs: 3 }).config.resample.weights).toEqual({
    unimax: { maxEpochs: 3 },
  });
  const choice = {
    unit: { sequences: 64 },
    minShare: 0.1,
    granularity: "shard",
    order: "domain",
    shuffle: "none",
  } as const;
  expect(overrideResample(pipeline, choice).config.resample).toMatchObject(choice);
  expect(overrideResample(pipeline, { weights: "uniform" }).config.resample.weights).toBe("uniform");
  expect(overrideResample(pipeline, {})).toEqual(pipeline);
});

describe("plan, for a person", () => {
  const plan: PipelinePlan = {
    name: "pile",
    output: "/runs/pile",
    files: { found: 1, bytes: 1e9 },
    missing: [],
    domains: [{ name: "books", files: 1, bytes: 1e9, tokens: 3e8, counted: false }],
    training: {
      model: completeModel({ architecture: "gpt2", vocabularySize: 50_257, ...PRESETS["280M"] }),
      vocabularyKnown: true,
      parameters: 124_439_808,
      bodyParameters: 85_056_000,
      tokensPerStep: 524_288,
      reference: { steps: 0, tokens: 0, flops: 0, from: "model" },
      proxy: { steps: 200_000, tokens: 104_857_600_000, flops: 1.19e20 },
      rounds: { count: 1, auto: false },
      seeds: 1,
      memory: null,
      engineFault: null,
    },
    resample: {
      weights: "table",
      unit: { kind: "sequences", length: 2048 },
      budgetTokens: "auto",
      maxEpochs: { books: 2 },
      minShare: 0.01,
      onCap: "redistribute",
      selection: { granularity: "row-group", order: "mixed", shuffle: "none" },
    },
    stages: [
      { name: "discover", status: "unchanged", why: "1 shards", seconds: null },
      { name: "count", status: "to do", why: "not done yet", seconds: 25 },
    ],
    running: null,
    seconds: 25,
    assumptions: ["counting at 20 MB/s"],
  };

  it("says which run is at work in the folder", () => {
    const running = { host: "node-7", pid: 12, startedAt: "2026-01-02T03:04:05.000Z" };
    expect(planLines({ ...plan, running })).toContain(
      "at work   a run, process 12 on node-7 since 2026-01-02T03:04:05.000Z; another is refused until it ends",
    );
  });

  it("says files, estimated tokens, models, stages and time", () => {
    const text = planLines(plan).join("\n");
    expect(text).toContain("books       1  1.00 GB       ~ 300,000,000");
    expect(text).toContain("gpt2, 124 million parameters (85.1 million without embeddings)");
    expect(text).toMatch(
      /sizes +12 layers of width 768 and inner width 3072, 12 heads, 1,024 positions, vocabulary 50,257/,
    );
    expect(text).toMatch(/reference +not trained here/);
    expect(text).toMatch(/proxy +200,000 steps, 105 billion tokens, 1\.19e20 FLOP/);
    expect(text).toMatch(/count +to do +~ 25\.0 s +not done yet/);
    expect(text).toContain("In all ~ 25.0 s");
    expect(text).toMatch(/weights +table, by sequences of 2048 tokens\nbudget +as much as the epoch caps allow/);
    expect(text).toMatch(/most epochs +books 2; .*by weight\nleast share +0\.01\nchoice +row groups chosen whole/);
    expect(text).toMatch(/domains interleaved in proportion, files and rows as they lie/);
  });

  it("says how often it trains, where that is more than once", () => {
    const { training } = plan;
    const reference = { steps: 10, tokens: 10, flops: 1e6, from: "training" } as const;
    const line = (change: Partial<typeof training>) =>
      planLines({ ...plan, training: { ...training, ...change } }).find((text) => text.startsWith("trainings"));
    expect(line({})).toBeUndefined();
    expect(line({ seeds: 3 })).toBe("trainings  3 seeds: 3 proxies");
    expect(line({ reference, rounds: { count: 5, auto: true }, seeds: 2 })).toBe(
      "trainings  5 rounds at most of 2 seeds each: 10 references and 10 proxies",
    );
    const none = { ...reference, from: "nowhere" } as const;
    const without = planLines({ ...plan, training: { ...training, reference: none } });
    expect(without).toContainEqual(expect.stringMatching(/^reference +none: /));
  });

  it("folds the rounds that are to come, and says that they may be fewer", () => {
    const waits = { status: "to do", seconds: 10 } as const;
    const why = "count comes first";
    const later = "count comes first, and the weights may have settled by then";
    const stages = [
      { name: "proxy", why, ...waits },
      { name: "proxy-seed-2", why, ...waits },
      ...["tokenize", "reference", "proxy"].flatMap((stage) =>
        ["", "-seed-2"].map((seed) => ({ name: `${stage}-round-2${seed}`, why: later, ...waits })),
      ),
      { name: "tokenize-round-3", why: later, ...waits },
      { name: "mixture", why, ...waits },
    ];
    const rounds = { count: 3, auto: true };
    const text = planLines({ ...plan, stages, seconds: 100, training: { ...plan.training, rounds } });
    const shown = text.filter((line) => line.includes("comes first")).map((line) => line.replace(/ {2,}/g, " | "));
    expect(shown).toEqual([
      `proxy | to do | ~ 10.0 s | ${why}`,
      `proxy-seed-2 | to do | ~ 10.0 s | ${why}`,
      `round 2, 6 stages | to do | ~ 1 min 00 s | ${later}`,
      `tokenize-round-3 | to do | ~ 10.0 s | ${later}`,
      `mixture | to do | ~ 10.0 s | ${why}`,
    ]);
    expect(text).toContain("In all at most ~ 1 min 40 s, assuming");
  });

  it("says what memory training will need, and what to set where that is too much", () => {
    const need = { runtime: 2e8, state: 1e9, activations: 2e9, output: 1e9, reference: 0, checkpoint: 1e9, batch: 0 };
    const memory = {
      machine: { limit: 8e9, available: 4e9 },
      reference: null,
      proxy: { ...need, total: 5.2e9 },
      warnings: ["proxy needs about 5.2 GB of memory, and only 4.0 GB of 8.0 GB are free now: free some, or …"],
    };
    const text = planLines({ ...plan, training: { ...plan.training, memory } });
    expect(text.find((line) => line.startsWith("memory"))).toMatch(
      /^memory +proxy ~ 5\.20 GB, of 4\.00 GB that are free$/,
    );
    expect(text).toContain(`! ${memory.warnings[0]}.`);
    expect(planLines(plan).some((line) => /^memory|^!/.test(line))).toBe(false);
    const unknown = planLines({ ...plan, training: { ...plan.training, vocabularyKnown: false } });
    expect(unknown.join("\n")).toContain("vocabulary 50,257 (a guess)");
  });

  it("says that the engine cannot be used here", () => {
    const engineFault = "engine cuda: cannot be used here: no NVIDIA driver; choose engine: webgpu";
    expect(planLines({ ...plan, training: { ...plan.training, engineFault } })).toContain(`! ${engineFault}.`);
  });

  it("names what is missing and promises no numbers for it", () => {
    const missing = [{ what: "x/*", domain: "law", message: "no file matches x/* (data.files)" }];
    const text = planLines({ ...plan, missing, seconds: null }).join("\n");
    expect(text).toContain("✗ domain law: no file matches x/* (data.files)");
    expect(text).not.toMatch(/tokens \(estimated\)|In all/);
  });

  it("says when there is nothing to do", () => {
    const stages = plan.stages.map((stage) => ({ ...stage, status: "unchanged" as const, seconds: null }));
    expect(planLines({ ...plan, stages, seconds: 0 }).at(-1)).toMatch(/^Nothing to do/);
  });
});
