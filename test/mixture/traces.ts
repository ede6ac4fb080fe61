/** The golden traces as an objective's batches, and what it has to know of a run. */

import type {
  Objective,
  ObjectiveFacts,
  ObjectiveState,
  ObjectiveStep,
  SequenceStatistics,
} from "../../src/mixture/objective.ts";
import { sequenceStatistics } from "../../src/mixture/objective.ts";
import type { ObjectiveSettings } from "../../src/mixture/objective-settings.ts";
import { createObjective } from "../../src/mixture/objectives.ts";

export interface TraceStep {
  domain_ids: number[];
  mask: number[][];
  loss: number[][];
  ref: number[][];
}

export interface Trace {
  k: number;
  vocab_size: number;
  steps: TraceStep[];
}

export function batchOf(step: TraceStep): SequenceStatistics {
  return sequenceStatistics({
    loss: step.loss.flat(),
    reference: step.ref.flat(),
    mask: step.mask.flat(),
    domains: step.domain_ids,
  });
}

/** Sequences of one token each. */
export function tokensOf(domains: readonly number[], losses: readonly number[], baselines?: readonly number[]) {
  const loss = Float64Array.from(losses);
  const excess = loss.map((value, row) => value - (baselines?.[row] ?? 0));
  return {
    domains: Int32Array.from(domains),
    tokens: new Float64Array(domains.length).fill(1),
    loss,
    excess,
    clipped: excess.map((value) => Math.max(value, 0)),
  } satisfies SequenceStatistics;
}

/** Uniform wherever nothing else is said. */
export function factsOf(domains: number, rest: Partial<ObjectiveFacts> = {}): ObjectiveFacts {
  const uniform = new Array<number>(domains).fill(1 / domains);
  return {
    domains,
    start: uniform,
    sampling: uniform,
    reference: uniform,
    sizes: new Array<number>(domains).fill(1000),
    sequenceLength: 1,
    vocabularySize: 50257,
    ...rest,
  };
}

/** Every step in order; `between` may change the state after one (its index is given). */
export function follow(
  objective: Objective,
  batches: readonly SequenceStatistics[],
  between: (state: ObjectiveState, index: number) => ObjectiveState = (state) => state,
): ObjectiveStep[] {
  let state = objective.init();
  return batches.map((batch, index) => {
    const step = objective.step(state, batch);
    state = between(step.state, index);
    return step;
  });
}

/** The objective on a golden trace. */
export function followTrace(settings: ObjectiveSettings, trace: Trace, facts: Partial<ObjectiveFacts> = {}) {
  const all = factsOf(trace.k, { vocabularySize: trace.vocab_size, ...facts });
  return follow(createObjective(settings, all), trace.steps.map(batchOf));
}

/** Mean of alpha over the steps so far, α₀ counted where it is given. */
export function averages(steps: readonly ObjectiveStep[], start?: readonly number[]): number[][] {
  let count = start ? 1 : 0;
  let sum = start ? [...start] : new Array<number>(steps[0]!.alpha.length).fill(0);
  return steps.map(({ alpha }) => {
    count++;
    sum = sum.map((value, i) => value + alpha[i]!);
    return sum.map((value) => value / count);
  });
}
