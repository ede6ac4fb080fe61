/**
 * Which units a sampled count reads: a random sample without replacement from every stratum. The strata are the shards
 * that have many units, and for the rest the domains as far as paths say them; units far larger than the others are
 * all read. Pure.
 */
import { Rng } from "../../lib/rng.ts";
import type { DiscoveredShard } from "../discover/contract.ts";

/**
 * Units that are read of a stratum at least, or all that it has: with fewer, the intervals would not hold. More where
 * units mix domains, because one of them may be rare in most.
 */
const LEAST_UNITS = 20;
const LEAST_MIXED_UNITS = 60;

export interface SampleUnit {
  readonly shard: number;
  readonly unit: number;
  /** stored bytes of what is read of it: known of all units, and nearly proportional to their tokens */
  readonly size: number;
}

export interface SampleStratum {
  /** strata of one group are estimated by one ratio of tokens to size */
  readonly group: number;
  /** units that it has */
  readonly units: number;
  readonly size: number;
  /** those to read, in the order of the shards */
  readonly chosen: readonly SampleUnit[];
}

/** @param fraction of the units, in (0, 1] */
export function planSample(
  shards: readonly Pick<DiscoveredShard, "domain" | "split" | "layout">[],
  fraction: number,
  seed: number,
): SampleStratum[] {
  const leastOf = (domain: string | null) => (domain === null ? LEAST_MIXED_UNITS : LEAST_UNITS);
  const groups = new Map<string | null, SampleUnit[][]>(); // the first stratum of each is of small shards
  for (const [shard, { domain, split, layout }] of shards.entries()) {
    if (split !== "train") continue;
    const units = layout.units.map(({ storedBytes }, unit) => ({ shard, unit, size: storedBytes }));
    let strata = groups.get(domain);
    if (!strata) {
      strata = [[]];
      groups.set(domain, strata);
    }
    if (units.length * fraction >= leastOf(domain)) strata.push(units);
    else strata[0]!.push(...units);
  }
  return [...groups].flatMap(([domain, strata], group) =>
    strata.flatMap((units, index) => {
      const least = leastOf(domain);
      const wanted = Math.max(least, Math.ceil(fraction * units.length));
      const [large, others] = parted(units, wanted);
      const rng = new Rng(seed, `estimate/${group}/${index}`);
      return [
        stratumOf(group, large, large.length, rng),
        stratumOf(group, others, Math.max(least, wanted - large.length), rng),
      ].filter((stratum) => stratum.units > 0);
    }),
  );
}

/** Units so large that each alone has the share of one drawn unit are read for certain: missing one would tell. */
function parted(units: readonly SampleUnit[], wanted: number): [SampleUnit[], SampleUnit[]] {
  const size = units.reduce((sum, unit) => sum + unit.size, 0);
  const isLarge = (unit: SampleUnit) => unit.size * wanted >= size;
  return [units.filter(isLarge), units.filter((unit) => !isLarge(unit))];
}

function stratumOf(group: number, units: readonly SampleUnit[], wanted: number, rng: Rng): SampleStratum {
  const order = rng.permutation(units.length);
  const count = Math.min(units.length, wanted);
  const places = Array.from({ length: count }, (_, i) => order.at(i)).sort((a, b) => a - b);
  return {
    group,
    units: units.length,
    size: units.reduce((sum, unit) => sum + unit.size, 0),
    chosen: places.map((place) => units[place]!),
  };
}
