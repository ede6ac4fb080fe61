/** Weights of every method in a pipeline file: how they are read, refused, resolved, and recorded in the manifest. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type definePipeline, parsePipeline } from "../../src/pipeline/load.ts";
import { runPipeline } from "../../src/pipeline/run.ts";
import { smallPipeline, temporaryFolder } from "../e2e/small.ts";

const read = (weights: string) =>
  parsePipeline(
    `version: 1\nname: x\noutput: out\ntokenizer: r50k\ndata: { files: x }\nresample:\n  weights: ${weights}\n`,
    "x.yaml",
  ).resample.weights;

describe("weights in a pipeline file", () => {
  it("fills in what a method leaves out", () => {
    expect(read("{ temperature: 3.3 }")).toEqual({ temperature: 3.3 });
    expect(read("{ unimax: {} }")).toEqual({ unimax: { maxEpochs: 4 } });
    expect(read("{ regression: { runs: r.csv } }")).toMatchObject({
      regression: { fit: "log-linear", search: "exact", kl: 0.1, prior: "natural" },
    });
    expect(read("{ regression: { runs: r.csv, fit: trees } }")).toMatchObject({
      regression: { search: "simulate", kl: 0, best: 100 },
    });
  });
  it("takes a table of domains that are called as methods are", () => {
    expect(read("{ temperature: 1, books: 2 }")).toEqual({ temperature: 1, books: 2 });
  });
  it.each([
    [
      "{ unimax: { maxEpoch: 4 } }",
      /x.yaml:7: unknown key “resample.weights.unimax.maxEpoch”; did you mean “maxEpochs”/,
    ],
    ["{ unimax: { maxEpochs: 0 } }", /x.yaml:7: “resample.weights.unimax.maxEpochs” must be >0, found 0/],
    ["{ temperature: -1 }", /x.yaml:7: “resample.weights.temperature” must be >0, found -1/],
    ["{ regression: { runs: r.csv, fit: tree } }", /“resample.weights.regression.fit” must be "log-linear" or/],
    ["{ regression: { runs: r.csv, fit: trees, search: exact } }", /must be simulate for trees/],
    ["{ a: x, b: 1 }", /“resample.weights.a” must be number, found "x"/],
  ])("refuses %s", (weights, message) => {
    expect(() => read(weights)).toThrow(message);
  });
});

type Weights = NonNullable<Parameters<typeof definePipeline>[0]["resample"]>["weights"];

async function manifestWith(weights: Weights, budgetTokens: number | "auto" = 60_000) {
  const output = temporaryFolder();
  const result = await runPipeline(smallPipeline(output, { resample: { budgetTokens, maxEpochs: 4, weights } }));
  const manifest = JSON.parse(readFileSync(join(output, "resample/manifest.json"), "utf8"));
  return { result, manifest };
}

describe("a run whose weights need no training", () => {
  it("says which method gave them", async () => {
    const { manifest, result } = await manifestWith({ unimax: { maxEpochs: 2 } });
    expect(manifest.weightsFrom).toBe("unimax, at most 2 epochs of 60000 tokens");
    const weights = result.resample!.domains.map(({ weight }) => weight);
    expect(weights.reduce((sum, weight) => sum + weight, 0)).toBeCloseTo(1, 12);
    const flat = await manifestWith({ exponent: 0 });
    expect(flat.manifest.weightsFrom).toBe("exponent 0");
    expect(new Set(flat.result.resample!.domains.map(({ weight }) => weight)).size).toBe(1);
  });

  it("learns them from runs, with the fit's quality in the notes", async () => {
    const names = (await manifestWith("uniform")).result.resample!.domains.map(({ name }) => name);
    // The first domain is worth having; weights vary with the row and the column.
    const rows = Array.from({ length: 30 }, (_, row) => {
      const parts = names.map((_, i) => 1 + ((row * (2 * i + 3) + i) % 7));
      const sum = parts.reduce((total, part) => total + part, 0);
      const shares = parts.map((part) => (part / sum).toFixed(4));
      return [...shares, (3 - Number(shares[0])).toFixed(4)].join(",");
    });
    const runs = join(temporaryFolder(), "runs.csv");
    writeFileSync(runs, `${[...names, "loss"].join(",")}\n${rows.join("\n")}\n`);
    const { manifest, result } = await manifestWith({ regression: { runs, fit: "linear", prior: "uniform" } });
    const [first, ...others] = result.resample!.domains.map(({ weight }) => weight);
    for (const other of others) expect(first!).toBeGreaterThan(100 * other); // e^(1 ÷ 0.1) : 1
    expect(manifest.weightsFrom).toMatch(/^regression: linear fit of .*runs.csv, target loss, exact optimum, kl 0.1$/);
    expect(manifest.notes.join("\n")).toMatch(/regression on 30 runs: Spearman 1\.000/);
  });

  it("refuses before anything runs: a budget that nobody said, runs of other domains", async () => {
    await expect(manifestWith({ unimax: {} }, "auto")).rejects.toThrow(
      /resample.weights: unimax caps epochs of a budget.*resample.budgetTokens/,
    );
    const runs = join(temporaryFolder(), "runs.csv");
    writeFileSync(runs, "a,b,loss\n.5,.5,1\n.2,.8,2\n.1,.9,3\n1,0,2\n");
    await expect(manifestWith({ regression: { runs } })).rejects.toThrow(/has no column of the domain/);
  });
});
