/** Values of command-line options. Each throws an Error that says which option is wrong and why. */

export function listOf<T extends string>(text: string, known: readonly T[], option: string): T[] {
  return text.split(",").map((name) => {
    const found = known.find((one) => one === name);
    if (found === undefined)
      throw new Error(`${option}: must be of ${known.join(", ")}; found ${JSON.stringify(name)}`);
    return found;
  });
}

export function positive(text: string, option: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new Error(`${option}: must be a whole number from 1; found ${text}`);
  return value;
}
