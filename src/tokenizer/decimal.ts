/**
 * Decimal numbers as the reference implementation's JSON reader has them: the digits as one integer, then one division
 * or multiplication by a power of ten. That rounds twice, and one in ten scores of a Unigram model with all its digits
 * is then not the nearest float64, which near ties between tokenizations depend on.
 */

const MOST = 2n ** 64n - 1n;
const LARGEST_POWER = 308;

/** @param written a number as JSON has it, of any sign */
export function decimal(written: string): number {
  const parts = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([-+]?\d+))?$/.exec(written);
  const [, sign, whole = "", fraction, exponentText] = parts ?? [];
  if (parts === null || (fraction === undefined && exponentText === undefined)) return Number(written);
  let digits = BigInt(whole);
  if (digits > MOST) return Number(written);
  let exponent = Number(exponentText ?? "0");
  for (const digit of fraction ?? "") {
    const longer = digits * 10n + BigInt(digit);
    if (longer > MOST) break; // it leaves out all further digits
    digits = longer;
    exponent--;
  }
  let value = Number(digits);
  for (; exponent < -LARGEST_POWER && value !== 0; exponent += LARGEST_POWER) value /= 1e308;
  const power = Number(`1e${Math.min(Math.abs(exponent), LARGEST_POWER)}`);
  value = exponent >= 0 ? value * power : value / power;
  return sign === "-" ? -value : value;
}
