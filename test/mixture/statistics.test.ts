/** Intervals against an analysis of variance of NumPy's, and by what they promise: 95 of 100 hold the true value. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { Rng } from "../../src/lib/rng.ts";
import { estimate, type Part } from "../../src/mixture/statistics.ts";

interface Case {
  readonly values: number[][];
  readonly mean: number;
  readonly low: number;
  readonly high: number;
  readonly seeds: number;
  readonly documents: number;
}
const cases = JSON.parse(readFileSync(new URL("../files/statistics/crossed.json", import.meta.url), "utf8")) as Case[];

const equal = (values: readonly ArrayLike<number>[], share = 1): Part => ({
  values,
  sizes: new Float64Array(values[0]!.length).fill(7),
  share,
});

describe("estimate", () => {
  it.each(cases.map((known, i) => [i, known] as const))("is the analysis of variance, table %d", (_, known) => {
    const found = estimate([equal(known.values)]);
    expect(found.mean).toBeCloseTo(known.mean, 12);
    expect(found.interval!.low).toBeCloseTo(known.low, 9);
    expect(found.interval!.high).toBeCloseTo(known.high, 9);
    expect(found.variance.seeds).toBeCloseTo(known.seeds, 12);
    expect(found.variance.documents).toBeCloseTo(known.documents, 12);
  });

  it("weighs documents by their tokens, and parts by their share", () => {
    const parts: Part[] = [
      { values: [[1, 4]], sizes: [3, 1], share: 0.5 },
      { values: [[10, 20]], sizes: [1, 1], share: -2 },
    ];
    expect(estimate(parts).mean).toBeCloseTo(0.5 * 1.75 - 2 * 15, 12);
  });

  it("knows of documents alone with one seed, of seeds alone with one document, and of nothing with one of each", () => {
    const one = estimate([equal([[1, 2, 4]])]);
    expect(one.variance).toEqual({ seeds: null, documents: expect.any(Number) });
    // a mean of three values: t of two degrees of freedom
    const deviation = Math.sqrt((16 / 9 + 1 / 9 + 25 / 9) / 2 / 3);
    expect(one.interval!.high - one.mean).toBeCloseTo(4.302652729911275 * deviation, 9);
    const single = estimate([equal([[1], [2], [4]])]);
    expect(single.variance).toEqual({ seeds: expect.any(Number), documents: null });
    expect(single.interval!.low).toBeCloseTo(one.interval!.low, 12);
    expect(single.interval!.high).toBeCloseTo(one.interval!.high, 12);
    expect(estimate([equal([[3]])])).toMatchObject({ mean: 3, interval: null, standardError: null });
  });

  it("has an interval of no width where nothing differs", () => {
    expect(
      estimate([
        equal([
          [2, 2],
          [2, 2],
        ]),
      ]).interval,
    ).toEqual({ low: 2, high: 2 });
  });

  it("refuses parts of different seeds, and such without documents", () => {
    expect(() =>
      estimate([
        equal([[1, 2]]),
        equal([
          [1, 2],
          [3, 4],
        ]),
      ]),
    ).toThrow(RangeError);
    expect(() => estimate([equal([[]])])).toThrow(RangeError);
    expect(() => estimate([])).toThrow(RangeError);
  });
});

/** Standard deviations of what chance adds. */
interface World {
  readonly seeds: number; // S
  readonly documents: readonly number[]; // J of each part
  readonly seedDeviation: number;
  readonly documentDeviation: number;
  readonly residual: number;
  /** documents of very different sizes */
  readonly uneven?: boolean;
}

const TRUTH = -0.05;
const DRAWS = 2000;

/** Share of the intervals that hold the truth, and of those that leave 0 out. */
function coverage(world: World): { holds: number; decides: number } {
  let [holds, decides] = [0, 0];
  for (let draw = 0; draw < DRAWS; draw++) {
    const rng = new Rng(draw, `coverage/${JSON.stringify(world)}`);
    const pair = new Float64Array(2);
    let at = 0;
    const normal = () => {
      rng.normalPair(at++, pair, 0);
      return pair[0]!;
    };
    const parts = world.documents.map((J): Part => {
      const sizes = Float64Array.from({ length: J }, () => (world.uneven ? Math.exp(normal()) : 1));
      const ofSeed = Array.from({ length: world.seeds }, () => world.seedDeviation * normal());
      const ofDocument = Array.from(sizes, () => world.documentDeviation * normal());
      const values = ofSeed.map((seed) => ofDocument.map((own) => TRUTH + seed + own + world.residual * normal()));
      return { values, sizes, share: 1 / world.documents.length };
    });
    const { low, high } = estimate(parts).interval!;
    if (low <= TRUTH && TRUTH <= high) holds++;
    if (high < 0 || low > 0) decides++;
  }
  return { holds: holds / DRAWS, decides: decides / DRAWS };
}

describe("95 % intervals over 2,000 drawn experiments", () => {
  // 2.5 standard errors of a share of .95 of 2,000 below it; more is allowed, for the intervals are conservative
  const LEAST = 0.938;
  const worlds: Record<string, World> = {
    "seeds decide": { seeds: 3, documents: [30], seedDeviation: 0.05, documentDeviation: 0.05, residual: 0.02 },
    "documents decide": { seeds: 3, documents: [30], seedDeviation: 0.005, documentDeviation: 0.2, residual: 0.05 },
    "a domain of eight documents": {
      seeds: 3,
      documents: [8],
      seedDeviation: 0.02,
      documentDeviation: 0.1,
      residual: 0,
    },
    "the mean of eight domains": {
      seeds: 3,
      documents: [8, 8, 12, 16, 27, 39, 40, 40],
      seedDeviation: 0.03,
      documentDeviation: 0.1,
      residual: 0.03,
    },
    "nothing but residual noise": { seeds: 3, documents: [20], seedDeviation: 0, documentDeviation: 0, residual: 0.1 },
    "five seeds": { seeds: 5, documents: [12], seedDeviation: 0.05, documentDeviation: 0.1, residual: 0.05 },
  };
  it.each(Object.entries(worlds))("%s", (_, world) => {
    const { holds } = coverage(world);
    expect(holds).toBeGreaterThanOrEqual(LEAST);
  });

  it("documents of very different sizes cost a little of it", () => {
    const { holds } = coverage({
      seeds: 3,
      documents: [20],
      seedDeviation: 0.02,
      documentDeviation: 0.1,
      residual: 0.02,
      uneven: true,
    });
    expect(holds).toBeGreaterThan(0.92);
  });

  it("are narrow enough to find a difference of .05 behind seeds that differ by .01", () => {
    const found = coverage({ seeds: 3, documents: [40], seedDeviation: 0.01, documentDeviation: 0.05, residual: 0.02 });
    expect(found.decides).toBeGreaterThan(0.9);
  });
});
