/**
 * RegMix's search (Liu et al. 2024, arXiv 2407.01492): draw many mixtures around the prior from a Dirichlet distribution,
 * predict the loss of each, and average the best. It needs no slope, and averaging keeps it from a corner that one
 * prediction happens to favour.
 */
import { Rng } from "../../lib/rng.ts";
import type { Law, Mixture } from "./law.ts";
import { type Constraints, capped, checkCaps, divergence } from "./optimum.ts";

export interface SimulationSettings {
  /** mixtures to draw */
  readonly candidates: number;
  /** of which the best so many are averaged */
  readonly best: number;
  /** Σ of the Dirichlet's parameters: the higher, the nearer the candidates are to the prior */
  readonly concentration: number;
  readonly seed: number;
}

/** RegMix's own figures. */
export const SIMULATION_DEFAULTS = { candidates: 100_000, best: 100, concentration: 1 } as const;

/** @throws DoremiError caps-below-one */
export function simulatedMixture(law: Law, constraints: Constraints, settings: SimulationSettings): Float64Array {
  checkCaps(constraints);
  const candidates = drawMixtures(constraints, settings);
  return averageOfBest(candidates, price(law, constraints), settings.best);
}

/** Mean of the `best` candidates of lowest cost; ties to the earlier. */
export function averageOfBest(
  candidates: readonly Mixture[],
  cost: (mixture: Mixture) => number,
  best: number,
): Float64Array {
  const costs = Float64Array.from(candidates, cost);
  const order = Array.from(costs.keys()).sort((i, j) => costs[i]! - costs[j]! || i - j);
  const chosen = order.slice(0, best);
  const sum = new Float64Array(candidates[0]!.length);
  for (const index of chosen) for (const [i, weight] of candidates[index]!.entries()) sum[i]! += weight;
  return sum.map((weight) => weight / chosen.length);
}

function price(law: Law, { prior, kl }: Constraints): (mixture: Mixture) => number {
  return kl === 0 ? law.predict : (mixture) => law.predict(mixture) + kl * divergence(mixture, prior);
}

/** Dirichlet(concentration · prior), brought under the caps. */
export function drawMixtures(
  { prior, caps }: Pick<Constraints, "prior" | "caps">,
  { candidates, concentration, seed }: Pick<SimulationSettings, "candidates" | "concentration" | "seed">,
): Float64Array[] {
  const gamma = new LogGamma(new Rng(seed, "regression/candidates"));
  const isCapped = caps.some((cap) => cap < 1);
  return Array.from({ length: candidates }, () => {
    // In logarithms: at shape .002 most draws are far below the smallest number.
    const logs = prior.map((share) => (share > 0 ? gamma.next(concentration * share) : Number.NEGATIVE_INFINITY));
    const largest = Math.max(...logs);
    const sizes = logs.map((log) => Math.exp(log - largest));
    const sum = sizes.reduce((total, size) => total + size, 0);
    const mixture = sizes.map((size) => size / sum);
    return isCapped ? capped(positive(mixture, prior), caps) : mixture;
  });
}

/** So that what a cap cuts off finds a taker among the prior's domains. */
function positive(mixture: Mixture, prior: Mixture): Float64Array {
  return mixture.map((weight, i) => (prior[i]! > 0 ? Math.max(weight, 1e-200) : 0));
}

/** Logarithms of gamma variates of scale 1 (Marsaglia & Tsang 2000), one draw of the stream after the other. */
class LogGamma {
  readonly #rng: Rng;
  readonly #normals = new Float64Array(2);
  #draws = 0;

  constructor(rng: Rng) {
    this.#rng = rng;
  }

  next(shape: number): number {
    // Below 1 by the shape above: G(a) = G(a + 1) · U^(1/a).
    if (shape < 1) return this.next(shape + 1) + Math.log(1 - this.#uniform()) / shape;
    const d = shape - 1 / 3;
    const c = 1 / Math.sqrt(9 * d);
    for (;;) {
      this.#rng.normalPair(this.#draws++, this.#normals, 0);
      const normal = this.#normals[0]!;
      const cube = (1 + c * normal) ** 3;
      if (cube <= 0) continue;
      if (Math.log(1 - this.#uniform()) < normal * normal * 0.5 + d - d * cube + d * Math.log(cube)) {
        return Math.log(d * cube);
      }
    }
  }

  #uniform(): number {
    return this.#rng.uniform(this.#draws++);
  }
}
