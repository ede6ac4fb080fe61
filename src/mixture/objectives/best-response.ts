/**
 * What an adversary makes of losses inside a ball around the uniform distribution (Duchi & Namkoong 2018, arXiv
 * 1810.08750; Levy et al. 2020, arXiv 2010.05893): the worst weights, and the loss under them. Pure mathematics, of any
 * losses; src/mixture/objectives/ball.ts says of which.
 */
import type { BallSettings } from "../objective-settings.ts";
import { cappedResponse, cappedSoftmax } from "./capped-response.ts";
import { chiSquare, chiSquareResponse } from "./chi-square-response.ts";
import { divergence, klResponse } from "./kl-response.ts";

export type Ball = Pick<BallSettings, "name" | "size" | "regularization">;

export interface BestResponse {
  /** p: ≥ 0, Σ = 1; equal losses have equal weights */
  readonly weights: Float64Array; // [m]
  /** Σ p_i ℓ_i − penalty; its gradient is p */
  readonly value: number;
}

/**
 * max Σ p_i ℓ_i − penalty over the ball. Depends on differences of losses only, so that any sign will do.
 *
 * @param losses ℓ [m], m ≥ 1, finite
 */
export function bestResponse(losses: ArrayLike<number>, { name, size, regularization }: Ball): BestResponse {
  const m = losses.length;
  switch (name) {
    case "cvar": {
      const cap = Math.min(1 / (size * m), 1);
      const weights =
        regularization > 0
          ? cappedSoftmax(losses, cap, regularization)
          : cappedResponse(losses, new Float64Array(m).fill(cap));
      return { weights, value: penalised(losses, weights, regularization, divergence) };
    }
    case "chi-square": {
      const weights = chiSquareResponse(losses, size, regularization);
      return { weights, value: penalised(losses, weights, regularization, chiSquare) };
    }
    case "kl": {
      const weights = klResponse(losses, size, regularization);
      return { weights, value: penalised(losses, weights, regularization, divergence) };
    }
    default:
      return name satisfies never;
  }
}

function penalised(
  losses: ArrayLike<number>,
  weights: Float64Array,
  regularization: number,
  penalty: (weights: Float64Array) => number,
): number {
  const loss = weights.reduce((sum, weight, i) => sum + weight * losses[i]!, 0);
  return regularization > 0 ? loss - regularization * penalty(weights) : loss;
}
