/** Predicted memory: beside what was measured, and as a law of its settings; what is advised, what is refused. */
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { fitFactors } from "../../bench/train/fit.ts";
import type { AdafactorConfig, AdamWConfig } from "../../src/trainer/contract.ts";
import {
  adviceText,
  adviseMemory,
  knownMemory,
  type MemorySettings,
  memoryTerms,
  refuseTooLarge,
  TOLERANCE,
  trainingMemory,
} from "../../src/trainer/memory.ts";

const optimizer: AdamWConfig = {
  ...{ name: "adamw", learningRate: 1e-3, finalLearningRate: 1e-4, warmupSteps: 0, decay: "constant" },
  ...{ weightDecay: 0, clipNorm: 1, beta1: 0.9, beta2: 0.99, epsilon: 1e-8 },
};
const adafactor: AdafactorConfig = {
  ...{ name: "adafactor", learningRate: 1e-3, finalLearningRate: 1e-4, warmupSteps: 0, decay: "constant" },
  ...{ weightDecay: 0, clipNorm: 1, beta1: null, decayRate: 0.8, clipThreshold: 1, epsilon1: 1e-30, epsilon2: 1e-3 },
  scaleParameter: false,
};
const settings: MemorySettings = {
  model: { architecture: "gpt2", vocabularySize: 4096, sequenceLength: 128, width: 256, layers: 4, heads: 4 },
  ...{ optimizer, batchSize: 32, microBatch: 32, recompute: false },
};

/** Written by bench/train/memory.ts: peaks of the built program's processes. */
const measured: readonly { name: string; settings: MemorySettings; bytes: number }[] = JSON.parse(
  readFileSync(new URL("../../bench/results/memory.json", import.meta.url), "utf8"),
);

describe("predicted memory", () => {
  it.each(measured)("of $name is within 15 % of what was measured", ({ settings, bytes }) => {
    expect(Math.abs(trainingMemory(settings).total / bytes - 1)).toBeLessThanOrEqual(TOLERANCE);
  });

  it("is the sum of its parts, and counts parameters, gradients and two moments once", () => {
    const { total, ...parts } = trainingMemory(settings);
    expect(Object.values(parts).reduce((sum, bytes) => sum + bytes, 0)).toBe(total);
    // V·D + T·D + L·(12·D² + 13·D) + 2·D parameters
    const parameters = 4096 * 256 + 128 * 256 + 4 * (12 * 256 ** 2 + 13 * 256) + 2 * 256;
    expect(parts.state).toBe(4 * 4 * parameters);
  });

  it("grows with every size, and is smaller with recomputation or a factored optimizer", () => {
    const size = fc.integer({ min: 1, max: 8 });
    fc.assert(
      fc.property(
        size,
        size,
        size,
        size,
        fc.constantFrom("gpt2", "llama"),
        (layers, heads, rows, length, architecture) => {
          const model = {
            ...{ architecture, vocabularySize: 500, width: heads * 32, layers, heads, sequenceLength: length * 16 },
          } as const;
          const of = (change: Partial<MemorySettings>) =>
            trainingMemory({ ...settings, model, batchSize: rows, microBatch: rows, ...change }).total;
          expect(of({ model: { ...model, layers: layers + 1 } })).toBeGreaterThan(of({}));
          expect(of({ model: { ...model, vocabularySize: 1000 } })).toBeGreaterThan(of({}));
          expect(of({ model: { ...model, sequenceLength: 2 * model.sequenceLength } })).toBeGreaterThan(of({}));
          expect(of({ proxy: { resident: model, accumulation: "exact" } })).toBeGreaterThan(of({}));
          // without the sum that accumulation needs, fewer rows are always less
          expect(of({ batchSize: rows + 1, microBatch: rows + 1 })).toBeGreaterThan(of({}));
          if (layers > 1) expect(of({ recompute: true })).toBeLessThan(of({}));
          expect(of({ optimizer: adafactor })).toBeLessThan(of({}));
        },
      ),
    );
  });
});

describe("advice", () => {
  const whole = trainingMemory(settings).total;

  it("is recomputation first, then fewer sequences at once, and what it says fits", () => {
    const recomputed = trainingMemory({ ...settings, recompute: true }).total;
    const advice = adviseMemory(settings, recomputed)!;
    expect(adviceText(settings, advice)).toBe("set train.recompute: true");
    const less = adviseMemory(settings, recomputed - 1)!;
    expect(less.microBatch).toBeLessThan(32);
    expect(32 % less.microBatch).toBe(0);
    expect(trainingMemory({ ...settings, ...less }).total).toBeLessThan(recomputed);
    expect(adviceText(settings, less)).toMatch(/train\.microBatch: \d+$/);
  });

  it("is another model where no setting of how it is computed is enough", () => {
    expect(adviseMemory(settings, 1e6)).toBeNull();
    expect(() => refuseTooLarge(settings, 1e6)).toThrow(
      /^training: it must fit into the 1\.00 MB of memory that there are, but needs about \d+ MB; take a smaller model/,
    );
  });

  it("is a smaller batch where the batch alone is too much", () => {
    // inputs, targets, mask and losses: 16 bytes a token
    const batchSize = 1e12;
    const bytes = 16 * batchSize * settings.model.sequenceLength;
    const huge = { ...settings, batchSize, microBatch: batchSize };
    expect(trainingMemory(huge).batch).toBe(bytes);
    expect(() => refuseTooLarge(huge, 1e11)).toThrow(/; take a smaller train\.batchSize$/);
  });

  it("refuses only what is over by more than predictions are off", () => {
    refuseTooLarge(settings, whole * (1 - TOLERANCE) + 1);
    expect(() => refuseTooLarge(settings, whole * (1 - TOLERANCE) - 1)).toThrow(/; set train\./);
  });
});

it("fits factors that measurements were made from", () => {
  const factors = { runtime: 2e8, activations: 1.1, attention: 2, output: 3, forward: 0, copies: 1.5 };
  const observations = [1, 2, 4, 8, 16].flatMap((rows) =>
    [64, 512].flatMap((sequenceLength) =>
      [128, 512].map((width) => {
        const shape = {
          ...settings,
          model: { ...settings.model, sequenceLength, width, layers: rows },
          ...{ batchSize: rows, microBatch: rows },
        };
        const { state, reference } = knownMemory(shape);
        const [terms, known] = [memoryTerms(shape), state + reference];
        const names = Object.keys(factors) as (keyof typeof factors)[];
        return { terms, known, bytes: names.reduce((sum, name) => sum + factors[name] * terms[name], known) };
      }),
    ),
  );
  const found = fitFactors(observations);
  for (const [name, factor] of Object.entries(factors))
    expect(found[name as keyof typeof factors] / (factor || 1)).toBeCloseTo(factor === 0 ? 0 : 1, 2);
});
