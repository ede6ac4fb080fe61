/** Sampled counts: do the intervals hold? Asked of many samples of a corpus whose totals are known. */
import { describe, expect, it } from "vitest";
import { estimate, type Range, studentQuantile } from "../../../src/stages/estimate/estimator.ts";
import { planSample } from "../../../src/stages/estimate/sample.ts";
import { DOMAINS, type MadeUpCorpus, makeCorpus, TOKENIZERS } from "./made-up-corpus.ts";

const PLACES = DOMAINS * TOKENIZERS;
const RANGES: Range[] = [
  ...new Array<Range>(PLACES).fill("positive"),
  ...new Array<Range>(PLACES).fill("share"),
  ...new Array<Range>(DOMAINS).fill("any"),
];

/** Tokens, shares, and the differences of the second tokenizer's shares from the first's. */
function figures(totals: Float64Array): Float64Array {
  const found = new Float64Array(RANGES.length);
  found.set(totals);
  for (let t = 0; t < TOKENIZERS; t++) {
    let all = 0;
    for (let d = 0; d < DOMAINS; d++) all += totals[d * TOKENIZERS + t]!;
    for (let d = 0; d < DOMAINS; d++) found[PLACES + d * TOKENIZERS + t] = totals[d * TOKENIZERS + t]! / all;
  }
  for (let d = 0; d < DOMAINS; d++)
    found[2 * PLACES + d] = found[PLACES + d * TOKENIZERS + 1]! - found[PLACES + d * TOKENIZERS]!;
  return found;
}

function truthOf({ tokens }: MadeUpCorpus): Float64Array {
  const totals = new Float64Array(PLACES);
  for (const unit of tokens.flat()) for (let p = 0; p < PLACES; p++) totals[p]! += unit[p]!;
  return figures(totals);
}

function sampled({ shards, tokens }: MadeUpCorpus, fraction: number, seed: number) {
  const strata = planSample(shards, fraction, seed).map(({ group, units, size, chosen }) => ({
    group,
    units,
    size,
    observed: chosen.map((unit) => ({ size: unit.size, counts: tokens[unit.shard]![unit.unit]! })),
  }));
  return estimate(strata, PLACES, figures, RANGES);
}

describe("intervals of a sampled count", () => {
  it.each([
    ["whose paths name the domains", false, 0.1],
    ["whose paths name the domains, of which a third is read", false, 0.3],
    ["whose rows name the domains", true, 0.1],
    ["whose rows name the domains, of which the least is read", true, 0.001],
  ])("hold in 95 of 100 samples of a corpus %s", (_what, mixed, fraction) => {
    const corpus = makeCorpus(mixed);
    const truth = truthOf(corpus);
    const SAMPLES = 600;
    const held = new Float64Array(RANGES.length);
    for (let seed = 0; seed < SAMPLES; seed++) {
      for (const [f, { low, high }] of sampled(corpus, fraction, seed).entries())
        if (low <= truth[f]! && truth[f]! <= high) held[f]!++;
    }
    const coverage = Array.from(held, (count) => count / SAMPLES);
    expect(Math.min(...coverage)).toBeGreaterThanOrEqual(0.92);
    expect(Math.max(...coverage)).toBeLessThanOrEqual(0.98);
  });

  it("are as narrow as a larger sample makes them, and none of what was read whole", () => {
    const corpus = makeCorpus(false);
    const truth = truthOf(corpus);
    const width = (fraction: number) =>
      Array.from({ length: 40 }, (_, seed) => sampled(corpus, fraction, seed)[PLACES]!).reduce(
        (sum, { low, high }) => sum + (high - low) / 40,
        0,
      );
    // Four times the units, and of them four tenths of the corpus: less than half the spread.
    expect(width(0.4)).toBeLessThan(width(0.1) / 2);
    for (const [f, { estimate: value, low, high }] of sampled(corpus, 1, 1).entries()) {
      expect([low, high]).toEqual([value, value]);
      expect(value).toBeCloseTo(truth[f]!, truth[f]! > 1000 ? 0 : 9);
    }
  });

  it("are of figures without bias: their mean over samples is the truth", () => {
    const corpus = makeCorpus(true);
    const truth = truthOf(corpus);
    const SAMPLES = 400;
    const mean = new Float64Array(RANGES.length);
    const square = new Float64Array(RANGES.length);
    for (let seed = 0; seed < SAMPLES; seed++) {
      for (const [f, { estimate: value }] of sampled(corpus, 0.1, seed).entries()) {
        mean[f]! += value / SAMPLES;
        square[f]! += (value - truth[f]!) ** 2 / SAMPLES;
      }
    }
    // A ratio's bias is small beside its spread; the mean of so many samples strays by a twentieth of that itself.
    for (const [f, value] of mean.entries())
      expect(Math.abs(value - truth[f]!)).toBeLessThan(0.2 * Math.sqrt(square[f]!));
  });

  it("take the quantiles of Student's distribution", () => {
    // R: qt(0.975, df)
    for (const [freedom, quantile] of [
      [3, 3.182446],
      [4, 2.776445],
      [7.5, 2.333],
      [19, 2.093024],
      [100, 1.983972],
      [Number.POSITIVE_INFINITY, 1.959964],
    ] as const)
      expect(studentQuantile(freedom) / quantile).toBeCloseTo(1, 2);
  });
});

describe("a sample", () => {
  const { shards } = makeCorpus(false);

  it("is the seed's, without a unit twice, of every domain, and of each large shard by itself", () => {
    const strata = planSample(shards, 0.2, 3);
    expect(planSample(shards, 0.2, 3)).toEqual(strata);
    expect(planSample(shards, 0.2, 4)).not.toEqual(strata);
    const chosen = strata.flatMap((stratum) => stratum.chosen.map(({ shard, unit }) => `${shard}/${unit}`));
    expect(new Set(chosen).size).toBe(chosen.length);
    const units = shards.reduce((sum, shard) => sum + shard.layout.units.length, 0);
    expect(strata.reduce((sum, stratum) => sum + stratum.units, 0)).toBe(units);
    expect(chosen.length).toBeGreaterThanOrEqual(units * 0.2);
    expect(chosen.length).toBeLessThan(units * 0.25);
    for (const shard of [40, 41, 42])
      expect(chosen.filter((key) => key.startsWith(`${shard}/`)).length).toBeGreaterThan(20);
  });

  it("leaves held-out shards out", () => {
    const heldOut = shards.map((shard, i) => ({ ...shard, split: i < 40 ? ("held-out" as const) : shard.split }));
    const chosen = planSample(heldOut, 0.5, 1).flatMap((stratum) => stratum.chosen);
    expect(Math.min(...chosen.map((unit) => unit.shard))).toBeGreaterThanOrEqual(40);
  });
});
