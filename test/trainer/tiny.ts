/** Small configurations and data that the trainer's tests share. */

import { Rng } from "../../src/lib/rng.ts";
import { uniformFacts } from "../../src/mixture/objective.ts";
import { DOREMI_PRESETS, needsReference, type ObjectiveSettings } from "../../src/mixture/objective-settings.ts";
import { createObjective } from "../../src/mixture/objectives.ts";
import type { SequenceReader } from "../../src/trainer/batches.ts";
import type { AdafactorConfig, AdamWConfig, ModelConfig, TrainingBatch } from "../../src/trainer/contract.ts";
import { createGraphObjective } from "../../src/trainer/objectives.ts";

export const TINY: ModelConfig = {
  architecture: "gpt2",
  vocabularySize: 61,
  sequenceLength: 12,
  width: 16,
  layers: 2,
  heads: 2,
};

export const ADAMW: AdamWConfig = {
  name: "adamw",
  learningRate: 1e-2,
  finalLearningRate: 1e-3,
  warmupSteps: 3,
  decay: "exponential",
  beta1: 0.9,
  beta2: 0.99,
  epsilon: 1e-8,
  weightDecay: 0.01,
  clipNorm: 1,
};

export const ADAFACTOR: AdafactorConfig = {
  name: "adafactor",
  learningRate: 1e-2,
  finalLearningRate: 1e-3,
  warmupSteps: 3,
  decay: "exponential",
  beta1: 0.9,
  decayRate: 0.8,
  clipThreshold: 1,
  epsilon1: 1e-30,
  epsilon2: 1e-3,
  scaleParameter: false,
  weightDecay: 0.01,
  clipNorm: 1,
};

/** What `train` takes of a proxy over so many domains. */
export function proxyOf(domains: number, objective: ObjectiveSettings = DOREMI_PRESETS.paper, model = TINY) {
  return { objective, facts: uniformFacts(domains, model) };
}

/** What a stepper takes of the same. */
export function steppedProxyOf(domains: number, objective: ObjectiveSettings = DOREMI_PRESETS.paper, model = TINY) {
  const { facts } = proxyOf(domains, objective, model);
  return {
    host: createObjective(objective, facts),
    graph: createGraphObjective(objective, facts),
    domains,
    reference: needsReference(objective),
  };
}

/** What a gradient program takes of the same: of a batch that is not divided, and hands its state on. */
export function adaptiveObjective(
  domains: number,
  more: { earlier?: number; scaled?: boolean; carried?: boolean } = {},
) {
  const { graph, reference } = steppedProxyOf(domains);
  return {
    kind: "adaptive",
    objective: graph,
    domains,
    reference,
    earlier: 0,
    scaled: false,
    carried: true,
    ...more,
  } as const;
}

/** Sequences of random ids: domain d uses ids d·16 .. d·16 + 15 only. */
export function randomReaders(domains: number, sequences: number, T = TINY.sequenceLength): SequenceReader[] {
  return Array.from({ length: domains }, (_, domain) => {
    const rng = new Rng(5, `tiny/${domain}`);
    return {
      sequences,
      sequence: (index) =>
        Int32Array.from({ length: T + 1 }, (_, t) => domain * 16 + Math.floor(16 * rng.uniform(index * (T + 1) + t))),
    };
  });
}

/** A batch of random ids, with domain row % K; the mask drops the tail of every third row. */
export function randomBatch(model: ModelConfig, B: number, K: number, seed: number): TrainingBatch {
  const T = model.sequenceLength;
  const rng = new Rng(seed, "batch");
  const ids = (stream: string) =>
    Int32Array.from({ length: B * T }, (_, i) => Math.floor(model.vocabularySize * rng.fork(stream).uniform(i)));
  return {
    inputs: ids("inputs"),
    targets: ids("targets"),
    mask: Float32Array.from({ length: B * T }, (_, i) => (Math.floor(i / T) % 3 === 0 && i % T > T / 2 ? 0 : 1)),
    domains: Int32Array.from({ length: B }, (_, row) => row % K),
  };
}
