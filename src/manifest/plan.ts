/**
 * How many tokens each domain is to give: a budget divided by the weights as whole tokens, within the epoch caps.
 * Pure; chooses no documents.
 */
import { DoremiError } from "../lib/errors.ts";
import { allocateWithCaps, checkWeights } from "../mixture/allocation.ts";
import { floorProduct, toCommonScale } from "../mixture/decimal.ts";
import { WEIGHT_SUM_TOLERANCE } from "../mixture/weights.ts";

export interface ResampleRequest {
  readonly names: readonly string[];
  /** Σ = 1 */
  readonly weights: readonly number[];
  /** without held-out documents */
  readonly availableTokens: readonly number[];
  /** "auto": the most tokens at which no domain needs more epochs than it may have */
  readonly budgetTokens: number | "auto";
  /** most passes over a domain, may be a fraction; one for all or one each; null = no cap */
  readonly maxEpochs: number | null | readonly (number | null)[];
  /** when a domain would pass its cap: give what is cut off to the others (default), or refuse the budget */
  readonly onCap?: "redistribute" | "fail";
}

export interface DomainTarget {
  readonly name: string;
  readonly weight: number;
  readonly availableTokens: number;
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
}

export interface ResamplePlan {
  readonly budgetTokens: number;
  readonly domains: readonly DomainTarget[];
  /** the domain that decided an "auto" budget */
  readonly bindingDomain: string | null;
  /** what a person should know: what bound the budget, which domains were capped */
  readonly notes: readonly string[];
}

/**
 * @throws DoremiError bad-configuration: bad-weights, bad-epochs, bad-budget, no-tokens, budget-exceeds-caps (the
 * message names the largest budget that fits), auto-budget-needs-cap
 */
export function planResample(request: ResampleRequest): ResamplePlan {
  const { names, weights, availableTokens } = request;
  checkRequest(request);
  const { maxEpochs, caps } = capsOf(request);

  const notes: string[] = [];
  let budget: number;
  let bindingDomain: string | null = null;
  if (request.budgetTokens === "auto") {
    const largest = largestUncappedBudget(request, caps);
    budget = largest.budget;
    bindingDomain = names[largest.domain]!;
    notes.push(
      `budget: ${budget} tokens, the most at which no domain passes its epoch cap; ` +
        `“${bindingDomain}” binds (${availableTokens[largest.domain]} tokens, at most ${maxEpochs[largest.domain]} epochs)`,
    );
  } else {
    budget = request.budgetTokens;
    refuseBudgetAboveCaps(request, budget);
  }

  const targets = allocateWithCaps(weights, budget, caps);
  const free = caps.every((cap) => cap === null)
    ? targets
    : allocateWithCaps(
        weights,
        budget,
        names.map(() => null),
      );
  const domains = names.map((name, i): DomainTarget => {
    const targetTokens = targets[i]!;
    const capped = targetTokens === caps[i] && free[i]! > targetTokens;
    if (capped && request.onCap === "fail") throw passesCap(request, caps, i);
    if (capped) {
      notes.push(
        `“${name}”: capped at ${maxEpochs[i]} epochs, ${targetTokens} tokens instead of ${free[i]}; the rest went to the other domains`,
      );
    }
    return {
      name,
      weight: weights[i]!,
      availableTokens: availableTokens[i]!,
      maxEpochs: maxEpochs[i]!,
      capTokens: caps[i]!,
      targetTokens,
      targetWeight: targetTokens / budget,
      epochs: targetTokens === 0 ? 0 : targetTokens / availableTokens[i]!,
      capped,
    };
  });
  return { budgetTokens: budget, domains, bindingDomain, notes };
}

/** ⌊maxEpochs · available⌋, at most 2^53 − 1. */
export function capTokens(maxEpochs: number, availableTokens: number): number {
  const cap = floorProduct(maxEpochs, availableTokens);
  return cap > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : Number(cap);
}

