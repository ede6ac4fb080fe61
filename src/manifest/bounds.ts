/**
 * What a domain must and may give: its least share of the budget and its epoch cap, as whole tokens, and the budgets that
 * these allow. Refuses what cannot be met, with the number that can.
 */
import type { ErrorCode } from "../lib/error-codes.ts";
import { DoremiError } from "../lib/errors.ts";
import { fillBounds } from "../mixture/allocation.ts";
import { ceilProduct, floorProduct, toCommonScale } from "../mixture/decimal.ts";

export interface BoundsRequest {
  readonly names: readonly string[];
  /** shares of tokens; of a domain between its bounds */
  readonly weights: readonly number[];
  /** without held-out documents */
  readonly availableTokens: readonly number[];
  /** most passes over a domain, may be a fraction; one for all or one each; null = no cap */
  readonly maxEpochs: number | null | readonly (number | null)[];
  /** least share of the budget by domain, whatever its weight; absent = 0 */
  readonly minShares?: readonly number[];
}

export interface Bounds {
  readonly maxEpochs: readonly (number | null)[];
  /** tokens; null = no cap */
  readonly caps: readonly (number | null)[];
  readonly minShares: readonly number[];
}

const MOST = BigInt(Number.MAX_SAFE_INTEGER);

/** ⌊maxEpochs · available⌋, at most 2^53 − 1. */
export function capTokens(maxEpochs: number, availableTokens: number): number {
  const cap = floorProduct(maxEpochs, availableTokens);
  return Number(cap < MOST ? cap : MOST);
}

/** ⌈minShare · budget⌉: the share is met, not nearly met. */
export function floorTokens(minShare: number, budget: number): number {
  return Number(ceilProduct(minShare, budget));
}

/** @throws DoremiError bad-epochs, bad-min-share, no-tokens, bad-configuration */
export function boundsOf(request: BoundsRequest): Bounds {
  const { names, availableTokens, weights } = request;
  const minShares = request.minShares ?? names.map(() => 0);
  const maxEpochs = names.map((_, i) => (isList(request.maxEpochs) ? request.maxEpochs[i]! : request.maxEpochs));
  const lists = [weights, availableTokens, minShares, ...(isList(request.maxEpochs) ? [request.maxEpochs] : [])];
  if (lists.some((list) => list.length !== names.length)) {
    throw refuse(
      "bad-configuration",
      `resample: must have one value for each of ${names.length} domains, got ${lists.map((list) => list.length)}`,
    );
  }
  for (const epochs of maxEpochs) {
    if (epochs !== null && !(Number.isFinite(epochs) && epochs > 0)) {
      throw refuse("bad-epochs", `maxEpochs: must be a number above 0, or null for no cap, got ${epochs}`);
    }
  }
  checkMinShares(names, minShares);
  for (const [i, tokens] of availableTokens.entries()) {
    if (tokens > 0 || (weights[i] === 0 && minShares[i] === 0)) continue;
    throw refuse(
      "no-tokens",
      `domain “${names[i]}”: has weight ${weights[i]}${minShares[i]! > 0 ? `, a least share of ${minShares[i]}` : ""} ` +
        "and no tokens outside its held-out documents; set its weight to 0 or add data",
    );
  }
  const caps = maxEpochs.map((most, i) => (most === null ? null : capTokens(most, availableTokens[i]!)));
  return { maxEpochs, caps, minShares };
}

/** @throws DoremiError bad-min-share */
export function checkMinShares(names: readonly string[], minShares: readonly number[]): void {
  for (const [i, share] of minShares.entries()) {
    if (Number.isFinite(share) && share >= 0 && share <= 1) continue;
    throw refuse("bad-min-share", `minShare of “${names[i]}”: must be a share from 0 to 1, got ${share}`);
  }
  const { integers, scale } = toCommonScale(minShares);
  const sum = total(integers);
  if (sum <= scale) return;
  const asked = names.filter((_, i) => minShares[i]! > 0);
  throw refuse(
    "bad-min-share",
    `minShare: must add up to at most 1, the shares of ${list(asked)} add up to ${Number(sum) / Number(scale)}; lower them`,
  );
}

