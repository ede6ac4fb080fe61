/**
 * Domain weights from a recorded training: what an objective makes of losses that are given, step by step. The losses
 * stay as they were, whatever the weights: no model is trained. And how two results differ.
 */
import {
  nextAverage,
  type Objective,
  type ObjectiveFacts,
  type ObjectiveState,
  type SequenceStatistics,
} from "./objective.ts";
import { averagesStart } from "./objective-settings.ts";

export interface ReplayStep {
  readonly sequences: SequenceStatistics;
  /** mean held-out loss of each domain before the step, where it was measured */
  readonly heldOut?: ArrayLike<number> | undefined; // [K]
}

/** Weights under one objective, after the steps so far. */
export class Replay {
  readonly #objective: Objective;
  #state: ObjectiveState;
  #mean: WeightMean;

  constructor(objective: Objective, { start }: Pick<ObjectiveFacts, "start">) {
    this.#objective = objective;
    this.#state = objective.init();
    this.#mean = new WeightMean(start, averagesStart(objective.settings));
  }

  /** of the last step [K] */
  get alpha(): Float64Array {
    return this.#mean.alpha;
  }

  /** mean over the steps: the result [K] */
  get average(): Float64Array {
    return this.#mean.average;
  }

  /** @throws DoremiError non-finite-excess */
  step({ sequences, heldOut }: ReplayStep): void {
    if (heldOut) this.#state = this.#objective.observe?.(this.#state, heldOut) ?? this.#state;
    const { state, alpha } = this.#objective.step(this.#state, sequences);
    this.#state = state;
    this.#mean.add(alpha);
  }
}

/** Weights that are known already, and their mean over the steps. */
export class WeightMean {
  readonly #withStart: boolean;
  #steps = 0;
  #alpha: Float64Array;
  #average: Float64Array;

  constructor(start: ArrayLike<number>, withStart: boolean) {
    this.#withStart = withStart;
    this.#alpha = Float64Array.from(start);
    this.#average = Float64Array.from(start);
  }

  get alpha(): Float64Array {
    return this.#alpha;
  }

  get average(): Float64Array {
    return this.#average;
  }

  add(alpha: Float64Array): void {
    this.#steps++;
    this.#alpha = alpha;
    this.#average = nextAverage(this.#average, alpha, this.#steps, this.#withStart);
  }
}

export interface WeightDifference {
  /** ½ Σ |difference|: share of the training set that other domains get, 0..1 */
  readonly distance: number;
  /** domain whose weight differs most, and by how much */
  readonly domain: number;
  readonly change: number;
}

/** Of `weights` from `others`, both [K]. */
export function compareWeights(weights: ArrayLike<number>, others: ArrayLike<number>): WeightDifference {
  let [distance, domain, change] = [0, 0, 0];
  for (let i = 0; i < weights.length; i++) {
    const difference = weights[i]! - others[i]!;
    distance += Math.abs(difference) / 2;
    if (Math.abs(difference) > Math.abs(change)) [domain, change] = [i, difference];
  }
  return { distance, domain, change };
}
