/**
 * How much of a domain is taken: whole passes, then a prefix of a seeded permutation of its units, which is an unbiased
 * sample of them, ending where it comes closest to the target. Says nothing of the order in which a training sees them.
 */
import { DoremiError } from "../../lib/errors.ts";
import { FeistelPermutation } from "../../lib/permutation.ts";
import type { CountedDomain, Units } from "./units.ts";

export interface Choice {
  /** whole passes over the domain */
  readonly passes: number;
  /** the pass after those, when the target needs part of one */
  readonly partial: PartialPass | null;
}

export interface PartialPass {
  /** units of this many first ranks of `choiceOrder` are taken */
  readonly ranks: number;
  readonly documents: number;
  readonly tokens: number;
}

/** In which order an epoch of a domain takes its units. A unit's rank in it needs nothing but seed, names and numbers. */
export function choiceOrder(seed: number, domain: string, epoch: number, units: number): FeistelPermutation {
  return new FeistelPermutation(units, seed, `select/${domain}/${epoch}`);
}

/**
 * @param target tokens, an integer ≥ 0
 * @throws DoremiError no-tokens for a target above 0 where the domain has no token to give
 */
export function chooseUnits(domain: CountedDomain, units: Units, target: number, seed: number): Choice {
  if (target === 0) return { passes: 0, partial: null };
  if (domain.tokens === 0) {
    throw new DoremiError(
      "bad-configuration",
      "no-tokens",
      `domain “${domain.name}”: cannot give ${target} tokens, it has none outside its held-out documents; ` +
        "set its weight to 0 or add data",
    );
  }
  const passes = Math.floor(target / domain.tokens);
  const rest = target - passes * domain.tokens;
  if (rest === 0) return { passes, partial: null };
  return { passes, partial: prefix(units, rest, choiceOrder(seed, domain.name, passes, units.count)) };
}

/** Ranks whose units are looked up together: memory is waited for once, not once for each. */
const BATCH = 256;

/** Units in their order until one more would not come closer. */
function prefix(units: Units, target: number, order: FeistelPermutation): PartialPass {
  const batch = new Float64Array(BATCH);
  const lengths = new Float64Array(BATCH);
  let documents = 0;
  let tokens = 0;
  for (let start = 0; start < units.count; start += BATCH) {
    const size = Math.min(BATCH, units.count - start);
    for (let i = 0; i < size; i++) batch[i] = order.at(start + i);
    for (let i = 0; i < size; i++) lengths[i] = units.tokensOf(batch[i]!);
    for (let i = 0; i < size; i++) {
      const next = tokens + lengths[i]!;
      const ends = tokens >= target || (next > target && next - target >= target - tokens);
      if (ends) return { ranks: start + i, documents, tokens };
      documents += units.documentsOf(batch[i]!);
      tokens = next;
    }
  }
  return { ranks: units.count, documents, tokens };
}
