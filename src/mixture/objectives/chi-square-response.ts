/**
 * Best responses in a χ² ball around the uniform distribution (Duchi & Namkoong 2018, arXiv 1810.08750; Levy et al. 2020,
 * arXiv 2010.05893): p_i = max(ℓ_i − η, 0) ÷ (τ m), exact by the size of its support, for losses of any sign.
 *
 * As η falls from the largest loss to −∞, χ² falls from its largest to 0 and τ rises from 0; between two losses the support
 * is the same, the j largest, and both follow in closed form. Only quotients of like size are squared: the distances of
 * the largest losses may be any fraction of the range.
 */
import { byLoss } from "./capped-response.ts";

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
  const sorted = Float64Array.from(order, (i) => (losses[i]! - largest) / range); // 0 down to −1

  // Without the ball: τ = λ, or all on the largest.
  const lambda = penalty / range;
  const free = centred(
    sorted,
    leastSupport(sorted, ({ above }) => above / m >= lambda),
  );
  const response = weigh(free, order, lambda > 0 ? free.scale / (lambda * m) : 0);
  if (chiSquare(response) <= radius) return response;

  // On the ball: Σ p² = (2ρ + 1) ÷ m says how far the weights lean toward the larger losses.
  const squared = (2 * radius + 1) / m;
  const support = centred(
    sorted,
    leastSupport(sorted, ({ concentration }) => concentration <= squared),
  );
  const { deviations, scale } = support;
  const squares = deviations.reduce((sum, deviation) => sum + deviation * deviation, 0);
  return weigh(support, order, scale > 0 ? Math.sqrt((squared - 1 / deviations.length) / squares) : 0);
}

/** The response whose η is the loss that comes next, and that gives it exactly nothing. */
interface Breakpoint {
  /** Σ (ℓ_i − η) */
  readonly above: number;
  /** Σ p_i² = Σ (ℓ_i − η)² ÷ (Σ (ℓ_i − η))² */
  readonly concentration: number;
}

/** Size of the least support at whose end the response is `complete`: what lies behind gets nothing. Ties go together. */
function leastSupport(sorted: Float64Array, complete: (end: Breakpoint) => boolean): number {
  let above = 0;
  let concentration = 1;
  for (let size = sorted.lastIndexOf(0) + 1; size < sorted.length; size++) {
    // η moves down by a gap: each of the distances grows by it.
    const next = above + size * (sorted[size - 1]! - sorted[size]!);
    concentration = 1 / size + (concentration - 1 / size) * (above / next) ** 2;
    above = next;
    if (complete({ above, concentration })) return size;
  }
  return sorted.length;
}

interface Support {
  /** of the losses from their mean, in units of the largest of them; 0 where all are equal [j] */
  readonly deviations: Float64Array;
  readonly scale: number;
}

function centred(sorted: Float64Array, size: number): Support {
  const losses = sorted.subarray(0, size);
  const mean = losses.reduce((a, b) => a + b, 0) / size;
  const scale = losses.reduce((most, loss) => Math.max(most, Math.abs(loss - mean)), 0);
  return { deviations: losses.map((loss) => (scale > 0 ? (loss - mean) / scale : 0)), scale };
}

/** p_i = 1 ÷ j + lean · deviation_i on the support. */
function weigh({ deviations }: Support, order: readonly number[], lean: number): Float64Array {
  const shares = deviations.map((deviation) => Math.max(1 / deviations.length + lean * deviation, 0));
  const sum = shares.reduce((a, b) => a + b, 0); // 1 up to rounding
  const weights = new Float64Array(order.length);
  for (const [rank, share] of shares.entries()) weights[order[rank]!] = share / sum;
  return weights;
}
