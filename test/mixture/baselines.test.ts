import { describe, expect, it } from "vitest";
import { naturalWeights, temperatureWeights, uniformWeights, unimax } from "../../src/mixture/baselines.ts";
import { expectClose, readGolden } from "./golden.ts";

describe("UniMax", () => {
  const { rows } = readGolden<{
    rows: {
      id: string;
      sizes: number[];
      budget: number;
      max_epochs: number;
      tokens: number[];
      weights: number[];
      epochs: (number | null)[];
      capped: boolean[];
      budget_left: number;
    }[];
  }>("unimax.json");
  it.each(rows)("$id", (row) => {
    const got = unimax(row.sizes, row.budget, row.max_epochs);
    // a share is a quotient of a difference of up to 107 terms
    expectClose(got.tokens, row.tokens, 1e-10, 1);
    expectClose(got.weights, row.weights, 1e-10);
    expect(got.epochs.map((epochs) => epochs === null)).toEqual(row.epochs.map((epochs) => epochs === null));
    expect(got.capped).toEqual(row.capped);
    expectClose([got.budgetLeft], [row.budget_left], 1e-9, 1);
  });

  it("refuses no budget, no epochs, no tokens", () => {
    expect(() => unimax([1], 0, 1)).toThrow(/budget/);
    expect(() => unimax([1], 5, 0)).toThrow(/maxEpochs/);
    expect(() => unimax([0, 0], 5, 1)).toThrow(/every domain is empty/);
    expect(() => unimax([-1, 2], 5, 1)).toThrow(/domain 0/);
  });
});

describe("temperature", () => {
  const { rows } = readGolden<{ rows: { id: string; sizes: number[]; exponent: number; weights: number[] }[] }>(
    "temperature.json",
  );
  it.each(rows)("$id ^ $exponent", ({ sizes, exponent, weights }) => {
    expectClose(temperatureWeights(sizes, exponent), weights, 1e-12, 1e-12);
  });

  it("has natural and uniform at its ends", () => {
    expect(naturalWeights([10, 0, 30])).toEqual([0.25, 0, 0.75]);
    expect(uniformWeights([10, 0, 30])).toEqual([0.5, 0, 0.5]);
    expect(() => temperatureWeights([1], Number.NaN)).toThrow(/exponent/);
  });
});
