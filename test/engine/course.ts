/** A short training with any engine, and how far two of them may be apart. Shared by tests. */
import { expect } from "vitest";
import type { Engine } from "../../src/engine/engine.ts";
import { DOREMI_PRESETS } from "../../src/mixture/objective-settings.ts";
import { createBatchSource } from "../../src/trainer/batches.ts";
import type { BatchSource, ModelConfig, OptimizerConfig, StepRecord } from "../../src/trainer/contract.ts";
import { type TrainResult, train } from "../../src/trainer/train.ts";
import type { TrainOptions } from "../../src/trainer/train-options.ts";
import { ADAFACTOR, ADAMW, proxyOf, randomReaders } from "../trainer/tiny.ts";

const [B, K, T] = [4, 3, 8];
export const COURSE_STEPS = 50;

/** Every kind of layer once; a gpt2 is trained by AdamW, a llama by Adafactor. */
export const COURSE_MODELS: Readonly<Record<ModelConfig["architecture"], ModelConfig>> = {
  gpt2: { architecture: "gpt2", vocabularySize: 61, sequenceLength: T, width: 16, layers: 1, heads: 2 },
  llama: {
    architecture: "llama",
    vocabularySize: 61,
    sequenceLength: T,
    width: 16,
    layers: 1,
    heads: 2,
    keyValueHeads: 1,
  },
};

export const COURSE_OPTIMIZERS: Readonly<Record<ModelConfig["architecture"], OptimizerConfig>> = {
  gpt2: ADAMW,
  llama: ADAFACTOR,
};

export interface Course {
  readonly result: TrainResult;
  readonly records: readonly StepRecord[];
}

/** @param objective a reference, or a proxy whose reference loses 4 nats per token everywhere */
export async function runCourse(
  engine: Engine,
  architecture: ModelConfig["architecture"],
  objective: "reference" | "proxy",
  options: Partial<TrainOptions> = {},
): Promise<Course> {
  const records: StepRecord[] = [];
  const readers = randomReaders(K, 6, T);
  const batches = createBatchSource({ readers, weights: [1, 1, 1], batchSize: B, sequenceLength: T, seed: 3 });
  const reference = new Float32Array(B * T).fill(4);
  const cached: BatchSource = {
    domains: batches.domains,
    batchSize: B,
    batch: async (step) => ({ ...(await batches.batch(step)), reference }),
  };
  const result = await train({
    engine,
    model: COURSE_MODELS[architecture],
    optimizer: COURSE_OPTIMIZERS[architecture],
    batches: objective === "proxy" ? cached : batches,
    steps: COURSE_STEPS,
    seed: 1,
    ...(objective === "proxy" && { proxy: proxyOf(K, DOREMI_PRESETS.paper, COURSE_MODELS[architecture]) }),
    onStep: (record) => void records.push(record),
    ...options,
  });
  return { result, records };
}

/**
 * Engines add float32 numbers in different orders, which is 1e-7 of a loss of 4 at the first step; Adam divides by tiny
 * numbers and each step starts from the one before, so that some digits more are lost in fifty.
 */
export const COURSE_TOLERANCE = 1e-4;

export function expectSameCourse(found: Course, expected: Course, tolerance = COURSE_TOLERANCE): void {
  expect(found.records.map((record) => record.step)).toEqual(expected.records.map((record) => record.step));
  for (const [i, { loss, gradientNorm }] of expected.records.entries()) {
    expect(Math.abs(found.records[i]!.loss - loss), `loss of step ${i + 1}`).toBeLessThan(tolerance);
    expect(Math.abs(found.records[i]!.gradientNorm - gradientNorm), `norm of step ${i + 1}`).toBeLessThan(
      10 * tolerance,
    );
  }
  for (const [k, weight] of (expected.result.alpha ?? []).entries())
    expect(Math.abs(found.result.alpha![k]! - weight), `alpha of domain ${k}`).toBeLessThan(tolerance);
  const { loss: first } = expected.records[0]!;
  const { loss: last } = expected.records.at(-1)!;
  expect(last, "the course learns").toBeLessThan(first - 0.3);
}
