/** What steps in a row add up to, as far as a diagnosis asks. K domains. */
import type { DomainStatistics } from "../mixture/objective.ts";
import type { DiagnosedStep } from "./diagnosis-contract.ts";

const SUMS = ["tokens", "loss", "excess", "clipped"] as const;

export class Tally {
  steps = 0;
  firstStep = 0;
  lastStep = 0;
  /** Σ over tokens of each domain; of a proxy */
  readonly domains: DomainStatistics; // [K]
  #loss = 0;
  #lossSquares = 0;
  readonly #alpha: Float64Array; // [K]
  /** Σ over steps of the weight that moved */
  #moved = 0;
  #lastAlpha: ArrayLike<number> | undefined;

  /** @param alpha weights before the first of its steps; none where there are none or they are not known */
  constructor(domains: number, alpha?: ArrayLike<number>) {
    const zeros = () => new Float64Array(domains);
    this.domains = { tokens: zeros(), loss: zeros(), excess: zeros(), clipped: zeros() };
    this.#alpha = zeros();
    this.#lastAlpha = alpha;
  }

  add({ step, loss, proxy }: DiagnosedStep): void {
    if (this.steps === 0) this.firstStep = step;
    this.lastStep = step;
    this.steps++;
    this.#loss += loss;
    this.#lossSquares += loss ** 2;
    if (!proxy) return;
    const { domains, alpha } = proxy;
    if (this.#lastAlpha) this.#moved += distance(this.#lastAlpha, alpha);
    this.#lastAlpha = alpha;
    for (const domain of alpha.keys()) {
      const tokens = domains.tokens[domain]!;
      this.#alpha[domain]! += alpha[domain]!;
      for (const name of SUMS)
        this.domains[name][domain]! += name === "tokens" ? tokens : domains[name][domain]! * tokens;
    }
  }

  /** An empty one for the steps after these. */
  next(): Tally {
    return new Tally(this.#alpha.length, this.#lastAlpha);
  }

  /** These steps and those of `other`, which come after them. */
  with(other: Tally): Tally {
    if (this.steps === 0) return other;
    const both = new Tally(this.#alpha.length, other.#lastAlpha);
    both.steps = this.steps + other.steps;
    both.firstStep = this.firstStep;
    both.lastStep = other.steps === 0 ? this.lastStep : other.lastStep;
    both.#loss = this.#loss + other.#loss;
    both.#lossSquares = this.#lossSquares + other.#lossSquares;
    both.#moved = this.#moved + other.#moved;
    for (const domain of this.#alpha.keys()) {
      both.#alpha[domain] = this.#alpha[domain]! + other.#alpha[domain]!;
      for (const name of SUMS) both.domains[name][domain] = this.domains[name][domain]! + other.domains[name][domain]!;
    }
    return both;
  }

  get meanLoss(): number {
    return this.#loss / this.steps;
  }

  /** Variance of the mean loss, as far as steps do not depend on each other. */
  get lossVariance(): number {
    return Math.max(0, this.#lossSquares / this.steps - this.meanLoss ** 2) / this.steps;
  }

  /** Mean domain weights. */
  get meanAlpha(): Float64Array {
    return this.#alpha.map((sum) => sum / this.steps); // [K]
  }

  /** Share of all weight that a step moves from some domains to others, on average. */
  get movedPerStep(): number {
    return this.#moved / this.steps;
  }
}

/** Total variation: the share of the weight that is elsewhere, 0 to 1. */
export function distance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += Math.abs(a[i]! - b[i]!);
  return sum / 2;
}
