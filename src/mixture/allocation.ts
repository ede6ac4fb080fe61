/**
 * A budget of whole tokens over domains in proportion to their weights: largest remainder (Hamilton), with or without
 * a cap per domain. Exact: weights count as the decimals that they are written as, and every total is asserted.
 * For shares of real numbers, as when weights are planned, see `cappedShares`.
 */
import { DoremiError } from "../lib/errors.ts";
import { toCommonScale } from "./decimal.ts";

/**
 * budget · w_i / Σw as integers that add up to the budget: the floor of each quota, then one more for the largest
 * fractional parts, ties to the lowest index.
 *
 * @param weights finite, ≥ 0, not all 0; need not add up to 1
 * @param budget an integer from 0 to 2^53 − 1
 * @throws DoremiError bad-configuration
 */
export function allocate(weights: readonly number[], budget: number): number[] {
  return allocateWithCaps(weights, budget, new Array<null>(weights.length).fill(null));
}

/**
 * As `allocate`, where domain i gets at most caps[i]; what a cap cuts off goes to the uncapped in proportion to weight.
 *
 * @param caps integers ≥ 0, or null for no cap
 * @throws DoremiError bad-configuration; code budget-exceeds-caps when the caps of the domains with weight hold less
 */
export function allocateWithCaps(
  weights: readonly number[],
  budget: number,
  caps: readonly (number | null)[],
): number[] {
  checkWeights(weights);
  if (!Number.isSafeInteger(budget) || budget < 0) {
    throw refuse("bad-budget", `budget: must be an integer from 0 to 2^53 − 1, got ${budget}`);
  }
  const scaled = toCommonScale(weights).integers;
  const limits = caps.map((cap) => (cap === null ? null : BigInt(cap)));
  const result = new Array<number>(weights.length).fill(0);

  let left = BigInt(budget);
  let open = scaled.flatMap((weight, index) => (weight > 0n ? [index] : []));
  // Closing one domain raises everybody else's quota, so go round until nobody reaches a cap.
  for (;;) {
    const sum = open.reduce((total, index) => total + scaled[index]!, 0n);
    const reached = open.filter((index) => limits[index] !== null && left * scaled[index]! >= limits[index]! * sum);
    if (reached.length === 0) break;
    for (const index of reached) result[index] = caps[index]!;
    left -= reached.reduce((total, index) => total + limits[index]!, 0n);
    open = open.filter((index) => !reached.includes(index));
    if (open.length === 0) break;
  }
  if (open.length === 0 && left > 0n) {
    throw refuse(
      "budget-exceeds-caps",
      `budget ${budget}: must fit the caps of the domains with weight, which hold ${BigInt(budget) - left}; ` +
        "lower the budget or raise the caps",
    );
  }

  hamilton(open, scaled, left, result);
  const total = result.reduce((sum, share) => sum + BigInt(share), 0n);
  if (total !== BigInt(budget)) throw new DoremiError("internal", "allocation", `allocated ${total} of ${budget}`);
  return result;
}

/** Largest remainder among the domains `open`; writes into `result`. */
function hamilton(open: readonly number[], scaled: readonly bigint[], budget: bigint, result: number[]): void {
  const sum = open.reduce((total, index) => total + scaled[index]!, 0n);
  const remainders = open.map((index) => {
    const product = budget * scaled[index]!;
    result[index] = Number(product / sum);
    return { index, remainder: product % sum };
  });
  const given = open.reduce((total, index) => total + BigInt(result[index]!), 0n);
  remainders.sort((a, b) => (a.remainder === b.remainder ? a.index - b.index : a.remainder > b.remainder ? -1 : 1));
  for (const { index } of remainders.slice(0, Number(budget - given))) result[index]! += 1;
}

/**
 * Real-valued shares min(cap_i, s·w_i), with s such that they add up to min(budget, Σ caps of domains with weight).
 *
 * @param caps ≥ 0, Infinity for no cap
 */
export function cappedShares(weights: readonly number[], budget: number, caps: readonly number[]): number[] {
  checkWeights(weights);
  if (!(Number.isFinite(budget) && budget >= 0)) {
    throw refuse("bad-budget", `budget: must be a finite number ≥ 0, got ${budget}`);
  }
  const shares = new Array<number>(weights.length).fill(0);
  // In the order in which a growing s reaches the caps.
  const order = weights.flatMap((weight, index) => (weight > 0 ? [index] : []));
  order.sort((a, b) => caps[a]! / weights[a]! - caps[b]! / weights[b]! || a - b);
  // Weight from each position to the end, summed from the end: taking weights off one total would cancel digits.
  const weightFrom = new Float64Array(order.length + 1);
  for (let at = order.length - 1; at >= 0; at--) weightFrom[at] = weightFrom[at + 1]! + weights[order[at]!]!;
  let left = budget;
  for (const [position, index] of order.entries()) {
    const last = position === order.length - 1; // takes what is left, without a residue of rounding
    const share = Math.min(caps[index]!, last ? left : left * (weights[index]! / weightFrom[position]!));
    shares[index] = share;
    left -= share;
  }
  return shares;
}

/** @throws DoremiError bad-weights when they cannot say how to divide anything */
export function checkWeights(weights: readonly number[]): void {
  if (weights.length === 0) throw refuse("bad-weights", "weights: must name at least one domain, got none");
  for (const [index, weight] of weights.entries()) {
    if (!Number.isFinite(weight) || weight < 0) {
      throw refuse("bad-weights", `weight of domain ${index}: must be a finite number ≥ 0, got ${weight}`);
    }
  }
  if (weights.every((weight) => weight === 0)) {
    throw refuse("bad-weights", "weights: all are zero; at least one domain must have a weight above 0");
  }
}

function refuse(code: string, message: string): DoremiError {
  return new DoremiError("bad-configuration", code, message);
}
