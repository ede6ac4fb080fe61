/** What the weights of several trainings come to, and what is said of them. */
import { describe, expect, it } from "vitest";
import type { MixtureInput } from "../../../src/stages/mixture/contract.ts";
import { mixtureOutput } from "../../../src/stages/mixture/contract.ts";
import { combine } from "../../../src/stages/mixture/run.ts";

/** A training in which the first of two domains got this weight. */
const seed = (weight: number, number = 1) => ({
  stage: `proxy-${number}`,
  seed: number,
  weights: [weight, 1 - weight],
});

function combined(rounds: readonly (readonly number[])[], tolerance: number | null = null) {
  const input: MixtureInput = {
    domains: ["books", "code"],
    reference: [0.5, 0.5],
    tolerance,
    rounds: rounds.map((seeds) => seeds.map((weight, index) => seed(weight, index + 1))),
  };
  return mixtureOutput.parse(combine(input));
}

describe("of several rounds, mixture", () => {
  it("takes the last one's weights, each of which was the next one's reference", () => {
    const { weights, rounds, converged } = combined([[0.625], [0.75]]);
    expect(weights).toEqual({ books: 0.75, code: 0.25 });
    expect(rounds.map(({ referenceWeights }) => referenceWeights.books)).toEqual([0.5, 0.625]);
    expect(rounds.map(({ change, changedMost }) => [change, changedMost])).toEqual([
      [0.125, "books"],
      [0.125, "books"],
    ]);
    expect(rounds.every(({ spread }) => spread === null)).toBe(true);
    expect(converged).toBeNull();
  });

  it("says that the weights settled, or that they had not at the limit and what to do", () => {
    const settled = combined([[0.625], [0.6255]], 1e-3);
    expect(settled.converged).toBe(true);
    expect(settled.notes).toEqual(["the weights settled in round 2: none changed by 0.001 or more"]);
    const limit = combined([[0.625], [0.626]], 1e-3);
    expect(limit.converged).toBe(false); // less than the tolerance, not as much
    expect(limit.notes[0]).toMatch(/^the weights had not settled after 2 rounds, .* “books” by 0\.0010.*raise train/);
  });

  it("compares the first round with the baseline weights", () => {
    expect(combined([[0.5005]], 1e-3)).toMatchObject({ converged: true, rounds: [{ change: expect.closeTo(5e-4) }] });
  });
});

describe("of several seeds, mixture", () => {
  it("takes the mean, and keeps each one's weights and how far they lie apart", () => {
    const { weights, rounds, notes } = combined([[0.25, 0.5, 0.75]]);
    expect(weights).toEqual({ books: 0.5, code: 0.5 });
    expect(rounds[0]!.spread).toEqual({
      deviation: { books: 0.25, code: 0.25 },
      min: { books: 0.25, code: 0.25 },
      max: { books: 0.75, code: 0.75 },
    });
    expect(rounds[0]!.seeds.map(({ stage, weights }) => [stage, weights.books])).toEqual([
      ["proxy-1", 0.25],
      ["proxy-2", 0.5],
      ["proxy-3", 0.75],
    ]);
    expect(notes).toEqual([
      "the weights are the mean of 3 seeds, which differ most on “books”: 0.5000 ± 0.2500 (standard deviation), from 0.2500 to 0.7500",
    ]);
  });

  it("trains the next round's reference on the mean", () => {
    const { rounds } = combined([
      [0.25, 0.5],
      [0.5, 0.5],
    ]);
    expect(rounds[1]!.referenceWeights).toEqual({ books: 0.375, code: 0.625 });
    expect(rounds[1]!.change).toBe(0.125);
  });
});
