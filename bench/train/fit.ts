/** The factors, none negative, of what memory is a sum of that come closest to what was measured. Pure. */
import type { MemoryTerms } from "../../src/trainer/memory.ts";

export interface Observation {
  readonly terms: MemoryTerms;
  /** bytes that need no factor */
  readonly known: number;
  /** measured */
  readonly bytes: number;
}

const ROUNDS = 20_000;

/** Least squares of the relative errors, one factor at a time. */
export function fitFactors(observations: readonly Observation[]): MemoryTerms {
  const names = Object.keys(observations[0]!.terms) as (keyof MemoryTerms)[];
  const rows = observations.map(({ terms, known, bytes }) => ({
    columns: names.map((name) => terms[name] / bytes),
    target: (bytes - known) / bytes,
  }));
  const factors = names.map(() => 0);
  for (let round = 0; round < ROUNDS; round++) {
    for (const at of names.keys()) {
      let [along, square] = [0, 0];
      for (const { columns, target } of rows) {
        const others = columns.reduce((sum, column, i) => (i === at ? sum : sum + column * factors[i]!), 0);
        along += columns[at]! * (target - others);
        square += columns[at]! ** 2;
      }
      if (square > 0) factors[at] = Math.max(0, along / square);
    }
  }
  return Object.fromEntries(names.map((name, i) => [name, factors[i]!])) as unknown as MemoryTerms;
}
