/** What each granularity, order and shuffle promises, over corpora of all kinds, against a straight reading of the rules. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FeistelPermutation } from "../../src/lib/permutation.ts";
import type { Granularity, HeldOutRule, SelectionOrder, SelectionRow, Shuffle } from "../../src/manifest/contract.ts";
import { indexDocuments } from "../../src/manifest/document-index.ts";
import { heldOutMask } from "../../src/manifest/held-out.ts";
import { type SelectionSettings, selectDocuments } from "../../src/manifest/select.ts";
import { countsFrom } from "./corpus.ts";

type Shards = readonly (readonly [domain: number, tokens: number][])[];

const NAMES = ["a", "b", "c"];
const GROUP_ROWS = 32; // of countsFrom
const RANK: Record<Shuffle, number> = { document: 0, "row-group": 1, shard: 2, none: 3 };

interface Place {
  readonly shard: number;
  readonly row: number;
  readonly tokens: number;
  readonly heldOut: boolean;
}

/** All documents of a domain, in the order of files and rows. */
function documentsOf(shards: Shards, domain: number, rule: HeldOutRule, seed: number): Place[] {
  const all = shards.flatMap((rows, shard) =>
    rows.flatMap(([d, tokens], row) => (d === domain ? [{ shard, row, tokens }] : [])),
  );
  const mask = heldOutMask(rule, seed, NAMES[domain]!, all.length);
  return all.map((place, i) => ({ ...place, heldOut: mask[i] === 1 }));
}

function unitKey({ shard, row }: Place, kind: Shuffle, ordinal: number): string {
  if (kind === "document") return String(ordinal);
  if (kind === "row-group") return `${shard}/${Math.floor(row / GROUP_ROWS)}`;
  return kind === "shard" ? String(shard) : "all";
}

/** Units as lists of ordinals, in the order in which they come. */
function cut(places: readonly Place[], kind: Shuffle): number[][] {
  const units = new Map<string, number[]>();
  for (const [ordinal, place] of places.entries()) {
    const key = unitKey(place, kind, ordinal);
    units.set(key, [...(units.get(key) ?? []), ordinal]);
  }
  return [...units.values()];
}

/** Ordinals of each epoch of a domain in order, as contract and comments have it. */
function epochsOf(
  places: readonly Place[],
  target: number,
  name: string,
  seed: number,
  { granularity, shuffle }: SelectionSettings,
): number[][] {
  const available = places.reduce((sum, { tokens, heldOut }) => sum + (heldOut ? 0 : tokens), 0);
  if (target === 0 || available === 0) return [];
  const units = cut(places, granularity);
  const tokensOf = (unit: readonly number[]) =>
    unit.reduce((sum, i) => sum + (places[i]!.heldOut ? 0 : places[i]!.tokens), 0);
  const passes = Math.floor(target / available);
  const epochs: number[][] = [];
  for (let epoch = 0; epoch <= passes; epoch++) {
    const choice = new FeistelPermutation(units.length, seed, `select/${name}/${epoch}`);
    let order = units.map((_, rank) => units[choice.at(rank)]!);
    if (epoch === passes) {
      const rest = target - passes * available;
      let best = 0;
      let tokens = 0;
      // the prefix that comes closest; of two that are as close, the shorter
      let distance = rest;
      for (const [i, unit] of order.entries()) {
        tokens += tokensOf(unit);
        if (Math.abs(tokens - rest) < distance || (tokens <= rest && tokens - tokensOf(unit) < rest)) {
          best = i + 1;
          distance = Math.abs(tokens - rest);
        }
        if (tokens >= rest) break;
      }
      order = rest === 0 ? [] : order.slice(0, best);
    }
    if (shuffle !== granularity) {
      const chosen = new Set(order.flat());
      const moved = cut(places, shuffle);
      const shuffled =
        shuffle === "none" ? null : new FeistelPermutation(moved.length, seed, `shuffle/${name}/${epoch}`);
      order = moved.map((unit, rank) => (shuffled ? moved[shuffled.at(rank)]! : unit).filter((i) => chosen.has(i)));
    }
    epochs.push(order.flat().filter((i) => !places[i]!.heldOut));
  }
  return epochs;
}

/** Documents of the rows, one by one. */
const listed = (rows: Iterable<SelectionRow>) =>
  [...rows].flatMap(({ file, rowStart, rowEnd, domain, epoch }) =>
    Array.from({ length: rowEnd - rowStart }, (_, i) => `${domain} ${epoch} ${file} ${rowStart + i}`),
  );

