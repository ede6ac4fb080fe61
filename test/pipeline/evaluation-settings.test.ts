/** What an evaluation trains and compares, filled in from the rest of the pipeline. */
import { describe, expect, it } from "vitest";
import type { z } from "zod";
import { overrideEvaluate } from "../../src/cli/commands/evaluate.ts";
import { evaluationSettings } from "../../src/pipeline/evaluation/settings.ts";
import { definePipeline } from "../../src/pipeline/load.ts";
import type { pipelineSchema } from "../../src/pipeline/schema.ts";

type Input = z.input<typeof pipelineSchema>;

const pipelineOf = (evaluate: Input["evaluate"], train: Input["train"] = {}) =>
  definePipeline({
    version: 1,
    name: "p",
    output: "out",
    seed: 7,
    tokenizer: "r50k",
    data: { files: "x" },
    train,
    evaluate,
  });
const settingsOf = (...of: Parameters<typeof pipelineOf>) => evaluationSettings(pipelineOf(...of));
const namesOf = (evaluate: Input["evaluate"]) => settingsOf(evaluate).mixtures.map(({ name }) => name);

describe("evaluationSettings", () => {
  it("takes from the proxy and the models what is not given", () => {
    const settings = settingsOf(undefined, { batchSize: 8, model: { layers: 2, width: 32 }, proxy: { steps: 90 } });
    expect(settings).toMatchObject({
      model: { layers: 2, width: 32 },
      optimizer: { learningRate: 1e-3 },
      steps: 90,
      batchSize: 8,
      evaluationSequences: 128,
      looks: { every: 5, sequences: 32 },
    });
    expect(settings.mixtures.map(({ name, setting }) => [name, setting])).toEqual([
      ["natural", "evaluate.baseline"],
      ["learned", "evaluate.candidates[0]"],
      ["uniform", "evaluate.candidates[1]"],
    ]);
  });

  it("has the pipeline's seed first, and the same seeds whatever their number", () => {
    expect(settingsOf({ seeds: 1 }).seeds).toEqual([7]);
    const three = settingsOf({ seeds: 3 }).seeds;
    expect(new Set(three).size).toBe(3);
    expect(settingsOf({ seeds: 5 }).seeds.slice(0, 3)).toEqual(three);
  });

  it("looks at a quarter of what is evaluated in the end, which is whole quarters", () => {
    const { evaluationSequences, looks } = settingsOf({ evaluationSequences: 50, evaluateEvery: 9, steps: 100 });
    expect({ evaluationSequences, looks }).toEqual({ evaluationSequences: 52, looks: { every: 9, sequences: 13 } });
  });

  it("names mixtures by word, file, method, or as they say", () => {
    const candidates = [
      "learned",
      "weights/best-1.json",
      { unimax: {} },
      { temperature: 3.3 },
      { a: 0.5, b: 0.5 },
      { name: "宋词", weights: "uniform" },
    ] as const;
    expect(namesOf({ candidates: [...candidates] })).toEqual([
      "natural",
      "learned",
      "best-1",
      "unimax",
      "temperature-3.3",
      "given",
      "宋词",
    ]);
  });

  it("refuses names that are taken or no folder's, and batches that parts do not make up", () => {
    expect(() => namesOf({ candidates: ["natural"] })).toThrow(
      "evaluate.candidates[0]: must have a name of its own, found “natural”, which is evaluate.baseline already; give it one: { name: …, weights: … }",
    );
    expect(() => namesOf({ candidates: [{ name: "../x", weights: "uniform" }] })).toThrow(
      /must have a name of letters/,
    );
    expect(() => settingsOf({ batchSize: 6 }, { batchSize: 8, microBatch: 4 })).toThrow(
      "evaluate.batchSize: must be a multiple of train.microBatch, 4, found 6",
    );
  });

  it("refuse weights on the command line that are neither a word nor a file of weights", () => {
    expect(() => overrideEvaluate(pipelineOf({}), { candidates: ["learnd"] })).toThrow(
      "--candidates learnd: must be natural, uniform, learned or a weights.json; did you mean “learned”?",
    );
  });

  it("gives way to the command line, whose files are relative to the current folder", () => {
    const pipeline = overrideEvaluate(pipelineOf({ seeds: 3 }), {
      baseline: "uniform",
      candidates: ["learned", "some/w.json"],
      seeds: 2,
      steps: 30,
      batchSize: 4,
    });
    const { mixtures, seeds, steps, batchSize } = evaluationSettings(pipeline);
    expect({ steps, batchSize, seeds: seeds.length }).toEqual({ steps: 30, batchSize: 4, seeds: 2 });
    expect(mixtures.map(({ weights }) => weights)).toEqual(["uniform", "learned", `${process.cwd()}/some/w.json`]);
  });
});
