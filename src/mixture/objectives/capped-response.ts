/**
 * Best responses under caps: the weights of conditional value at risk (CVaR), where no item's weight may exceed its cap.
 * Over equal caps of 1 ÷ (α · m) it is the CVaR ball; over shares of the data ÷ α, topic CVaR and Group DRO's greedy one.
 */

/** Indices by loss, the largest first; equal ones by index. */
export function byLoss(losses: ArrayLike<number>): number[] {
  return Array.from({ length: losses.length }, (_, i) => i).sort((a, b) => losses[b]! - losses[a]! || a - b);
}

/**
 * argmax Σ p_i ℓ_i with 0 ≤ p_i ≤ cap_i, Σ p = 1: the largest losses get all that they may have. Equal losses that don't
 * fit whole get what is left in proportion to their caps, so that the answer doesn't depend on the order.
 *
 * @param losses ℓ [m], m ≥ 1
 * @param caps [m], ≥ 0, Σ ≥ 1 up to rounding
 */
export function cappedResponse(losses: ArrayLike<number>, caps: ArrayLike<number>): Float64Array {
  const order = byLoss(losses);
  const weights = new Float64Array(order.length);
  let left = 1;
  for (let from = 0, to = 0; from < order.length && left > 0; from = to) {
    let room = 0; // caps of all that tie with order[from]
    for (to = from; to < order.length && losses[order[to]!] === losses[order[from]!]; to++) room += caps[order[to]!]!;
    const share = room <= left && to < order.length ? 1 : left / room; // the last get what is left: rounding's too
    for (const i of order.slice(from, to)) weights[i] = room > 0 ? caps[i]! * share : 0;
    left -= room * share;
  }
  return weights;
}

/**
 * argmax Σ p_i ℓ_i − τ KL(p ‖ u) with 0 ≤ p_i ≤ cap, Σ p = 1: p_i = min(cap, c · exp(ℓ_i ÷ τ)). The largest j are at the
 * cap, the others share the rest as a softmax, with the least j for which none of them exceeds it.
 *
 * @param losses ℓ [m], m ≥ 1
 * @param cap ≥ 1 ÷ m up to rounding
 * @param temperature τ > 0
 */
export function cappedSoftmax(losses: ArrayLike<number>, cap: number, temperature: number): Float64Array {
  const order = byLoss(losses);
  const m = order.length;
  const relative = (i: number, to: number): number =>
    Math.exp((losses[order[i]!]! - losses[order[to]!]!) / temperature); // of i after to: ≤ 1
  const rest = new Float64Array(m); // Σ_{i ≥ j} exp((ℓ_i − ℓ_j) ÷ τ) by rank j: from the end, so that nothing overflows
  rest[m - 1] = 1;
  for (let j = m - 2; j >= 0; j--) rest[j] = 1 + rest[j + 1]! * relative(j + 1, j);
  let capped = 0; // j
  while (capped < m - 1 && (1 - capped * cap) / rest[capped]! > cap) capped++;
  const weights = new Float64Array(m);
  for (const [rank, i] of order.entries()) {
    weights[i] = rank < capped ? cap : ((1 - capped * cap) / rest[capped]!) * relative(rank, capped);
  }
  return weights;
}
