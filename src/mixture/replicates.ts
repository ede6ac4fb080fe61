/**
 * Domain weights of several trainings put together: of seeds, which differ by chance alone, and of rounds, each of which
 * takes the weights of the round before as its reference's. Float64; knows of no training.
 */

/** How the weights of trainings that differ by their seed alone lie, by domain. */
export interface WeightSpread {
  readonly mean: readonly number[]; // [K]
  /** standard deviation of a single training's weight, over n − 1; null of one training, which says nothing of it */
  readonly deviation: readonly number[] | null; // [K]
  readonly least: readonly number[]; // [K]
  readonly most: readonly number[]; // [K]
}

/** @param weights of each training, in the order of the domains; at least one */
export function spreadWeights(weights: readonly (readonly number[])[]): WeightSpread {
  const n = weights.length;
  const byDomain = weights[0]!.map((_, d) => weights.map((training) => training[d]!)); // [K, n]
  const mean = byDomain.map((values) => values.reduce((sum, value) => sum + value, 0) / n);
  const squares = byDomain.map((values, d) => values.reduce((sum, value) => sum + (value - mean[d]!) ** 2, 0));
  return {
    mean,
    deviation: n === 1 ? null : squares.map((sum) => Math.sqrt(sum / (n - 1))),
    least: byDomain.map((values) => Math.min(...values)),
    most: byDomain.map((values) => Math.max(...values)),
  };
}

/**
 * ‖after − before‖∞ and the domain that it is of: what iterated DoReMi stops by (Xie et al. 2023, section 2, where it
 * is compared with 10⁻³).
 */
export function largestChange(before: readonly number[], after: readonly number[]): { change: number; domain: number } {
  let largest = { change: 0, domain: 0 };
  for (const [domain, weight] of after.entries()) {
    const change = Math.abs(weight - before[domain]!);
    if (change > largest.change) largest = { change, domain };
  }
  return largest;
}
