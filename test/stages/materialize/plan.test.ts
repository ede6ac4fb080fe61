import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { groupFolders, planBuckets, ShardCutter } from "../../../src/stages/materialize/plan.ts";

const runs = fc.array(
  fc.record({ documents: fc.integer({ min: 1, max: 50 }), each: fc.integer({ min: 1, max: 900 }) }),
  {
    minLength: 1,
    maxLength: 60,
  },
);

/** First document of each shard, and the end. */
function cut(cutter: ShardCutter, all: readonly { documents: number; each: number }[]): number[] {
  for (const { documents, each } of all) cutter.add(documents, documents * each);
  return [0, ...cutter.cuts, cutter.documents];
}

describe("ShardCutter", () => {
  it("cuts exactly so many documents, and the rest", () => {
    fc.assert(
      fc.property(runs, fc.integer({ min: 1, max: 40 }), (all, most) => {
        const documents = all.reduce((sum, run) => sum + run.documents, 0);
        const ones = all.map((run) => ({ ...run, each: 1 }));
        const bounds = cut(new ShardCutter(documents, most, false), ones);
        const sizes = bounds.slice(1).map((end, i) => end - bounds[i]!);
        expect(sizes.slice(0, -1).every((size) => size === most)).toBe(true);
        expect(sizes.at(-1)).toBeLessThanOrEqual(most);
        expect(sizes.at(-1)).toBeGreaterThan(0);
      }),
    );
  });

  it("cuts even shards by weight: each within a document of its place, none empty, all documents in one", () => {
    fc.assert(
      fc.property(runs, fc.integer({ min: 100, max: 5000 }), (all, most) => {
        const weights = all.flatMap(({ documents, each }) => new Array<number>(documents).fill(each));
        const total = weights.reduce((a, b) => a + b, 0);
        const bounds = cut(new ShardCutter(total, most, true), all);
        expect(bounds.at(-1)).toBe(weights.length);
        expect(bounds.every((bound, i) => i === 0 || bound > bounds[i - 1]!)).toBe(true);
        const target = total / Math.ceil(total / most);
        const longest = Math.max(...weights);
        for (const [i, end] of bounds.entries()) {
          if (i === 0) continue;
          const weight = weights.slice(bounds[i - 1], end).reduce((a, b) => a + b, 0);
          expect(weight).toBeLessThan(target + longest + 1e-6);
        }
      }),
    );
  });

  it("does not depend on how the runs are cut", () => {
    fc.assert(
      fc.property(runs, fc.integer({ min: 100, max: 5000 }), (all, most) => {
        const single = all.flatMap(({ documents, each }) =>
          Array.from({ length: documents }, () => ({ documents: 1, each })),
        );
        const total = single.reduce((sum, run) => sum + run.each, 0);
        expect(cut(new ShardCutter(total, most, true), all)).toEqual(cut(new ShardCutter(total, most, true), single));
      }),
    );
  });

  it("refuses a set of too many shards", () => {
    expect(() => new ShardCutter(1e6, 1, false)).toThrow(/1000000 shards, and at most 100000/);
  });
});

describe("planBuckets", () => {
  it("puts every unit with runs into one bucket, in order, with the place of its runs", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: 0, max: 5 }), fc.integer({ min: 0, max: 4e6 })), { minLength: 1 }),
        (units) => {
          const unitRuns = Float64Array.from(units, ([count]) => count);
          const unitTokens = Float64Array.from(units, ([count, tokens]) => (count > 0 ? tokens : 0));
          const buckets = planBuckets({ unitRuns, unitTokens, totals: { documents: [], tokens: [] } });
          expect(buckets.flatMap((bucket) => bucket.units)).toEqual(
            [...unitRuns.keys()].filter((unit) => unitRuns[unit]! > 0),
          );
          let runStart = 0;
          for (const bucket of buckets) {
            expect(bucket.runStart).toBe(runStart);
            expect(bucket.runs).toBe(bucket.units.reduce((sum, unit) => sum + unitRuns[unit]!, 0));
            runStart += bucket.runs;
          }
        },
      ),
    );
  });
});

describe("groupFolders", () => {
  it("replaces what file systems and blend lists trip over, and keeps the folders apart", () => {
    expect(groupFolders(["Gutenberg (PD)", "a/b", "a:b", "..", "-x", "", "Web", "web", "宋词"])).toEqual([
      "Gutenberg__PD_",
      "a_b",
      "a_b-2",
      "_",
      "_x",
      "_-2",
      "Web",
      "web-2",
      "__",
    ]);
  });
});
