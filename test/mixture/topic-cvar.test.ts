import { describe, expect, it } from "vitest";
import type { TopicCvarSettings } from "../../src/mixture/objective-settings.ts";
import { cappedResponse } from "../../src/mixture/objectives/capped-response.ts";
import { createObjective } from "../../src/mixture/objectives.ts";
import { expectClose, readGolden } from "./golden.ts";
import { factsOf, follow, tokensOf } from "./traces.ts";

interface Row {
  k: number;
  alpha: number;
  p_train: number[];
  loss: number[];
  baseline: number[];
  value: number;
  weights: number[];
}
const { rows } = readGolden<{ rows: Row[] }>("cvar_chi2/topic_cvar.json");
const TOLERANCE = 1e-12; // printed with 13 digits

const settingsOf = (rest: Partial<TopicCvarSettings> = {}): TopicCvarSettings => ({
  name: "topic-cvar",
  fraction: 0.2,
  decay: 0.1,
  baseline: "reference",
  ...rest,
});

describe("best responses checked by linear programming", () => {
  it("has rows", () => expect(rows.length).toBe(20));

  it.each(rows)("$k domains, α $alpha", ({ k, alpha, p_train, loss, baseline, weights, value }) => {
    const response = cappedResponse(
      loss.map((x, i) => x - baseline[i]!),
      p_train.map((share) => share / alpha),
    );
    expectClose(response, weights, TOLERANCE, 1);
    // The same by the objective, of a batch with a token of each domain.
    const facts = factsOf(k, { sizes: p_train.map((share) => Math.round(share * 1e6)) });
    const objective = createObjective(settingsOf({ fraction: alpha }), facts);
    const step = objective.step(objective.init(), tokensOf([...loss.keys()], loss, baseline));
    expectClose(step.alpha, weights, TOLERANCE, 1);
    expectClose([step.value], [value], TOLERANCE, 1);
  });
});

describe("from batch to batch", () => {
  const sizes = [600, 300, 100];
  const facts = factsOf(3, { sizes });

  it("follows losses with the decay, and those of absent domains stay", () => {
    const objective = createObjective(settingsOf({ decay: 0.25, baseline: "none" }), facts);
    const steps = follow(objective, [tokensOf([0, 1, 1], [4, 1, 3]), tokensOf([0], [2]), tokensOf([1, 2], [6, 1])]);
    expect(steps.map(({ state }) => [...state.running!])).toEqual([
      [4, 2, 0],
      [3.5, 2, 0],
      [3.5, 3, 1],
    ]);
    expect(steps.map(({ state }) => [...state.seen!])).toEqual([
      [1, 1, 0],
      [1, 1, 0],
      [1, 1, 1],
    ]);
  });

  it("a domain that no batch has held takes no part, and the others' shares are among themselves", () => {
    const objective = createObjective(settingsOf({ fraction: 1 }), facts);
    const [first, second] = follow(objective, [tokensOf([0, 1], [1, 5]), tokensOf([2], [1])]);
    expectClose(first!.alpha, [2 / 3, 1 / 3, 0], 1e-14);
    expectClose(second!.alpha, [0.6, 0.3, 0.1], 1e-14);
  });

  it("an absent domain keeps its weight, which then acts on no token", () => {
    const objective = createObjective(settingsOf({ fraction: 0.5, baseline: "none" }), facts);
    const [, second] = follow(objective, [tokensOf([0, 1, 2], [1, 5, 3]), tokensOf([0, 0], [1, 1])]);
    expectClose(second!.alpha, [0.2, 0.6, 0.2], 1e-14);
    expectClose(second!.tokenWeight, [0.1, 0.1], 1e-14);
    expectClose([second!.value], [0.2], 1e-14);
  });

  it("reference takes the reference's losses off, none does not", () => {
    const batch = tokensOf([0, 1, 2], [9, 5, 3], [9, 1, 2]);
    const sole = { fraction: 0.1 }; // all on the worst that has a tenth of the data
    const alphaOf = (baseline: TopicCvarSettings["baseline"]) => {
      const objective = createObjective(settingsOf({ ...sole, baseline }), facts);
      return objective.step(objective.init(), batch).alpha;
    };
    expectClose(alphaOf("none"), [1, 0, 0], 1e-15, 1);
    expectClose(alphaOf("reference"), [0, 1, 0], 1e-15, 1);
  });
});