/** @throws DoremiError bad-budget, floor-exceeds-cap, floors-exceed-budget, budget-exceeds-caps */
export function refuseBudgetOutsideBounds(request: BoundsRequest, budget: number): void {
  const { names, weights } = request;
  if (!Number.isSafeInteger(budget) || budget < 1) {
    throw refuse("bad-budget", `budget: must be an integer from 1 to 2^53 − 1 tokens, or "auto", got ${budget}`);
  }
  const bounds = boundsOf(request);
  const { caps, minShares, maxEpochs } = bounds;
  const floors = minShares.map((share) => floorTokens(share, budget));
  for (const [i, floor] of floors.entries()) {
    const cap = caps[i] ?? null;
    if (cap === null || floor <= cap) continue;
    const most = Math.floor((cap / budget) * 1e6) / 1e6;
    throw refuse(
      "floor-exceeds-cap",
      `minShare of “${names[i]}”: ${minShares[i]} of ${budget} tokens is ${floor}, and its cap of ${maxEpochs[i]} epochs ` +
        `allows ${cap}, a share of ${most}; lower minShare, raise maxEpochs, add data, or take a budget of at most ` +
        `${largestBudget(weights, bounds)} tokens`,
    );
  }
  const floorSum = total(floors.map(BigInt));
  if (floorSum > BigInt(budget)) {
    throw refuse(
      "floors-exceed-budget",
      `minShare: must leave whole tokens, the least shares come to ${floorSum} of ${budget} tokens when each is rounded up; lower one of them`,
    );
  }
  if (caps.some((cap, i) => cap === null && weights[i]! > 0)) return;
  const room = total(caps.map((cap, i) => BigInt(weights[i]! > 0 ? cap! : floors[i]!)));
  if (BigInt(budget) <= room) return;
  const unused = names.filter((_, i) => weights[i] === 0 && minShares[i] === 0);
  throw refuse(
    "budget-exceeds-caps",
    `budget: ${budget} tokens cannot be met within the epoch caps; the largest possible budget is ${largestBudget(weights, bounds)} tokens. ` +
      `Lower the budget, raise maxEpochs, or add data${unused.length > 0 ? ` (weight 0: ${list(unused)})` : ""}`,
  );
}

/** The largest B at which every least share is within its cap, and the domains can give B together. */
function largestBudget(weights: readonly number[], { caps, minShares }: Bounds): bigint {
  const { integers, scale } = toCommonScale(minShares);
  let largest = MOST;
  const limit = (tokens: bigint, share: bigint) => {
    const budget = share > 0n ? (tokens * scale) / share : MOST;
    if (budget < largest) largest = budget;
  };
  for (const [i, cap] of caps.entries()) if (cap !== null) limit(BigInt(cap), integers[i]!);
  if (caps.every((cap, i) => cap !== null || weights[i] === 0)) {
    const weighted = caps.map((cap, i) => (weights[i]! > 0 ? BigInt(cap!) : 0n));
    // A domain without weight gives its least share, whatever the budget is.
    limit(total(weighted), scale - total(integers.filter((_, i) => weights[i] === 0)));
  }
  return largest;
}

/**
 * The largest budget of which every domain can give its weight, raised to its least share, within its cap; exactly, and
 * the domain that stops it.
 *
 * @throws DoremiError auto-budget-needs-cap, budget-exceeds-caps
 */
export function largestUncappedBudget(
  { names, weights }: Pick<BoundsRequest, "names" | "weights">,
  { caps, minShares }: Bounds,
): { readonly budget: number; readonly domain: number } {
  const scaled = toCommonScale(weights).integers;
  const { integers: floors, scale } = toCommonScale(minShares);
  // Shares of a budget of 1: `scale` parts of it.
  const { bound, left } = fillBounds(
    scaled,
    scale,
    floors,
    caps.map(() => null),
  );
  const freeWeight = total(scaled.filter((_, i) => bound[i] === null));
  let budget: bigint | null = null;
  let domain = -1;
  for (const [i, cap] of caps.entries()) {
    const floor = bound[i] ?? null;
    const [share, whole] = floor === null ? [left * scaled[i]!, scale * freeWeight] : [floor, scale];
    if (cap === null || share === 0n) continue;
    const limit = (BigInt(cap) * whole) / share;
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
  return { budget: Number(budget < MOST ? budget : MOST), domain };
}

const total = (values: readonly bigint[]) => values.reduce((sum, value) => sum + value, 0n);

function list(names: readonly string[]): string {
  const shown = names.slice(0, 5).join(", ");
  return names.length > 5 ? `${shown} and ${names.length - 5} more` : shown;
}

function isList<T>(value: T | readonly T[]): value is readonly T[] {
  return Array.isArray(value);
}

function refuse(code: ErrorCode, message: string): DoremiError {
  return new DoremiError("bad-configuration", code, message);
}
