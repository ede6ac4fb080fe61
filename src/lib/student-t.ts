/**
 * Quantiles of Student's t distribution, for confidence intervals whose degrees of freedom need not be whole. By the
 * regularised incomplete beta function: P(T ≤ t) = 1 − ½ I(ν ÷ (ν + t²); ν ÷ 2, ½) for t ≥ 0.
 */

/** The t below which a share `p` of the distribution lies. @param p in (0, 1) @param freedom ν > 0 */
export function studentQuantile(p: number, freedom: number): number {
  if (!(p > 0 && p < 1)) throw new RangeError(`student: p must lie between 0 and 1, found ${p}`);
  if (!(freedom > 0)) throw new RangeError(`student: degrees of freedom must be above 0, found ${freedom}`);
  if (p < 0.5) return -studentQuantile(1 - p, freedom);
  if (p === 0.5) return 0;
  const above = 1 - p;
  let high = 1;
  while (upperTail(high, freedom) > above) high *= 2;
  let low = high === 1 ? 0 : high / 2;
  // Each halving adds a bit; it ends when no number lies between the two.
  for (;;) {
    const middle = (low + high) / 2;
    if (middle <= low || middle >= high) return middle;
    if (upperTail(middle, freedom) > above) low = middle;
    else high = middle;
  }
}

/** P(T > t), t ≥ 0 */
function upperTail(t: number, freedom: number): number {
  return incompleteBeta(freedom / (freedom + t * t), freedom / 2, 0.5) / 2;
}

/** I(x; a, b), regularised. */
function incompleteBeta(x: number, a: number, b: number): number {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  // The continued fraction converges fast below the mean; above it, the complement does.
  if (x > (a + 1) / (a + b + 2)) return 1 - incompleteBeta(1 - x, b, a);
  const front = Math.exp(logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log1p(-x));
  return (front * betaFraction(x, a, b)) / a;
}

const TINY = 1e-300;
const ENOUGH = 1e-15;
const MOST_TERMS = 10_000;

/** By Lentz's method, even and odd terms in pairs. */
function betaFraction(x: number, a: number, b: number): number {
  const away = (value: number) => (Math.abs(value) < TINY ? TINY : value); // from 0
  let c = 1;
  let d = 1 / away(1 - ((a + b) * x) / (a + 1));
  let result = d;
  for (let n = 1; n <= MOST_TERMS; n++) {
    const terms = [
      (n * (b - n) * x) / ((a + 2 * n - 1) * (a + 2 * n)),
      (-(a + n) * (a + b + n) * x) / ((a + 2 * n) * (a + 2 * n + 1)),
    ];
    let change = 1;
    for (const term of terms) {
      d = 1 / away(1 + term * d);
      c = away(1 + term / c);
      change = c * d;
      result *= change;
    }
    if (Math.abs(change - 1) < ENOUGH) return result;
  }
  throw new RangeError(`student: no convergence at x ${x}, a ${a}, b ${b}`);
}

/** Stirling's series, from where these terms of it are exact to rounding; below by Γ(x + 1) = x Γ(x). */
const STIRLING_FROM = 15;
const STIRLING = [1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360_360, 1 / 156];

/** ln Γ(x), x > 0 */
function logGamma(x: number): number {
  let shift = 0;
  let at = x;
  for (; at < STIRLING_FROM; at++) shift += Math.log(at);
  const series = STIRLING.reduceRight((sum, term) => sum / (at * at) + term, 0) / at;
  return (at - 0.5) * Math.log(at) - at + Math.log(2 * Math.PI) / 2 + series - shift;
}
