import { describe, expect, it } from "vitest";
import type { AdafactorConfig, AdamWConfig, ModelConfig } from "../../src/trainer/contract.ts";
import { completeModel } from "../../src/trainer/model.ts";
import { modelFaults, optimizerFaults, refuseFaults } from "../../src/trainer/settings.ts";
import { train } from "../../src/trainer/train.ts";
import { ADAFACTOR, ADAMW, TINY } from "./tiny.ts";

describe("settings of the model", () => {
  const LLAMA: ModelConfig = { ...TINY, architecture: "llama" };

  it("are right as they are", () => {
    expect(modelFaults(TINY)).toEqual([]);
    expect(modelFaults(LLAMA)).toEqual([]);
    expect(modelFaults(completeModel(TINY))).toEqual([]);
    expect(modelFaults(completeModel({ ...LLAMA, heads: 4, keyValueHeads: 2 }))).toEqual([]);
  });

  it.each<[Partial<ModelConfig>, string, string]>([
    [{ layers: 0 }, "layers", "model: layers must be an integer ≥ 1, found 0"],
    [{ layers: 1001 }, "layers", "model: layers must be at most 1000, found 1001"],
    [{ vocabularySize: 1.5 }, "vocabularySize", "model: vocabularySize must be an integer ≥ 1, found 1.5"],
    [{ width: 30, heads: 7 }, "heads", "model: heads must divide width 30, found 7; use 6 heads"],
    [{ width: 7, heads: 100 }, "heads", "model: heads must divide width 7, found 100; use 7 heads"],
    [{ innerWidth: 0 }, "innerWidth", "model: innerWidth must be an integer ≥ 1, found 0"],
    [{ normEpsilon: 1e-60 }, "normEpsilon", "model: normEpsilon must be > 0 as a 32-bit float, found 1e-60"],
    [{ keyValueHeads: 1 }, "keyValueHeads", "model: keyValueHeads must be left out of a gpt2, found 1"],
    [{ ropeTheta: 500 }, "ropeTheta", "model: ropeTheta must be left out of a gpt2, found 500"],
    [{ architecture: "llama", activation: "gelu" }, "activation", "must be left out of a llama"],
    [
      { ...LLAMA, heads: 16 },
      "heads",
      "divide width 16 into heads of an even width, whose halves turn together, found 16; use 8",
    ],
    [{ ...LLAMA, width: 15, heads: 3 }, "heads", "found 3; use an even width"],
    [{ ...LLAMA, heads: 4, keyValueHeads: 3 }, "keyValueHeads", "must divide heads 4, found 3; use 2 heads"],
    [{ ...LLAMA, ropeTheta: 0 }, "ropeTheta", "must be > 0 as a 32-bit float, found 0"],
    [
      { ...LLAMA, ropeScaling: { factor: 8, lowFrequencyFactor: 4, highFrequencyFactor: 4, originalPositions: 9 } },
      "ropeScaling",
      "must have numbers > 0, the low frequency factor below the high one",
    ],
  ])("%j is refused", (change, setting, message) => {
    const faults = modelFaults({ ...TINY, ...change });
    expect(faults.map((fault) => fault.setting)).toEqual([setting]);
    expect(() => refuseFaults("model", faults)).toThrow(message);
  });
});

describe("settings of the optimizer", () => {
  it("are right as they are, at the edges too", () => {
    expect(optimizerFaults(ADAMW)).toEqual([]);
    const edges = { beta1: 0, beta2: 0, weightDecay: 0, clipNorm: 0, warmupSteps: 0, epsilon: 2 ** -126 };
    expect(optimizerFaults({ ...ADAMW, ...edges, decay: "linear", finalLearningRate: 0 })).toEqual([]);
  });

  it.each<[Partial<AdamWConfig>, string]>([
    [{ learningRate: 0 }, "learningRate must be > 0"],
    [{ learningRate: 1e39 }, "learningRate must be > 0 as a 32-bit float, found 1e+39"],
    [{ learningRate: Number.NaN }, "learningRate must be > 0"],
    [{ finalLearningRate: -1 }, "finalLearningRate must be ≥ 0"],
    [{ decay: "exponential", finalLearningRate: 0 }, "finalLearningRate must be > 0 for exponential decay, found 0"],
    [{ warmupSteps: 0.5 }, "warmupSteps must be an integer ≥ 0, found 0.5"],
    [{ beta1: 1 }, "beta1 must be in [0, 1), found 1"],
    [{ beta2: 1 }, "beta2 must be in [0, 1), found 1"],
    [{ epsilon: 1e-60 }, "epsilon must be > 0 as a 32-bit float, found 1e-60"],
    [{ weightDecay: -0.1 }, "weightDecay must be ≥ 0"],
    [{ clipNorm: -1 }, "clipNorm must be ≥ 0 (0 = off), found -1"],
  ])("%j is refused", (change, message) => {
    expect(() => refuseFaults("optimizer", optimizerFaults({ ...ADAMW, ...change }))).toThrow(`optimizer: ${message}`);
  });

  it("of Adafactor are right as they are, at the edges too", () => {
    expect(optimizerFaults(ADAFACTOR)).toEqual([]);
    const edges = { beta1: null, decayRate: 1, epsilon1: 2 ** -126, warmupSteps: 0, clipNorm: 0 };
    const wsd = { decay: "wsd", decayShare: 1, decayShape: "1-sqrt", finalLearningRate: 0 } as const;
    expect(optimizerFaults({ ...ADAFACTOR, ...edges, ...wsd })).toEqual([]);
  });

  it.each<[Partial<AdafactorConfig>, string]>([
    [{ beta1: 1 }, "beta1 must be null or in [0, 1), found 1"],
    [{ decayRate: -0.8 }, "decayRate must be in (0, 1], found -0.8"],
    [{ clipThreshold: 0 }, "clipThreshold must be > 0"],
    [{ epsilon1: 0 }, "epsilon1 must be ≥ 2^-126, the least normal 32-bit float, found 0"],
    [{ epsilon2: 0 }, "epsilon2 must be > 0"],
    [{ decay: "wsd", decayShare: 0 }, "decayShare must be in (0, 1], found 0"],
    [{ decayShare: 0.1 }, "decayShare must be left out unless decay is wsd, found 0.1"],
    [{ decayShape: "linear" }, 'decayShape must be left out unless decay is wsd, found "linear"'],
    [
      { decay: "wsd", decayShape: "exponential", finalLearningRate: 0 },
      "finalLearningRate must be > 0 for exponential",
    ],
  ])("of Adafactor: %j is refused", (change, message) => {
    const config = { ...ADAFACTOR, ...change };
    expect(() => refuseFaults("optimizer", optimizerFaults(config))).toThrow(`optimizer: ${message}`);
  });
});

it("training itself refuses by the same rules", async () => {
  const options = { model: TINY, optimizer: { ...ADAMW, beta1: 1 }, steps: 1 } as Parameters<typeof train>[0];
  await expect(train(options)).rejects.toMatchObject({ code: "optimizer-config", kind: "bad-configuration" });
  await expect(train({ ...options, model: { ...TINY, heads: TINY.width + 1 } })).rejects.toMatchObject({
    code: "model-config",
  });
});
