/**
 * A budget of whole tokens over domains in proportion to their weights: largest remainder (Hamilton), with or without
 * a floor and a cap per domain. Exact: weights count as the decimals that they are written as, and every total is
 * asserted. For shares of real numbers, as when weights are planned, see `cappedShares`.
 */
import type { ErrorCode } from "../lib/error-codes.ts";
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
  return allocateWithBounds(
    weights,
    budget,
    weights.map(() => 0),
    weights.map(() => null),
  );
}

/**
 * clamp(s·w_i, floors[i], caps[i]) with the one s at which they add up to the budget: what a floor or a cap takes or
 * leaves, the domains between their bounds give or get in proportion to weight. These are rounded by largest remainder,
 * ties to the lowest index. A domain without weight gets its floor.
 *
 * @param floors integers ≥ 0  @param caps integers ≥ 0, or null for no cap
 * @throws DoremiError bad-configuration; floor-exceeds-cap, floors-exceed-budget, budget-exceeds-caps where no s does
 */
export function allocateWithBounds(
  weights: readonly number[],
  budget: number,
  floors: readonly number[],
  caps: readonly (number | null)[],
): number[] {
  checkWeights(weights);
  if (!Number.isSafeInteger(budget) || budget < 0) {
    throw refuse("bad-budget", `budget: must be an integer from 0 to 2^53 − 1, got ${budget}`);
  }
  refuseUnmeetable(weights, budget, floors, caps);
  const scaled = toCommonScale(weights).integers;
  const { bound, left } = fillBounds(
    scaled,
    BigInt(budget),
    floors.map(BigInt),
    caps.map((cap) => (cap === null ? null : BigInt(cap))),
  );
  const result = bound.map(Number);
  const free = bound.flatMap((share, index) => (share === null ? [index] : []));
  hamilton(free, scaled, left, result);
  const total = result.reduce((sum, share) => sum + BigInt(share), 0n);
  if (total !== BigInt(budget)) throw new DoremiError("internal", "allocation", `allocated ${total} of ${budget}`);
  return result;
}

export interface Filled {
  /** the floor or cap that is the domain's share; null = its share lies between them: left · w_i ÷ Σ of such weights */
  readonly bound: readonly (bigint | null)[];
  /** of the budget, for the domains between their bounds */
  readonly left: bigint;
}

/**
 * Which bounds decide, exactly. Σ clamp(s·w_i, floor_i, cap_i) grows with s, in straight lines between the values at
 * which some s·w_i meets a bound; so the last of these values at which it does not pass the budget says it.
 *
 * @param floors floor_i ≤ cap_i, Σ floor ≤ budget ≤ Σ cap
 */
export function fillBounds(
  weights: readonly bigint[],
  budget: bigint,
  floors: readonly bigint[],
  caps: readonly (bigint | null)[],
): Filled {
  // s = tokens ÷ weight
  const corners = [{ tokens: 0n, weight: 1n }];
  for (const [i, weight] of weights.entries()) {
    for (const tokens of [floors[i]!, caps[i]!]) if (weight > 0n && tokens !== null) corners.push({ tokens, weight });
  }
  corners.sort((a, b) => sign(a.tokens * b.weight - b.tokens * a.weight));
  const boundAt = ({ tokens, weight: unit }: (typeof corners)[number]) =>
    weights.map((weight, i) => {
      const [floor, cap] = [floors[i]!, caps[i]!];
      if (weight === 0n || tokens * weight < floor * unit) return floor;
      return cap !== null && tokens * weight >= cap * unit ? cap : null;
    });
  const passesBudget = (corner: (typeof corners)[number]) => {
    let [whole, free] = [0n, 0n];
    for (const [i, share] of boundAt(corner).entries()) {
      if (share === null) free += weights[i]!;
      else whole += share;
    }
    return whole * corner.weight + free * corner.tokens > budget * corner.weight;
  };
  let [last, end] = [0, corners.length];
  while (end - last > 1) {
    const middle = (last + end) >> 1;
    if (passesBudget(corners[middle]!)) end = middle;
    else last = middle;
  }
  const bound = boundAt(corners[last]!);
  return { bound, left: bound.reduce<bigint>((left, share) => left - (share ?? 0n), budget) };
}

const sign = (value: bigint) => (value < 0n ? -1 : value > 0n ? 1 : 0);
const compareNumbers = (a: number, b: number) => (a < b ? -1 : a > b ? 1 : 0); // ∞ − ∞ would be NaN

function refuseUnmeetable(
  weights: readonly number[],
  budget: number,
  floors: readonly number[],
  caps: readonly (number | null)[],
): void {
  const [least, most] = [floors.reduce((sum, floor) => sum + BigInt(floor), 0n), BigInt(budget)];
  const crossed = floors.findIndex((floor, i) => floor > (caps[i] ?? Number.POSITIVE_INFINITY));
  if (crossed >= 0) {
    throw refuse(
      "floor-exceeds-cap",
      `floor of domain ${crossed}: must be at most its cap of ${caps[crossed]}, got ${floors[crossed]}; lower the floor or raise the cap`,
    );
  }
  if (least > most) {
    throw refuse(
      "floors-exceed-budget",
      `budget ${budget}: must hold the floors, which add up to ${least}; raise the budget or lower the floors`,
    );
  }
  let room = 0n;
  for (const [i, weight] of weights.entries()) {
    const cap = weight > 0 ? caps[i]! : floors[i]!;
    if (cap === null) return;
    room += BigInt(cap);
  }
  if (room < most) {
    throw refuse(
      "budget-exceeds-caps",
      `budget ${budget}: must fit the caps of the domains with weight, which hold ${room}; ` +
        "lower the budget or raise the caps",
    );
  }
}

/** Largest remainder among the domains `free`; writes into `result`. */
function hamilton(free: readonly number[], scaled: readonly bigint[], budget: bigint, result: number[]): void {
  const sum = free.reduce((total, index) => total + scaled[index]!, 0n);
  const remainders = free.map((index) => {
    const product = budget * scaled[index]!;
    result[index] = Number(product / sum);
    return { index, remainder: product % sum };
  });
  const given = free.reduce((total, index) => total + BigInt(result[index]!), 0n);
  remainders.sort((a, b) => sign(b.remainder - a.remainder) || a.index - b.index);
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
  // In the order in which a growing s reaches the caps; by logarithms, because cap ÷ weight can overflow.
  const order = weights.flatMap((weight, index) => (weight > 0 ? [index] : []));
  const reached = weights.map((weight, index) => Math.log(caps[index]!) - Math.log(weight));
  order.sort((a, b) => compareNumbers(reached[a]!, reached[b]!) || a - b);
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

function refuse(code: ErrorCode, message: string): DoremiError {
  return new DoremiError("bad-configuration", code, message);
}
