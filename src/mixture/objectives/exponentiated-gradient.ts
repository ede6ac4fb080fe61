/**
 * The multiplicative update that DoReMi and Group DRO share: one step of exponentiated gradient ascent on the simplex.
 */

/**
 * w_i ∝ w_i · exp(η · g_i) among the domains that take part, which share the mass they had; the others keep theirs.
 * In the log domain, shifted by the largest exponent, so that nothing overflows and a weight of 0 stays one.
 *
 * @param weights [K], ≥ 0; left as it is
 * @param gains g [K], finite
 * @param takesPart all of them where absent
 */
export function exponentiatedGradient(
  weights: Float64Array,
  gains: ArrayLike<number>,
  eta: number,
  takesPart: (domain: number) => boolean = () => true,
): Float64Array {
  const exponents = weights.map((weight, i) =>
    takesPart(i) ? Math.log(weight) + eta * gains[i]! : Number.NEGATIVE_INFINITY,
  );
  const largest = exponents.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  if (largest === Number.NEGATIVE_INFINITY) return weights.slice(); // none takes part, or none has any mass
  const moved = exponents.map((exponent) => Math.exp(exponent - largest));
  const total = moved.reduce((a, b) => a + b, 0);
  let mass = 0;
  for (const [i, weight] of weights.entries()) if (takesPart(i)) mass += weight;
  return weights.map((weight, i) => (takesPart(i) ? mass * (moved[i]! / total) : weight));
}
