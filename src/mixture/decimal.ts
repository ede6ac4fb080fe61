/**
 * Exact arithmetic on non-negative numbers as they are written in decimal: .1 is one tenth, not the nearest double.
 * Only what allocation needs: a common integer scale, and products with integers.
 */

/** mantissa · 10^exponent, mantissa ≥ 0 */
export interface Decimal {
  readonly mantissa: bigint;
  readonly exponent: number;
}

/** The shortest decimal that reads back as `value`, which is what JSON and people write. `value` is finite and ≥ 0. */
export function toDecimal(value: number): Decimal {
  const [digits = "0", power = "0"] = String(value).split("e");
  const [whole = "0", fraction = ""] = digits.split(".");
  return { mantissa: BigInt(whole + fraction), exponent: Number(power) - fraction.length };
}

/** Integers in the same proportions as `values`, and the power of ten that they were multiplied by. */
export function toCommonScale(values: readonly number[]): { readonly integers: bigint[]; readonly scale: bigint } {
  const decimals = values.map(toDecimal);
  const exponent = Math.min(0, ...decimals.map((decimal) => decimal.exponent));
  const integers = decimals.map((decimal) => decimal.mantissa * 10n ** BigInt(decimal.exponent - exponent));
  return { integers, scale: 10n ** BigInt(-exponent) };
}

/** ⌊value · count⌋, exact. */
export function floorProduct(value: number, count: number): bigint {
  const { integers, scale } = toCommonScale([value]);
  return (integers[0]! * BigInt(count)) / scale;
}

/** ⌈value · count⌉, exact. */
export function ceilProduct(value: number, count: number): bigint {
  const { integers, scale } = toCommonScale([value]);
  return (integers[0]! * BigInt(count) + scale - 1n) / scale;
}
