/**
 * Weights that still move at the end of a training, one way or to and fro: the mean over its steps, which is the result,
 * would be another one if it went on. Those of the paper settle within the first quarter.
 */
import type { DiagnosedStep, DiagnosisSettings, Finding } from "./diagnosis-contract.ts";
import { distance } from "./diagnosis-tally.ts";
import { stepSizeOf } from "./diagnosis-windows.ts";

/** The second half of the training in so many parts, a mean of each. */
const PARTS = 8;
/** Steps that a part has at least where means of them are to say anything. */
const LEAST_PART = 2;
/** Share of the weight by which the last quarter's mean may differ from that of the quarter before. */
const MOVING = 0.1;
/** Share of the weight by which the means of two parts may differ, where the weights go to and fro. */
const SWINGING = 0.2;
/** A trend of so many standard errors is none of chance: with 6 degrees of freedom, 1 in 2,400 is. */
const SURE = 7;

export class DriftCheck {
  readonly #settings: DiagnosisSettings;
  /** Σ alpha over the steps of each part */
  readonly #sums: Float64Array[]; // PARTS of [K]
  readonly #steps = new Array<number>(PARTS).fill(0);

  constructor(settings: DiagnosisSettings) {
    this.#settings = settings;
    this.#sums = Array.from({ length: PARTS }, () => new Float64Array(settings.domains.length));
  }

  add({ step, proxy }: DiagnosedStep): void {
    const part = Math.floor(((step - 1) * 2 * PARTS) / this.#settings.steps) - PARTS;
    const sums = this.#sums[part]; // none in the first half
    if (!proxy || !sums) return;
    this.#steps[part]!++;
    for (const [domain, weight] of proxy.alpha.entries()) sums[domain]! += weight;
  }

  /** Nothing of a training that was stopped before its last part, as one is whose weights have settled. */
  finish(): Finding[] {
    const { proxy, domains } = this.#settings;
    if (!proxy || proxy.objective.name === "erm" || this.#steps.some((steps) => steps < LEAST_PART)) return [];
    const parts = this.#sums.map((sums, part) => sums.map((sum) => sum / this.#steps[part]!));
    const [before, last] = [parts.slice(0, PARTS / 2), parts.slice(PARTS / 2)].map((quarter) =>
      domains.map((_, domain) => quarter.reduce((sum, mean) => sum + mean[domain]!, 0) / quarter.length),
    ) as [number[], number[]];
    const moving = this.#moving(parts, before, last);
    return moving.length > 0 ? moving : this.#swinging(parts);
  }

  #moving(parts: readonly Float64Array[], before: readonly number[], last: readonly number[]): Finding[] {
    const { domains } = this.#settings;
    const moved = distance(before, last);
    if (moved <= MOVING) return [];
    const most = furthest(before, last);
    if (trend(parts.map((mean) => mean[most]!)) < SURE) return [];
    return [
      {
        code: "weights-still-moving",
        message:
          `${Math.round(100 * moved)} % of the domain weight is elsewhere in the last quarter of the steps than in the quarter before ` +
          `(most: ${domains[most]} from ${before[most]!.toFixed(3)} to ${last[most]!.toFixed(3)}), so the mean weights are not settled; ` +
          `train more steps, or start further rounds from these weights`,
      },
    ];
  }

  /** Of objectives whose weights move step by step: those of a best response differ from part to part by chance. */
  #swinging(parts: readonly Float64Array[]): Finding[] {
    const { proxy, domains, steps } = this.#settings;
    const stepSize = proxy && stepSizeOf(proxy.objective);
    if (!stepSize) return [];
    const pairs = parts.flatMap((_, i) => parts.slice(i + 1).map((_, j) => [i, i + 1 + j] as const));
    const apart = ([i, j]: readonly [number, number]) => distance(parts[i]!, parts[j]!);
    const [i, j] = pairs.reduce((a, b) => (apart(b) > apart(a) ? b : a));
    if (apart([i, j]) <= SWINGING) return [];
    const most = furthest(parts[i]!, parts[j]!);
    const during = (part: number) =>
      `steps ${Math.ceil(((PARTS + part) * steps) / (2 * PARTS)) + 1} to ${Math.ceil(((PARTS + part + 1) * steps) / (2 * PARTS))}`;
    return [
      {
        code: "weights-swinging",
        message:
          `the weights swing: ${domains[most]} has ${parts[i]![most]!.toFixed(3)} of the domain weight in ${during(i)} and ${parts[j]![most]!.toFixed(3)} in ${during(j)}, ` +
          `so the mean weights depend on where the training ends; take a smaller ${stepSize.name} (${stepSize.value} now) or more steps`,
      },
    ];
  }
}

/** The domain whose weight differs most. */
function furthest(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const change = Array.from(a, (weight, domain) => Math.abs(weight - b[domain]!));
  return change.indexOf(Math.max(...change));
}

/** Slope of the line through equidistant values, in its standard errors; whichever way it goes. */
function trend(values: readonly number[]): number {
  const n = values.length;
  const middle = (n - 1) / 2;
  const mean = values.reduce((sum, value) => sum + value, 0) / n;
  let [xx, xy, yy] = [0, 0, 0];
  for (const [x, y] of values.entries()) {
    xx += (x - middle) ** 2;
    xy += (x - middle) * (y - mean);
    yy += (y - mean) ** 2;
  }
  const slope = xy / xx;
  const left = Math.max(0, yy - slope * xy); // squares that the line does not explain
  return Math.abs(slope) / Math.sqrt(left / (n - 2) / xx);
}
