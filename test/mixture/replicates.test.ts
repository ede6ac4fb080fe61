/** Means and spreads of the weights that several trainings learned. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { largestChange, spreadWeights } from "../../src/mixture/replicates.ts";

describe("weights of several seeds", () => {
  it("have the mean and the deviation of a sample", () => {
    // Python: statistics.mean, statistics.stdev of .2 .25 .6 and of .8 .75 .4
    const { mean, deviation, least, most } = spreadWeights([
      [0.2, 0.8],
      [0.25, 0.75],
      [0.6, 0.4],
    ]);
    for (const [found, expected] of [
      [mean, [0.35, 0.65]],
      [deviation!, [0.21794494717703367, 0.21794494717703367]],
    ] as const)
      for (const [d, value] of expected.entries()) expect(found[d]).toBeCloseTo(value, 14);
    expect([least, most]).toEqual([
      [0.2, 0.4],
      [0.6, 0.8],
    ]);
  });

  it("say nothing of the deviation where there is one", () => {
    expect(spreadWeights([[0.5, 0.5]])).toEqual({
      mean: [0.5, 0.5],
      deviation: null,
      least: [0.5, 0.5],
      most: [0.5, 0.5],
    });
  });

  const simplex = fc
    .array(fc.double({ min: 1e-6, max: 1, noNaN: true }), { minLength: 4, maxLength: 4 })
    .map((values) => values.map((value) => value / values.reduce((sum, other) => sum + other, 0)));

  it("come to weights again, between the least and the most, in any order of the seeds", () => {
    fc.assert(
      fc.property(fc.array(simplex, { minLength: 1, maxLength: 6 }), (seeds) => {
        const { mean, least, most } = spreadWeights(seeds);
        expect(mean.reduce((sum, weight) => sum + weight, 0)).toBeCloseTo(1, 12);
        for (const [d, weight] of mean.entries()) {
          expect(weight).toBeGreaterThanOrEqual(least[d]! - 1e-15);
          expect(weight).toBeLessThanOrEqual(most[d]! + 1e-15);
        }
        for (const [d, weight] of spreadWeights([...seeds].reverse()).mean.entries())
          expect(weight).toBeCloseTo(mean[d]!, 14);
      }),
    );
  });
});

describe("the change of a round", () => {
  it("is the largest of a domain's, and says whose", () => {
    expect(largestChange([0.5, 0.3, 0.2], [0.45, 0.25, 0.3])).toEqual({ change: expect.closeTo(0.1, 14), domain: 2 });
    expect(largestChange([0.5, 0.5], [0.5, 0.5])).toEqual({ change: 0, domain: 0 });
  });
});
