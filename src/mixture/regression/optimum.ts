/**
 * The mixture at which a law with a slope is lowest, on the simplex with a cap per domain and a price for leaving the
 * prior. Laws without a slope are for simulation.ts.
 */
import { DoremiError } from "../../lib/errors.ts";
import { cappedShares } from "../allocation.ts";
import { dot, type Law, type Mixture } from "./law.ts";

export interface Constraints {
  /** Σ = 1; a domain of weight 0 stays at 0 */
  readonly prior: Mixture;
  /** loss that a nat of KL(mixture ‖ prior) costs; 0 = nothing */
  readonly kl: number;
  /** most of each domain; Infinity = no cap. Those of the prior's domains add up to 1 at least */
  readonly caps: readonly number[];
}

/** What is left to gain, as a share of the loss, at which the search ends. */
const TOLERANCE = 1e-9;
const MAX_STEPS = 20_000;
/** Steps of the mirror descent are multiplied, so a weight that reached 0 would never come back. */
const SMALLEST = 1e-200;

/**
 * argmin law(x) + kl · KL(x ‖ prior) over 0 ≤ x ≤ caps, Σ x = 1, by mirror descent in entropy: each step minimises the
 * slope's line plus both divergences, exactly, under the caps. For convex laws what is left to gain is known, and that
 * ends the search.
 *
 * @throws DoremiError caps-below-one, no-optimum
 */
export function optimalMixture(law: Law, constraints: Constraints): Float64Array {
  const { prior, kl, caps } = constraints;
  checkCaps(constraints);
  const gradient = (mixture: Mixture) => law.gradient!(mixture);
  let mixture = capped(prior, caps);
  // A line without a price has its optimum at a corner, at once.
  const corner = lowestCorner(gradient(mixture), constraints);
  if (kl === 0 && isLine(law, mixture, corner)) return corner;
  let stiffness = 0; // of the divergence from the step before: the higher, the shorter the step
  for (let step = 0; step < MAX_STEPS; step++) {
    const slope = gradient(mixture);
    if (leftToGain(mixture, slope, constraints) <= TOLERANCE * Math.max(1, Math.abs(law.predict(mixture))))
      return tidy(mixture);
    const least = 1e-6 * Math.max(...slope.map(Math.abs), Number.MIN_VALUE);
    if (kl === 0) stiffness = Math.max(stiffness, least);
    let next = mirrorStep(mixture, slope, stiffness, constraints);
    // By slopes, because near the optimum the values differ by less than their digits.
    while (riseOfSlope(slope, gradient(next), mixture, next) > stiffness * divergence(next, mixture)) {
      stiffness = Math.max(2 * stiffness, least);
      next = mirrorStep(mixture, slope, stiffness, constraints);
    }
    mixture = next;
    stiffness /= 2;
  }
  throw new DoremiError(
    "bad-data",
    "no-optimum",
    "regression: the best mixture of this law was not found; raise kl, or set search: simulate",
  );
}

/** @throws DoremiError caps-below-one */
export function checkCaps({ prior, caps }: Constraints): void {
  const most = caps.reduce((sum, cap, i) => (prior[i]! > 0 ? sum + Math.min(cap, 1) : sum), 0);
  if (most >= 1 - 1e-12) return;
  throw new DoremiError(
    "bad-configuration",
    "caps-below-one",
    `regression: the epoch caps must leave room for the whole budget, and hold ${(100 * most).toPrecision(3)} % of it; lower budgetTokens or raise maxEpochs`,
  );
}

/** The mixture nearest to `shares` in KL(x ‖ shares) under the caps; shares need not add up to 1. */
export function capped(shares: Mixture, caps: readonly number[]): Float64Array {
  return Float64Array.from(cappedShares(Array.from(shares), 1, caps));
}

/** KL(a ‖ b) of two mixtures, as a sum of terms ≥ 0, so that little of a small one is rounding. */
export function divergence(a: Mixture, b: Mixture): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) {
    const more = a[i]! - b[i]!;
    if (more === -b[i]!) sum += b[i]!;
    else sum += a[i]! * (Math.abs(more) < b[i]! / 2 ? Math.log1p(more / b[i]!) : Math.log(a[i]! / b[i]!)) - more;
  }
  return Math.max(0, sum);
}

/** ⟨∇(b) − ∇(a), b − a⟩, at least what a convex law at b lies above its line at a. */
function riseOfSlope(slopeA: Mixture, slopeB: Mixture, a: Mixture, b: Mixture): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (slopeB[i]! - slopeA[i]!) * (b[i]! - a[i]!);
  return sum;
}

/** argmin slope·x + kl KL(x ‖ prior) + stiffness KL(x ‖ mixture), under the caps. */
function mirrorStep(mixture: Mixture, slope: Mixture, stiffness: number, { prior, kl, caps }: Constraints) {
  const logs = mixture.map((weight, i) =>
    weight === 0
      ? Number.NEGATIVE_INFINITY
      : (kl * Math.log(prior[i]!) + stiffness * Math.log(weight) - slope[i]!) / (kl + stiffness),
  );
  const largest = Math.max(...logs);
  return capped(
    logs.map((log) => (log === Number.NEGATIVE_INFINITY ? 0 : Math.max(Math.exp(log - largest), SMALLEST))),
    caps,
  );
}

/** An upper bound of what a convex law with its price can still fall by: its line against the lowest corner's. */
function leftToGain(mixture: Mixture, slope: Mixture, constraints: Constraints): number {
  const { prior, kl } = constraints;
  const full = slope.map((value, i) => (mixture[i]! > 0 ? value + kl * Math.log(mixture[i]! / prior[i]!) : value));
  return dot(full, mixture) - dot(full, lowestCorner(full, constraints));
}

/** argmin slope·x: the domains of the lowest slopes, each to its cap. */
function lowestCorner(slope: Mixture, { prior, caps }: Constraints): Float64Array {
  const corner = new Float64Array(slope.length);
  const order = Array.from(slope.keys()).sort((i, j) => slope[i]! - slope[j]! || i - j);
  let left = 1;
  for (const i of order) {
    if (!(prior[i]! > 0)) continue;
    corner[i] = Math.min(left, caps[i]!);
    left -= corner[i]!;
  }
  return corner;
}

function isLine(law: Law, a: Mixture, b: Mixture): boolean {
  const [first, second] = [law.gradient!(a), law.gradient!(b)];
  return first.every((value, i) => value === second[i]);
}

/** What nothing would be drawn from is 0. */
function tidy(mixture: Float64Array): Float64Array {
  return mixture.map((weight) => (weight < 1e-12 ? 0 : weight));
}
