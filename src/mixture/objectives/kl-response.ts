/** Best responses in a Kullback-Leibler ball around the uniform distribution: a softmax of the losses (Hu & Hong 2013). */

/** KL(p ‖ u) = Σ p_i ln(m p_i), nats. */
export function divergence(weights: Float64Array): number {
  const m = weights.length;
  return weights.reduce((sum, p) => (p > 0 ? sum + p * Math.log(m * p) : sum), 0);
}

/**
 * argmax Σ p_i ℓ_i − λ KL(p ‖ u) with KL(p ‖ u) ≤ κ, p on the simplex: p ∝ exp(β ℓ), β = 1 ÷ λ, or less if that lies
 * outside the ball.
 *
 * @param losses ℓ [m], m ≥ 1, finite
 * @param radius κ ≥ 0
 * @param penalty λ ≥ 0
 */
export function klResponse(losses: ArrayLike<number>, radius: number, penalty: number): Float64Array {
  const m = losses.length;
  const [least, largest] = extent(losses);
  const range = largest - least;
  if (range === 0 || radius === 0) return new Float64Array(m).fill(1 / m);
  const scaled = Float64Array.from(losses, (loss) => (loss - largest) / range); // −1..0
  const limit = range / penalty; // β of the penalty alone; Infinity without one
  const atLimit = Number.isFinite(limit) ? softmax(scaled, limit) : top(scaled);
  if (divergence(atLimit) <= radius) return atLimit;

  // KL grows with β, and no faster than β² ÷ 8 on a range of 1 (Hoeffding's lemma), which gives the lower end.
  let inside = Math.min(Math.sqrt(8 * radius), limit);
  let outside = inside;
  do {
    inside = outside;
    outside = Math.min(2 * outside, limit, Number.MAX_VALUE);
  } while (outside < Math.min(limit, Number.MAX_VALUE) && divergence(softmax(scaled, outside)) <= radius);
  for (;;) {
    const middle = inside + (outside - inside) / 2;
    if (middle <= inside || middle >= outside) return softmax(scaled, inside); // neighbours: as near as doubles get
    if (divergence(softmax(scaled, middle)) <= radius) inside = middle;
    else outside = middle;
  }
}

function softmax(scaled: Float64Array, beta: number): Float64Array {
  const powers = scaled.map((value) => Math.exp(beta * value)); // the largest is exp(0)
  const total = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / total);
}

/** Uniform over the largest. */
function top(scaled: Float64Array): Float64Array {
  const ties = scaled.reduce((count, value) => count + (value === 0 ? 1 : 0), 0);
  return scaled.map((value) => (value === 0 ? 1 / ties : 0));
}

function extent(values: ArrayLike<number>): [number, number] {
  let [least, largest] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (let i = 0; i < values.length; i++) {
    least = Math.min(least, values[i]!);
    largest = Math.max(largest, values[i]!);
  }
  return [least, largest];
}
