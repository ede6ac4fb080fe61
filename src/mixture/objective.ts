/**
 * What a proxy is trained for, and how its domain weights follow from its losses: the contract that DoReMi, Group DRO,
 * the CVaR and f-divergence balls and plain ERM share. Float64, no tensors: the reference for the graphs of the trainer,
 * and what `replay` computes from a recorded trace.
 *
 * All of them see no more of a batch than five numbers a sequence, and give every token of a sequence the same weight.
 */
import type { ObjectiveSettings } from "./objective-settings.ts";

/** A batch as an objective sees it: sums over each sequence's unmasked tokens. B sequences, each of one domain. */
export interface SequenceStatistics {
  /** 0..K−1 */
  readonly domains: Int32Array; // [B]
  /** unmasked tokens; a sequence without any takes part in nothing */
  readonly tokens: Float64Array; // [B]
  /** Σ loss, nats */
  readonly loss: Float64Array; // [B]
  /** Σ (loss − reference); Σ loss where there is no reference */
  readonly excess: Float64Array; // [B]
  /** Σ max(loss − reference, 0), clipped token by token */
  readonly clipped: Float64Array; // [B]
}

/** Means over each domain's unmasked tokens; all 0 for a domain without any. */
export interface DomainStatistics {
  readonly tokens: Float64Array; // [K]
  readonly loss: Float64Array; // [K]
  readonly excess: Float64Array; // [K]
  readonly clipped: Float64Array; // [K]
}

/** What an objective may have to know of the run, beside its settings. */
export interface ObjectiveFacts {
  readonly domains: number; // K
  /** weights before the first step, α₀; Σ = 1 */
  readonly start: readonly number[]; // [K]
  /** shares in which batches draw from the domains; Σ = 1 */
  readonly sampling: readonly number[]; // [K]
  /** weights that the reference was trained on; Σ = 1 */
  readonly reference: readonly number[]; // [K]
  /** tokens that each domain has for training */
  readonly sizes: readonly number[]; // [K]
  readonly sequenceLength: number; // T
  readonly vocabularySize: number; // V, of the model
}

/** Facts of a run in which all domains are alike. */
export function uniformFacts(
  domains: number,
  model: Pick<ObjectiveFacts, "sequenceLength" | "vocabularySize">,
): ObjectiveFacts {
  const uniform = new Array<number>(domains).fill(1 / domains);
  const { sequenceLength, vocabularySize } = model;
  const sizes = uniform.map(() => sequenceLength);
  return { domains, start: uniform, sampling: uniform, reference: uniform, sizes, sequenceLength, vocabularySize };
}

/** Everything that goes from step to step, by name; finite numbers, arrays of fixed length. Plain data. */
export type ObjectiveState = Readonly<Record<string, Float64Array>>;

export interface ObjectiveStep {
  readonly state: ObjectiveState;
  /** weight of each domain in this step's objective; ≥ 0, Σ = 1 */
  readonly alpha: Float64Array; // [K]
  /** d objective / d loss of each unmasked token of a sequence; 0 for a sequence without any */
  readonly tokenWeight: Float64Array; // [B]
  /** of the objective on this batch */
  readonly value: number;
}

export interface Objective {
  readonly settings: ObjectiveSettings;
  /** before the first step */
  init(): ObjectiveState;
  /** Leaves `state` as it is. @throws DoremiError non-finite-excess, which would stay in all weights for ever */
  step(state: ObjectiveState, batch: SequenceStatistics): ObjectiveStep;
  /**
   * Token weights under domain weights that are not updated, for the parts of a batch before the last (accumulation:
   * stale). Absent where the weights of a step follow from its own losses alone.
   */
  weigh?(alpha: ArrayLike<number>, batch: SequenceStatistics): Float64Array; // [B]
  /**
   * Takes in the mean held-out loss of each domain, NaN where it has none, when the model has been evaluated between two
   * steps; doing so twice is the same as once. Absent where that changes nothing.
   */
  observe?(state: ObjectiveState, heldOutLoss: ArrayLike<number>): ObjectiveState;
}

/** Sums of a batch of rows; what lies under a mask of 0 is never looked at. */
export function sequenceStatistics(batch: {
  /** per-token loss of the proxy */
  readonly loss: ArrayLike<number>; // [B, T]
  /** per-token loss of the reference, where there is one */
  readonly reference?: ArrayLike<number> | undefined; // [B, T]
  /** 1 = counts, 0 = padding */
  readonly mask: ArrayLike<number>; // [B, T]
  readonly domains: ArrayLike<number>; // [B]
}): SequenceStatistics {
  const B = batch.domains.length;
  const T = B === 0 ? 0 : batch.loss.length / B;
  const domains = Int32Array.from(batch.domains);
  const [tokens, loss, excess, clipped] = Array.from({ length: 4 }, () => new Float64Array(B)) as [
    Float64Array,
    Float64Array,
    Float64Array,
    Float64Array,
  ];
  for (let row = 0; row < B; row++) {
    for (let at = row * T; at < (row + 1) * T; at++) {
      if (!(batch.mask[at]! > 0)) continue;
      const value = batch.loss[at]!;
      const difference = batch.reference ? value - batch.reference[at]! : value;
      tokens[row]! += 1;
      loss[row]! += value;
      excess[row]! += difference;
      clipped[row]! += Math.max(difference, 0);
    }
  }
  return { domains, tokens, loss, excess, clipped };
}

export function domainStatistics(batch: SequenceStatistics, domains: number): DomainStatistics {
  const result: DomainStatistics = {
    tokens: new Float64Array(domains),
    loss: new Float64Array(domains),
    excess: new Float64Array(domains),
    clipped: new Float64Array(domains),
  };
  // Plain loops: a replay of many steps does little else, and is twice as fast by them.
  const { tokens, loss, excess, clipped } = result;
  for (let row = 0; row < batch.domains.length; row++) {
    if (batch.tokens[row] === 0) continue;
    const domain = batch.domains[row]!;
    tokens[domain]! += batch.tokens[row]!;
    loss[domain]! += batch.loss[row]!;
    excess[domain]! += batch.excess[row]!;
    clipped[domain]! += batch.clipped[row]!;
  }
  for (let domain = 0; domain < domains; domain++) {
    const count = tokens[domain]!;
    if (count === 0) continue;
    loss[domain]! /= count;
    excess[domain]! /= count;
    clipped[domain]! /= count;
  }
  return result;
}

/**
 * Mean of the weights over the steps up to `step`, from that up to the step before.
 * @param withStart counts α₀, which `average` is before the first step, as one more
 */
export function nextAverage(
  average: ArrayLike<number>,
  alpha: ArrayLike<number>,
  step: number,
  withStart: boolean,
): Float64Array {
  const count = withStart ? step + 1 : step;
  const next = new Float64Array(alpha.length);
  for (let i = 0; i < next.length; i++) {
    next[i] = count === 1 ? alpha[i]! : average[i]! + (alpha[i]! - average[i]!) / count;
  }
  return next;
}
