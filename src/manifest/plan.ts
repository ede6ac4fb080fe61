/**
 * How many tokens each domain is to give: a budget divided by the weights as whole tokens, within least shares and epoch
 * caps. Pure; chooses no documents.
 */
import type { ErrorCode } from "../lib/error-codes.ts";
import { DoremiError } from "../lib/errors.ts";
import { allocate, allocateWithBounds, checkWeights } from "../mixture/allocation.ts";
import { WEIGHT_SUM_TOLERANCE } from "../mixture/weights.ts";
import {
  type Bounds,
  type BoundsRequest,
  boundsOf,
  floorTokens,
  largestUncappedBudget,
  refuseBudgetOutsideBounds,
} from "./bounds.ts";
import type { WeightUnit } from "./contract.ts";
import { tokenWeights } from "./units.ts";

export interface ResampleRequest extends BoundsRequest {
  /** Σ = 1, by `unit` */
  readonly weights: readonly number[];
  /** what weights are shares of (default: tokens) */
  readonly unit?: WeightUnit;
  /** how many of it each domain has, without held-out documents; may be absent for tokens */
  readonly units?: readonly number[];
  /** "auto": the most tokens at which no domain needs more epochs than it may have */
  readonly budgetTokens: number | "auto";
  /** when a domain would pass its cap: give what is cut off to the others (default), or refuse the budget */
  readonly onCap?: "redistribute" | "fail";
}

export interface DomainTarget {
  readonly name: string;
  /** by the plan's unit */
  readonly weight: number;
  /** of the unit that it has */
  readonly units: number;
  /** the weight as a share of tokens */
  readonly tokenWeight: number;
  readonly availableTokens: number;
  /** of the budget; 0 = none was asked for */
  readonly minShare: number;
  /** ⌈minShare · budget⌉ */
  readonly floorTokens: number;
  readonly maxEpochs: number | null;
  /** ⌊maxEpochs · available⌋; null = no cap */
  readonly capTokens: number | null;
  readonly targetTokens: number;
  /** target ÷ budget */
  readonly targetWeight: number;
  /** target ÷ available */
  readonly epochs: number;
  /** the cap, not the weight, decided the target */
  readonly capped: boolean;
  /** the least share, not the weight, decided the target */
  readonly floored: boolean;
}

export interface ResamplePlan {
  readonly unit: WeightUnit;
  readonly budgetTokens: number;
  readonly domains: readonly DomainTarget[];
  /** the domain that decided an "auto" budget */
  readonly bindingDomain: string | null;
  /** what a person should know: what bound the budget, which domains were capped or raised */
  readonly notes: readonly string[];
}

/**
 * @throws DoremiError bad-configuration: bad-weights, bad-epochs, bad-min-share, bad-budget, no-tokens, budget-exceeds-caps
 * (the message names the largest budget that fits), floor-exceeds-cap, floors-exceed-budget, auto-budget-needs-cap
 */
