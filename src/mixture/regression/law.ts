/**
 * A law says what loss a model would have that is trained on a mixture. Laws are fitted on small runs: a mixture (a row of
 * weights, Σ = 1) and the loss that came of it. Their kinds are in the files beside this one.
 */

/** A mixture of K domains, in their order. */
export type Mixture = Readonly<Float64Array>;

export interface Law {
  /** loss at a mixture [K] */
  predict(mixture: Mixture): number;
  /** ∂ loss / ∂ mixture [K]; absent where the law has steps and no slope */
  gradient?(mixture: Mixture): Float64Array;
}

/** Σ weight · law: the loss that several targets are on average. Convex where the laws are, for weights ≥ 0. */
export function combineLaws(laws: readonly Law[], weights: readonly number[]): Law {
  if (laws.length === 1 && weights[0] === 1) return laws[0]!;
  const predict = (mixture: Mixture) => laws.reduce((sum, law, t) => sum + weights[t]! * law.predict(mixture), 0);
  if (laws.some((law) => law.gradient === undefined)) return { predict };
  const gradient = (mixture: Mixture) => {
    const total = new Float64Array(mixture.length);
    for (const [t, law] of laws.entries()) {
      for (const [i, slope] of law.gradient!(mixture).entries()) total[i]! += weights[t]! * slope;
    }
    return total;
  };
  return { predict, gradient };
}

export function dot(a: Mixture, b: Mixture): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}
