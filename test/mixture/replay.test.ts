/** What a difference of weights comes to, and a replay's steps: held-out losses come before the step's own. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Objective } from "../../src/mixture/objective.ts";
import { DOREMI_PRESETS } from "../../src/mixture/objective-settings.ts";
import { createObjective } from "../../src/mixture/objectives.ts";
import { compareWeights, Replay, WeightMean } from "../../src/mixture/replay.ts";
import { factsOf, tokensOf } from "./traces.ts";

describe("the difference of weights", () => {
  it("names the domain that changes most, and the share that moves", () => {
    const difference = compareWeights([0.5, 0.1, 0.4], [0.25, 0.5, 0.25]);
    expect(difference).toEqual({ distance: expect.closeTo(0.4, 12), domain: 1, change: -0.4 });
    expect(compareWeights([0.5, 0.5], [0.5, 0.5])).toEqual({ distance: 0, domain: 0, change: 0 });
  });

  const weights = fc
    .array(fc.integer({ min: 1, max: 1000 }), { minLength: 5, maxLength: 5 })
    .map((parts) => parts.map((part) => part / parts.reduce((a, b) => a + b)));

  it("is symmetric, at most 1, at least the largest change; what one domain gains others lose", () => {
    fc.assert(
      fc.property(weights, weights, (a, b) => {
        const [there, back] = [compareWeights(a, b), compareWeights(b, a)];
        expect(back.distance).toBe(there.distance);
        expect(back.domain).toBe(there.domain);
        expect(back.change).toBe(-there.change);
        expect(there.distance).toBeLessThanOrEqual(1 + 1e-12);
        expect(there.distance).toBeGreaterThanOrEqual(Math.abs(there.change) - 1e-12);
      }),
    );
  });
});

describe("a replay", () => {
  it("before the first step has the weights of the start", () => {
    const facts = factsOf(2, { start: [0.25, 0.75] });
    const { alpha, average } = new Replay(createObjective(DOREMI_PRESETS.paper, facts), facts);
    expect([...alpha, ...average]).toEqual([0.25, 0.75, 0.25, 0.75]);
  });

  it("averages the weights, with those of the start where the objective counts them", () => {
    const [with_, without] = [true, false].map((counts) => {
      const mean = new WeightMean([1, 0], counts);
      mean.add(Float64Array.of(0.5, 0.5));
      mean.add(Float64Array.of(0, 1));
      return [...mean.average];
    });
    expect(with_).toEqual([0.5, 0.5]);
    expect(without).toEqual([0.25, 0.75]);
  });

  it("takes in held-out losses before the step that they were measured before", () => {
    const seen: string[] = [];
    const objective: Objective = {
      settings: { name: "erm" },
      init: () => ({ order: Float64Array.of(0) }),
      step(state, batch) {
        seen.push(`step ${batch.loss[0]} after ${state.order![0]}`);
        const weights = Float64Array.of(1, 0);
        return { state, alpha: weights, tokenWeight: weights, value: 0 };
      },
      observe(_, heldOut) {
        seen.push(`held out ${heldOut[0]}`);
        return { order: Float64Array.of(heldOut[0]!) };
      },
    };
    const replay = new Replay(objective, factsOf(2));
    replay.step({ sequences: tokensOf([0], [1]) });
    replay.step({ sequences: tokensOf([0], [2]), heldOut: [7, 8] });
    expect(seen).toEqual(["step 1 after 0", "held out 7", "step 2 after 7"]);
  });
});