/** The largest B with w_i·B ≤ cap_i for every domain, exactly, and the domain that stops it. */
function largestUncappedBudget({ names, weights }: ResampleRequest, caps: readonly (number | null)[]) {
  const { integers } = toCommonScale(weights);
  const sum = integers.reduce((total, weight) => total + weight, 0n);
  let budget: bigint | null = null;
  let domain = -1;
  for (const [i, cap] of caps.entries()) {
    if (cap === null || weights[i] === 0) continue;
    const limit = (BigInt(cap) * sum) / integers[i]!;
    if (budget !== null && limit >= budget) continue;
    budget = limit;
    domain = i;
  }
  if (budget === null) {
    throw refuse(
      "auto-budget-needs-cap",
      "budget: auto takes as much as the epoch caps allow, and no domain with weight has one; " +
        "set maxEpochs, or give the budget in tokens",
    );
  }
  if (budget === 0n) {
    throw refuse(
      "budget-exceeds-caps",
      `budget: auto comes to 0 tokens, because “${names[domain]}” may give only ${caps[domain]}; ` +
        "raise its epoch cap, add data, or lower its weight",
    );
  }
  const most = BigInt(Number.MAX_SAFE_INTEGER);
  return { budget: Number(budget < most ? budget : most), domain };
}

function passesCap(request: ResampleRequest, caps: readonly (number | null)[], domain: number): DoremiError {
  const { budget } = largestUncappedBudget(request, caps);
  return refuse(
    "budget-exceeds-caps",
    `budget: at ${request.budgetTokens} tokens “${request.names[domain]}” would need more than the ${caps[domain]} tokens ` +
      `that its epoch cap allows; the largest possible budget without passing a cap is ${budget} tokens. Lower the ` +
      "budget, raise maxEpochs, add data, or let the other domains take the rest (redistribute)",
  );
}

/** @throws DoremiError bad-budget; budget-exceeds-caps when the caps of the domains with weight hold less */
export function refuseBudgetAboveCaps(request: Omit<ResampleRequest, "budgetTokens" | "onCap">, budget: number): void {
  const { names, weights } = request;
  const { caps } = capsOf(request);
  if (!Number.isSafeInteger(budget) || budget < 1) {
    throw refuse("bad-budget", `budget: must be an integer from 1 to 2^53 − 1 tokens, or "auto", got ${budget}`);
  }
  if (caps.some((cap, i) => cap === null && weights[i]! > 0)) return;
  const largest = caps.reduce<bigint>((sum, cap, i) => sum + (weights[i]! > 0 ? BigInt(cap!) : 0n), 0n);
  if (BigInt(budget) <= largest) return;
  const unused = names.filter((_, i) => weights[i] === 0);
  throw refuse(
    "budget-exceeds-caps",
    `budget: ${budget} tokens cannot be met within the epoch caps; the largest possible budget is ${largest} tokens. ` +
      `Lower the budget, raise maxEpochs, or add data${unused.length > 0 ? ` (weight 0: ${unused.slice(0, 5).join(", ")})` : ""}`,
  );
}

/** By domain: passes and tokens that it may give; null = no cap. */
function capsOf({ names, availableTokens, maxEpochs }: Omit<ResampleRequest, "budgetTokens" | "onCap">) {
  const epochs = names.map((_, i) => (isList(maxEpochs) ? maxEpochs[i]! : maxEpochs));
  return {
    maxEpochs: epochs,
    caps: epochs.map((most, i) => (most === null ? null : capTokens(most, availableTokens[i]!))),
  };
}

function checkRequest({ names, weights, availableTokens, maxEpochs }: ResampleRequest): void {
  checkWeights(weights);
  const lengths = [weights.length, availableTokens.length, ...(isList(maxEpochs) ? [maxEpochs.length] : [])];
  if (lengths.some((length) => length !== names.length)) {
    throw refuse(
      "bad-configuration",
      `resample: must have one value for each of ${names.length} domains, got ${lengths}`,
    );
  }
  const sum = weights.reduce((total, weight) => total + weight, 0);
  if (Math.abs(sum - 1) > WEIGHT_SUM_TOLERANCE) {
    throw refuse("bad-weights", `weights: must add up to 1, they add up to ${sum}; normalise them first`);
  }
  for (const epochs of isList(maxEpochs) ? maxEpochs : [maxEpochs]) {
    if (epochs !== null && !(Number.isFinite(epochs) && epochs > 0)) {
      throw refuse("bad-epochs", `maxEpochs: must be a number above 0, or null for no cap, got ${epochs}`);
    }
  }
  for (const [i, tokens] of availableTokens.entries()) {
    if (weights[i]! > 0 && tokens === 0) {
      throw refuse(
        "no-tokens",
        `domain “${names[i]}”: has weight ${weights[i]} and no tokens outside its held-out documents; ` +
          "set its weight to 0 or add data",
      );
    }
  }
}

function isList<T>(value: T | readonly T[]): value is readonly T[] {
  return Array.isArray(value);
}

function refuse(code: string, message: string): DoremiError {
  return new DoremiError("bad-configuration", code, message);
}