const corpus: fc.Arbitrary<Shards> = fc.array(
  fc.array(
    fc.tuple(
      fc.integer({ min: -1, max: 2 }),
      fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 60 }), fc.integer({ min: 1, max: 5000 })),
    ),
    { maxLength: 100 },
  ),
  { minLength: 1, maxLength: 4 },
);
const heldOut: fc.Arbitrary<HeldOutRule> = fc.constantFrom(
  { kind: "none" },
  { kind: "fraction", fraction: 0.15, minDocuments: 1 },
);
const epochs = fc.array(fc.double({ min: 0, max: 2.6, noNaN: true }), { minLength: 3, maxLength: 3 });

const GRANULARITIES: readonly Granularity[] = ["document", "row-group", "shard"];
const SHUFFLES: readonly Shuffle[] = ["document", "row-group", "shard", "none"];
const COMBINATIONS = GRANULARITIES.flatMap((granularity) =>
  SHUFFLES.map((shuffle): [Granularity, Shuffle] => [granularity, shuffle]),
);

describe.each(COMBINATIONS)("granularity %s, shuffle %s", (granularity, shuffle) => {
  const settings = (order: SelectionOrder): SelectionSettings => ({ granularity, order, shuffle });

  it("gives the documents that the rules say, in their order; mixed, each domain's the same", async () => {
    await fc.assert(
      fc.asyncProperty(corpus, heldOut, epochs, fc.nat(1000), async (shards, rule, wanted, seed) => {
        const index = await indexDocuments({ counts: countsFrom(shards), domains: NAMES, heldOut: rule, seed });
        const targets = index.domains.map((domain, i) => Math.floor(domain.tokens * wanted[i]!));
        const plain = selectDocuments(index, targets, seed, settings("domain"));
        const expected = NAMES.map((name, d) => {
          const places = documentsOf(shards, d, rule, seed);
          return epochsOf(places, targets[d]!, name, seed, settings("domain")).flatMap((ordinals, epoch) =>
            ordinals.map((i) => `${name} ${epoch} s${places[i]!.shard}.jsonl ${places[i]!.row}`),
          );
        });
        expect(listed(plain.rows())).toEqual(expected.flat());
        const mixed = listed(selectDocuments(index, targets, seed, settings("mixed")).rows());
        for (const [d, name] of NAMES.entries()) {
          expect(mixed.filter((document) => document.startsWith(`${name} `))).toEqual(expected[d]);
        }
        expect(plain.domains.map((domain) => domain.selectedDocuments)).toEqual(expected.map((list) => list.length));
      }),
      { numRuns: 25 },
    );
  });

  it("comes within half a unit of the target, and holds prefixes of the mixed order in proportion", async () => {
    await fc.assert(
      fc.asyncProperty(corpus, heldOut, epochs, fc.nat(1000), async (shards, rule, wanted, seed) => {
        const index = await indexDocuments({ counts: countsFrom(shards), domains: NAMES, heldOut: rule, seed });
        const targets = index.domains.map((domain, i) => Math.floor(domain.tokens * wanted[i]!));
        const selection = selectDocuments(index, targets, seed, settings("mixed"));
        const longest = (kind: Shuffle) =>
          NAMES.map((_, d) => {
            const places = documentsOf(shards, d, rule, seed);
            const sums = cut(places, kind).map((unit) =>
              unit.reduce((sum, i) => sum + (places[i]!.heldOut ? 0 : places[i]!.tokens), 0),
            );
            return Math.max(0, ...sums);
          });
        const units = longest(granularity);
        for (const [d, { achievedTokens }] of selection.domains.entries()) {
          expect(2 * Math.abs(achievedTokens - targets[d]!)).toBeLessThanOrEqual(units[d]!);
        }
        const piece = Math.max(...longest(RANK[shuffle] < RANK[granularity] ? shuffle : granularity));
        const total = selection.domains.reduce((sum, domain) => sum + domain.achievedTokens, 0);
        const given = [0, 0, 0];
        let tokens = 0;
        for (const row of selection.rows()) {
          given[NAMES.indexOf(row.domain)]! += row.tokens;
          tokens += row.tokens;
          // rows may end inside a piece, which holds out no more than itself
          for (const [d, { achievedTokens }] of selection.domains.entries()) {
            const share = total === 0 ? 0 : achievedTokens / total;
            expect(Math.abs(given[d]! - share * tokens)).toBeLessThanOrEqual(piece * 2 + 1e-6);
          }
        }
        expect(given).toEqual(selection.domains.map((domain) => domain.achievedTokens));
      }),
      { numRuns: 25 },
    );
  });
});