export function planResample(request: ResampleRequest): ResamplePlan {
  const { names, availableTokens, unit = { kind: "tokens" }, units = availableTokens } = request;
  checkRequest(request, units);
  const bounds = boundsOf(request);
  const { maxEpochs, caps, minShares } = bounds;
  const weights = tokenWeights(names, request.weights, unit, availableTokens, units);
  const byTokens = { ...request, weights };

  const notes: string[] = [];
  let budget: number;
  let bindingDomain: string | null = null;
  if (request.budgetTokens === "auto") {
    const largest = largestUncappedBudget(byTokens, bounds);
    budget = largest.budget;
    bindingDomain = names[largest.domain]!;
    notes.push(
      `budget: ${budget} tokens, the most at which no domain passes its epoch cap; ` +
        `“${bindingDomain}” binds (${availableTokens[largest.domain]} tokens, at most ${maxEpochs[largest.domain]} epochs)`,
    );
  } else {
    budget = request.budgetTokens;
  }
  refuseBudgetOutsideBounds(byTokens, budget);

  const floors = minShares.map((share) => floorTokens(share, budget));
  const targets = allocateWithBounds(weights, budget, floors, caps);
  const decisions = decisionsOf(weights, budget, floors, caps, targets);
  const domains = names.map((name, i): DomainTarget => {
    const targetTokens = targets[i]!;
    const { capped, floored, uncapped, unbound } = decisions[i]!;
    if (capped && request.onCap === "fail") throw passesCap(request, byTokens, bounds, i);
    if (capped) {
      notes.push(
        `“${name}”: capped at ${maxEpochs[i]} epochs, ${targetTokens} tokens instead of ${uncapped}; the rest went to the other domains`,
      );
    }
    if (floored) {
      notes.push(
        `“${name}”: raised to its least share of ${minShares[i]}, ${targetTokens} tokens instead of ${unbound}; the other domains gave them`,
      );
    }
    return {
      name,
      weight: request.weights[i]!,
      units: units[i]!,
      tokenWeight: weights[i]!,
      availableTokens: availableTokens[i]!,
      minShare: minShares[i]!,
      floorTokens: floors[i]!,
      maxEpochs: maxEpochs[i]!,
      capTokens: caps[i]!,
      targetTokens,
      targetWeight: targetTokens / budget,
      epochs: targetTokens === 0 ? 0 : targetTokens / availableTokens[i]!,
      capped,
      floored,
    };
  });
  return { unit, budgetTokens: budget, domains, bindingDomain, notes };
}

/** What stands where the weight alone would not have put a target. */
export interface TargetDecision {
  /** the cap decided: without caps the domain would get `uncapped` */
  readonly capped: boolean;
  /** the least share did: without any bounds it would get `unbound` */
  readonly floored: boolean;
  readonly uncapped: number;
  readonly unbound: number;
}

/** A target that equals a bound by chance is not decided by it. @param weights by tokens @throws as allocateWithBounds */
export function decisionsOf(
  weights: readonly number[],
  budgetTokens: number,
  floors: readonly number[],
  caps: readonly (number | null)[],
  targets: readonly number[],
): TargetDecision[] {
  const uncapped = allocateWithBounds(
    weights,
    budgetTokens,
    floors,
    weights.map(() => null),
  );
  const unbound = allocate(weights, budgetTokens);
  return targets.map((target, i) => ({
    capped: target === caps[i] && uncapped[i]! > target,
    floored: target === floors[i] && unbound[i]! < target,
    uncapped: uncapped[i]!,
    unbound: unbound[i]!,
  }));
}

function passesCap(
  { budgetTokens }: ResampleRequest,
  byTokens: BoundsRequest,
  bounds: Bounds,
  domain: number,
): DoremiError {
  const { budget } = largestUncappedBudget(byTokens, bounds);
  return refuse(
    "budget-exceeds-caps",
    `budget: at ${budgetTokens} tokens “${byTokens.names[domain]}” would need more than the ${bounds.caps[domain]} tokens ` +
      `that its epoch cap allows; the largest possible budget without passing a cap is ${budget} tokens. Lower the ` +
      "budget, raise maxEpochs, add data, or let the other domains take the rest (redistribute)",
  );
}

function checkRequest({ names, weights, unit }: ResampleRequest, units: readonly number[]): void {
  checkWeights(weights);
  const sum = weights.reduce((total, weight) => total + weight, 0);
  if (Math.abs(sum - 1) > WEIGHT_SUM_TOLERANCE) {
    throw refuse("bad-weights", `weights: must add up to 1, they add up to ${sum}; normalise them first`);
  }
  if (units.length !== names.length) {
    throw refuse(
      "bad-configuration",
      `resample: must have one number of ${unit?.kind ?? "tokens"} for each of ${names.length} domains, got ${units.length}`,
    );
  }
}

function refuse(code: ErrorCode, message: string): DoremiError {
  return new DoremiError("bad-configuration", code, message);
}
