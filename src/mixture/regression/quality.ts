/** How well predictions agree with what was measured: rank correlation, explained variance. */

/** Spearman's ρ, ties at their mean rank; NaN where one side does not vary. */
export function spearman(a: ArrayLike<number>, b: ArrayLike<number>): number {
  return pearson(ranks(a), ranks(b));
}

export function pearson(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const [meanA, meanB] = [mean(a), mean(b)];
  let [ab, aa, bb] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    ab += (a[i]! - meanA) * (b[i]! - meanB);
    aa += (a[i]! - meanA) ** 2;
    bb += (b[i]! - meanB) ** 2;
  }
  return ab / Math.sqrt(aa * bb);
}

/** 1 − Σ (measured − predicted)² ÷ Σ (measured − mean)²; below 0 where the mean predicts better. */
export function explainedVariance(predicted: ArrayLike<number>, measured: ArrayLike<number>): number {
  const center = mean(measured);
  let [error, variance] = [0, 0];
  for (let i = 0; i < measured.length; i++) {
    error += (measured[i]! - predicted[i]!) ** 2;
    variance += (measured[i]! - center) ** 2;
  }
  return 1 - error / variance;
}

/** 1 = the smallest. */
export function ranks(values: ArrayLike<number>): Float64Array {
  const order = Array.from(values, (_, i) => i).sort((i, j) => values[i]! - values[j]! || i - j);
  const result = new Float64Array(values.length);
  for (let from = 0; from < order.length; ) {
    let to = from + 1;
    while (to < order.length && values[order[to]!] === values[order[from]!]) to++;
    for (let at = from; at < to; at++) result[order[at]!] = (from + 1 + to) / 2;
    from = to;
  }
  return result;
}

export function mean(values: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i]!;
  return sum / values.length;
}
