/**
 * Mixtures that need no training, from the domains' sizes alone: natural, uniform, temperature, UniMax.
 * A size is a count of tokens; a domain of size 0 gets weight 0.
 */
import { DoremiError } from "../lib/errors.ts";
import { cappedShares } from "./allocation.ts";

/** In proportion to tokens: each document is as likely as any other, by its length. */
export function naturalWeights(sizes: readonly number[]): number[] {
  return temperatureWeights(sizes, 1);
}

/** The same weight for every domain that has tokens. */
export function uniformWeights(sizes: readonly number[]): number[] {
  return temperatureWeights(sizes, 0);
}

/**
 * w_i ∝ size_i^exponent: 1 is natural, 0 uniform over the domains that have tokens. A temperature T is exponent 1/T.
 *
 * @throws DoremiError bad-sizes, bad-exponent
 */
export function temperatureWeights(sizes: readonly number[], exponent: number): number[] {
  checkSizes(sizes);
  if (!Number.isFinite(exponent)) {
    throw new DoremiError("bad-configuration", "bad-exponent", `exponent: must be a finite number, got ${exponent}`);
  }
  const logs = sizes.map((size) => (size === 0 ? Number.NEGATIVE_INFINITY : exponent * Math.log(size)));
  const largest = Math.max(...logs);
  // exponent 1 and 0 take the direct way, so that they are exact where division is
  const powers =
    exponent === 1
      ? sizes
      : sizes.map((size, i) => (size === 0 ? 0 : exponent === 0 ? 1 : Math.exp(logs[i]! - largest)));
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map((power) => power / sum);
}

export interface UniMax {
  /** real numbers; Σ = budget − budgetLeft */
  readonly tokens: number[];
  readonly weights: number[];
  /** tokens ÷ size; null for an empty domain */
  readonly epochs: (number | null)[];
  /** the domain is repeated maxEpochs times */
  readonly capped: boolean[];
  /** of the budget, what no domain may take */
  readonly budgetLeft: number;
}

/**
 * UniMax (Chung et al. 2023, arXiv 2304.09151): as uniform as can be with no domain repeated more than `maxEpochs`
 * times. From the smallest domain up, each gets min(size·maxEpochs, left budget ÷ left domains).
 *
 * @param budget tokens, > 0
 * @throws DoremiError bad-sizes, bad-budget, bad-epochs
 */
export function unimax(sizes: readonly number[], budget: number, maxEpochs: number): UniMax {
  checkSizes(sizes);
  if (!(Number.isFinite(budget) && budget > 0)) {
    throw new DoremiError(
      "bad-configuration",
      "bad-budget",
      `budget: must be a number of tokens above 0, got ${budget}`,
    );
  }
  if (!(maxEpochs > 0)) {
    throw new DoremiError("bad-configuration", "bad-epochs", `maxEpochs: must be above 0, got ${maxEpochs}`);
  }
  const caps = sizes.map((size) => (size === 0 ? 0 : size * maxEpochs));
  const tokens = cappedShares(
    sizes.map((size) => (size === 0 ? 0 : 1)),
    budget,
    caps,
  );
  const total = tokens.reduce((sum, share) => sum + share, 0);
  return {
    tokens,
    weights: tokens.map((share) => share / total),
    epochs: tokens.map((share, i) => (sizes[i] === 0 ? null : share / sizes[i]!)),
    capped: tokens.map((share, i) => sizes[i]! > 0 && share === caps[i]),
    budgetLeft: tokens.every((share, i) => share === caps[i]) ? Math.max(0, budget - total) : 0,
  };
}

function checkSizes(sizes: readonly number[]): void {
  for (const [index, size] of sizes.entries()) {
    if (!Number.isFinite(size) || size < 0) {
      throw new DoremiError(
        "bad-data",
        "bad-sizes",
        `size of domain ${index}: must be a finite number ≥ 0, got ${size}`,
      );
    }
  }
  if (!sizes.some((size) => size > 0)) {
    throw new DoremiError("bad-data", "bad-sizes", "sizes: every domain is empty; at least one must have tokens");
  }
}
