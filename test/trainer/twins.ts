/** An objective inside a graph beside its float64 twin, step by step, by whatever runs the graph. Shared by tests. */
import type { Tensor } from "@tensorflow/tfjs-core";
import { expect } from "vitest";
import type { Engine, Program, TensorSpec } from "../../src/engine/engine.ts";
import type { TensorFlow } from "../../src/engine/tensorflow.ts";
import { Rng } from "../../src/lib/rng.ts";
import type { ObjectiveFacts, ObjectiveState, SequenceStatistics } from "../../src/mixture/objective.ts";
import type { ObjectiveSettings } from "../../src/mixture/objective-settings.ts";
import { createObjective } from "../../src/mixture/objectives.ts";
import type { SequenceSums } from "../../src/trainer/objectives/graph-objective.ts";
import { createGraphObjective } from "../../src/trainer/objectives.ts";
import { type HostTensor, runCompiled, runEagerly } from "../engine/run.ts";

const LENGTH = 16;

function shares(name: string, count: number): number[] {
  const rng = new Rng(3, name);
  const raw = Array.from({ length: count }, (_, i) => 0.2 + rng.uniform(i));
  const total = raw.reduce((sum, share) => sum + share, 0);
  return raw.map((share) => share / total);
}

/** Start, sampling, reference and sizes all different, and none uniform. */
export function unevenFacts(domains: number): ObjectiveFacts {
  return {
    domains,
    start: shares("start", domains),
    sampling: shares("sampling", domains),
    reference: shares("reference", domains),
    sizes: shares("sizes", domains).map((share) => Math.round(1e5 * share)),
    sequenceLength: LENGTH,
    vocabularySize: 512,
  };
}

/**
 * Losses around 3 a token and excess between −0.4 and 1.1, more in later domains. The first step holds the last domain
 * only, which the three after it rarely hold, and one sequence in seven has no token.
 */
export function randomBatch(sequences: number, domains: number, step: number): SequenceStatistics {
  const rng = new Rng(11, `batch/${step}`);
  const last = domains - 1;
  const drawn = (at: number): number => Math.floor(domains * rng.uniform(at));
  const domainOf = (b: number): number => {
    if (step === 0) return last;
    const rare = step < 4 ? last : 0;
    return drawn(b) === rare ? drawn(b + sequences) : drawn(b);
  };
  const ids = Int32Array.from({ length: sequences }, (_, b) => domainOf(b));
  const tokens = Float64Array.from({ length: sequences }, (_, b) =>
    sequences > 1 && b % 7 === 3 ? 0 : 1 + Math.floor(LENGTH * rng.uniform(2 * sequences + b)),
  );
  const excess = tokens.map(
    (count, b) => count * (1.2 * rng.uniform(3 * sequences + b) - 0.4 + (0.3 * ids[b]!) / domains),
  );
  return {
    domains: ids,
    tokens,
    loss: tokens.map((count, b) => 3 * count + excess[b]!),
    excess,
    clipped: tokens.map((count, b) => Math.max(excess[b]!, 0) + 0.1 * count),
  };
}

/** Inputs: a batch's sums, and state/…. Outputs: next/…, alpha, tokenWeight, and `weighed` where there is such a thing. */
export function objectiveProgram(settings: ObjectiveSettings, facts: ObjectiveFacts, sequences: number): Program {
  const objective = createGraphObjective(settings, facts);
  const floats = (length: number): TensorSpec => ({ shape: [length], dtype: "float32" });
  const names = Object.keys(objective.state);
  return {
    name: settings.name,
    inputs: {
      domains: { shape: [sequences], dtype: "int32" },
      ...Object.fromEntries(["tokens", "loss", "excess", "clipped"].map((name) => [name, floats(sequences)])),
      ...Object.fromEntries(names.map((name) => [`state/${name}`, floats(objective.state[name]!)])),
    },
    build(tf, given) {
      const batch = given as unknown as SequenceSums;
      const state = Object.fromEntries(names.map((name) => [name, given[`state/${name}`]!]));
      const step = objective.step(tf, state, batch);
      const outputs: Record<string, Tensor> = { alpha: step.alpha, tokenWeight: step.tokenWeight };
      for (const [name, tensor] of Object.entries(step.state)) outputs[`next/${name}`] = tensor;
      if (objective.weigh) outputs.weighed = objective.weigh(tf, step.alpha, batch);
      return outputs;
    },
  };
}

export function objectiveInputs(batch: SequenceStatistics, state: ObjectiveState): Record<string, HostTensor> {
  const floats = (values: Float64Array): HostTensor => ({ data: Float32Array.from(values), shape: [values.length] });
  return {
    domains: { data: batch.domains, shape: [batch.domains.length] },
    ...Object.fromEntries(
      (["tokens", "loss", "excess", "clipped"] as const).map((name) => [name, floats(batch[name])]),
    ),
    ...Object.fromEntries(Object.entries(state).map(([name, values]) => [`state/${name}`, floats(values)])),
  };
}

export function expectWithin(
  found: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: number,
  what: string,
): void {
  expect(found.length, what).toBe(expected.length);
  for (let i = 0; i < expected.length; i++) {
    const difference = Math.abs(found[i]! - expected[i]!);
    if (!(difference <= tolerance)) expect.fail(`${what}[${i}]: ${found[i]}, not ${expected[i]} within ${tolerance}`);
  }
}

export interface TwinRun {
  readonly settings: ObjectiveSettings;
  readonly facts: ObjectiveFacts;
  readonly batches: readonly SequenceStatistics[];
  /** of domain weights and state (where that is below 1), and of token weights relative to the largest */
  readonly tolerance: number;
  /** changes the state after a step */
  readonly between?: (state: ObjectiveState, step: number) => ObjectiveState;
}

/**
 * Each step starts from the twin's state, as in training; what comes out must be the twin's too.
 * @param eager where given, the same op by op in TensorFlow.js's CPU backend
 */
export async function expectTwin(engine: Engine, run: TwinRun, eager?: TensorFlow): Promise<void> {
  const { settings, facts, batches, tolerance, between = (state) => state } = run;
  const objective = createObjective(settings, facts);
  const program = objectiveProgram(settings, facts, batches[0]!.domains.length);
  const executable = await engine.compile(program);
  let state = objective.init();
  for (const [at, batch] of batches.entries()) {
    const inputs = objectiveInputs(batch, state);
    const { alpha, tokenWeight, state: next } = objective.step(state, batch);
    const expected: Record<string, Float64Array> = { alpha, tokenWeight };
    if (objective.weigh) expected.weighed = objective.weigh(alpha, batch);
    for (const [name, values] of Object.entries(next)) expected[`next/${name}`] = values;

    const found = { [engine.name]: await runCompiled(engine, executable, inputs) };
    if (eager) found.eager = await runEagerly(eager, program, inputs);
    for (const [way, outputs] of Object.entries(found)) {
      expect(Object.keys(outputs).sort(), way).toEqual(Object.keys(expected).sort());
      for (const [name, values] of Object.entries(expected)) {
        const largest = values.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
        const scale = name === "tokenWeight" || name === "weighed" ? largest : Math.max(largest, 1);
        expectWithin(outputs[name]!.data, values, tolerance * scale, `${way}, step ${at + 1}, ${name}`);
      }
    }
    state = between(next, at);
  }
  await executable.close();
}
