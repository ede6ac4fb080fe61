/**
 * Exponential running means of the domains' losses, for objectives whose weights follow from more than one batch: a small
 * domain is in few of them.
 */
import type { ObjectiveFacts } from "../objective.ts";

export interface RunningLosses {
  /** 0 for a domain that no batch has held yet */
  readonly running: Float64Array; // [K]
  /** 1 = some batch has held it */
  readonly seen: Float64Array; // [K]
}

/** new = (1 − decay) · old + decay · batch; the first one as it is. A domain that is not in the batch keeps its own. */
export function follow(
  { running, seen }: RunningLosses,
  losses: Float64Array, // [K]
  tokens: Float64Array, // [K]; 0 = not in the batch
  decay: number,
): RunningLosses {
  return {
    running: running.map((old, i) => {
      if (tokens[i] === 0) return old;
      return seen[i] === 0 ? losses[i]! : (1 - decay) * old + decay * losses[i]!;
    }),
    seen: seen.map((before, i) => (tokens[i]! > 0 ? 1 : before)),
  };
}

/** Share of the training tokens that each domain has; Σ = 1. What was in a batch has one at least, whatever was counted. */
export function shareOfData({ sizes }: ObjectiveFacts): Float64Array {
  const tokens = Float64Array.from(sizes, (size) => Math.max(size, 1));
  const total = tokens.reduce((a, b) => a + b, 0);
  return tokens.map((count) => count / total);
}
