/**
 * Best responses in a χ² ball around the uniform distribution (Namkoong & Duchi 2017, arXiv 1610.02581, section 4; Levy
 * et al. 2020, arXiv 2010.05893): exact, by the size of the support, for losses of any sign.
 *
 * On a support of the j largest losses, of mean μ and sum of squares V = Σ (ℓ_i − μ)², the response with multiplier τ is
 * p_i = 1 ÷ j + (ℓ_i − μ) ÷ (τ m), and its χ² is (m ÷ j + V ÷ (τ² m) − 1) ÷ 2.
 */
import { byLoss } from "./capped-response.ts";

interface Support {
  readonly size: number; // j
  readonly mean: number; // μ
  readonly squares: number; // V
}

/** χ² of p from uniform: ½ mean (m p_i − 1)². */
export function chiSquare(weights: Float64Array): number {
  const m = weights.length;
  return weights.reduce((sum, p) => sum + (m * p - 1) ** 2, 0) / (2 * m);
}

/**
 * argmax Σ p_i ℓ_i − λ χ²(p) with χ²(p) ≤ ρ, p on the simplex.
 *
 * @param losses ℓ [m], m ≥ 1, finite
 * @param radius ρ ≥ 0, or Infinity
 * @param penalty λ ≥ 0
 */
export function chiSquareResponse(losses: ArrayLike<number>, radius: number, penalty: number): Float64Array {
  const m = losses.length;
  const order = byLoss(losses);
  const largest = losses[order[0]!]!;
  const range = largest - losses[order[m - 1]!]!;
  if (range === 0) return new Float64Array(m).fill(1 / m);
  const scaled = Float64Array.from(order, (i) => (losses[i]! - largest) / range); // 0 down to −1: no square overflows
  const respond = ({ size, mean }: Support, multiplier: number): Float64Array => {
    const weights = new Float64Array(m);
    for (let rank = 0; rank < size; rank++) {
      weights[order[rank]!] = Math.max(1 / size + (scaled[rank]! - mean) / (multiplier * m), 0);
    }
    return normalised(weights);
  };

  // Without the ball: τ = λ. The support is complete when the next loss would get nothing.
  const lambda = penalty / range;
  if (lambda > 0) {
    const support = leastSupport(scaled, ({ size, mean }, next) => (size * (mean - next)) / m >= lambda);
    const response = respond(support, lambda);
    if (chiSquare(response) <= radius) return response;
  } else {
    const ties = scaled.lastIndexOf(0) + 1;
    if ((m / ties - 1) / 2 <= radius) return respond({ size: ties, mean: 0, squares: 0 }, 1);
  }

  // On the ball: the χ² of the response that would give the next loss exactly nothing falls with the support's size.
  const support = leastSupport(scaled, ({ size, mean, squares }, next) => {
    const above = mean - next;
    return (m * (squares / (size * above) ** 2 + 1 / size) - 1) / 2 <= radius;
  });
  return respond(support, Math.sqrt(support.squares / (m * (2 * radius + 1 - m / support.size))));
}

/** Of the largest losses, as few as `complete` allows, given the next one; else all. */
function leastSupport(sorted: Float64Array, complete: (support: Support, next: number) => boolean): Support {
  let support: Support = { size: 0, mean: 0, squares: 0 };
  for (const [rank, value] of sorted.entries()) {
    if (rank > 0 && complete(support, value)) break;
    const size = rank + 1;
    const mean = support.mean + (value - support.mean) / size; // Welford's
    support = { size, mean, squares: support.squares + (value - support.mean) * (value - mean) };
  }
  return support;
}

/** Takes rounding out of the sum. */
function normalised(weights: Float64Array): Float64Array {
  const total = weights.reduce((a, b) => a + b, 0);
  return weights.map((weight) => weight / total);
}
