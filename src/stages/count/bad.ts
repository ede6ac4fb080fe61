/**
 * What counting finds of documents that cannot be taken as they are stored: how many of each domain, and where the first
 * of them are. Pure.
 */
import { z } from "zod";
import type { BadDocument } from "../../formats/shard.ts";
import { type DomainRule, domainOf, ruleWithin } from "../../manifest/domain-rule.ts";

const numbers = { skipped: z.int().min(0), replaced: z.int().min(0) };
const fault = { row: z.int().min(0), outcome: z.enum(["skipped", "replaced"]), code: z.string(), reason: z.string() };

/** Of a unit: by value of the domain column or path, null = none is known; and the first places. */
const unitBad = z.object({
  values: z.array(z.object({ value: z.string().nullable(), ...numbers })),
  /** row within the unit */
  places: z.array(z.object(fault)),
});

/** Of a shard. */
export const keptBad = unitBad.extend({ places: z.array(z.object({ unit: z.int().min(0), ...fault })) });

/** Of a shard, its domains decided; null = of none. `rowGroup` is null where the row, from 0, is of the whole file. */
export const shardBad = z.strictObject({
  domains: z.array(z.strictObject({ domain: z.string().nullable(), ...numbers })),
  places: z.array(z.strictObject({ rowGroup: z.int().nullable(), ...fault })),
});

/** Of the corpus. */
export const corpusBad = shardBad.extend({
  ...numbers,
  places: z.array(z.strictObject({ path: z.string(), rowGroup: z.int().nullable(), ...fault })),
});

export type UnitBad = z.output<typeof unitBad>;
export type KeptBad = z.output<typeof keptBad>;
export type ShardBad = z.output<typeof shardBad>;
export type CorpusBad = z.output<typeof corpusBad>;

/** Places that are told of a unit, a shard, the corpus; all are counted. */
const MOST_PLACES = 10;

type Counts = { skipped: number; replaced: number };

/** Sums by a key, in the order in which the keys came. */
class Sums<Key> {
  readonly #of = new Map<Key, Counts>();

  add(key: Key, { skipped, replaced }: Counts): void {
    const sum = this.#of.get(key) ?? { skipped: 0, replaced: 0 };
    this.#of.set(key, { skipped: sum.skipped + skipped, replaced: sum.replaced + replaced });
  }

  get entries(): [Key, Counts][] {
    return [...this.#of];
  }
}

export class UnitTally {
  readonly #values = new Sums<string | null>();
  readonly #places: UnitBad["places"] = [];

  readonly add = ({ row, outcome, code, reason }: BadDocument, value: string | null): void => {
    this.#values.add(value, { skipped: 0, replaced: 0, [outcome]: 1 });
    if (this.#places.length < MOST_PLACES) this.#places.push({ row, outcome, code, reason });
  };

  /** undefined where nothing was bad */
  get found(): UnitBad | undefined {
    const values = this.#values.entries.map(([value, counts]) => ({ value, ...counts }));
    return values.length === 0 ? undefined : { values, places: this.#places };
  }
}

/** @param units of a shard, in order */
export function badOfUnits(units: readonly { readonly bad?: UnitBad | undefined }[]): KeptBad | undefined {
  const values = new Sums<string | null>();
  const places: KeptBad["places"] = [];
  for (const [unit, { bad }] of units.entries()) {
    for (const { value, ...counts } of bad?.values ?? []) values.add(value, counts);
    for (const place of bad?.places ?? []) if (places.length < MOST_PLACES) places.push({ unit, ...place });
  }
  const all = values.entries.map(([value, counts]) => ({ value, ...counts }));
  return all.length === 0 ? undefined : { values: all, places };
}

/** As the rule on domains has it. @param rowGroups how many the file has: as many as units, or one of all of them */
export function badOfShard(
  { values, places }: KeptBad,
  {
    domain,
    unitRows,
    rowGroups,
  }: {
    readonly domain: string | null;
    readonly unitRows: readonly number[];
    readonly rowGroups: readonly number[];
  },
  rule: DomainRule,
): ShardBad {
  const within = ruleWithin(rule, { domain });
  const domains = new Sums<string | null>();
  for (const { value, ...counts } of values) domains.add(domainOf(within, value), counts);
  const isOneGroup = rowGroups.length !== unitRows.length || unitRows.length === 1;
  const starts = unitRows.map((_, unit) => unitRows.slice(0, unit).reduce((sum, rows) => sum + rows, 0));
  return {
    domains: domains.entries.map(([name, counts]) => ({ domain: name, ...counts })),
    places: places.map(({ unit, row, ...rest }) => ({
      rowGroup: isOneGroup ? null : unit,
      row: isOneGroup ? starts[unit]! + row : row,
      ...rest,
    })),
  };
}

export class CorpusTally {
  readonly #domains = new Sums<string | null>();
  readonly #places: CorpusBad["places"] = [];

  add({ path, bad }: { readonly path: string; readonly bad?: ShardBad | undefined }): void {
    for (const { domain, ...counts } of bad?.domains ?? []) this.#domains.add(domain, counts);
    for (const place of bad?.places ?? []) if (this.#places.length < MOST_PLACES) this.#places.push({ path, ...place });
  }

  /** undefined where nothing was bad */
  get found(): CorpusBad | undefined {
    const domains = this.#domains.entries.map(([domain, counts]) => ({ domain, ...counts }));
    if (domains.length === 0) return undefined;
    const sum = (of: keyof Counts) => domains.reduce((total, counts) => total + counts[of], 0);
    return { skipped: sum("skipped"), replaced: sum("replaced"), domains, places: this.#places };
  }
}
