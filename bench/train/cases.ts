/** The models and batches that training steps are measured on, what the machine needs for them at least, and the recipes. */
import type { ModelConfig, OptimizerConfig } from "../../src/trainer/contract.ts";
import { trainingFlops } from "../../src/trainer/model.ts";

export const CASES = ["a", "b", "c"] as const;
export type CaseName = (typeof CASES)[number];

export interface Case {
  readonly model: ModelConfig;
  readonly batchSize: number;
  /** steps that are timed in each run, after those that warm up */
  readonly timedSteps: number;
}

function gpt2(vocabularySize: number, width: number, layers: number, heads: number, T: number): ModelConfig {
  return { architecture: "gpt2", vocabularySize, sequenceLength: T, width, layers, heads };
}

export const caseOf: Readonly<Record<CaseName, Case>> = {
  a: { model: gpt2(4096, 256, 4, 4, 128), batchSize: 8, timedSteps: 8 },
  b: { model: gpt2(50_257, 256, 4, 4, 256), batchSize: 4, timedSteps: 4 },
  c: { model: gpt2(50_257, 768, 12, 12, 512), batchSize: 1, timedSteps: 3 },
};

/**
 * 4096: a vocabulary made for small models. r50k: GPT-2's 50,257 ids, which counts and a large model have; what the official
 * code trains its small models on as well, and where ours leaves out the ids that do not occur.
 */
export const RECIPES = ["4096", "r50k"] as const;
export type RecipeName = (typeof RECIPES)[number];

/** 280M of the paper's table 9, whose vocabulary makes most of it. */
export const MODEL_280M: ModelConfig = gpt2(256_000, 768, 12, 12, 1024);

export const OPTIMIZER: OptimizerConfig = {
  name: "adamw",
  learningRate: 1e-3,
  finalLearningRate: 1e-4,
  warmupSteps: 10,
  decay: "exponential",
  beta1: 0.9,
  beta2: 0.99,
  epsilon: 1e-8,
  weightDecay: 0.01,
  clipNorm: 1,
};

/** Domains of the made-up batches; every row is of one. */
export const DOMAINS = 8;
export const DOREMI = { eta: 1, smoothing: 1e-3 } as const;

export function describeCase({ model, batchSize }: Case): string {
  const { vocabularySize: V, width: D, layers: L, sequenceLength: T } = model;
  return `V ${V}, D ${D}, L ${L}, T ${T}, B ${batchSize}`;
}

/** Time in which a processor of this rate does the step's floating-point operations and nothing else. */
export function limitMs({ model, batchSize }: Case, gflops: number): number {
  return trainingFlops(model, batchSize * model.sequenceLength) / gflops / 1e6;
}
