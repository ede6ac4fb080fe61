import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DoremiError } from "../../src/lib/errors.ts";
import { planResample, type ResampleRequest } from "../../src/manifest/plan.ts";
import { normaliseWeights } from "../../src/mixture/weights.ts";

const request: ResampleRequest = {
  names: ["books", "code", "web"],
  weights: [0.5, 0.3, 0.2],
  availableTokens: [100, 1000, 10_000],
  budgetTokens: 700,
  maxEpochs: 4,
};
const tokens = (change: Partial<ResampleRequest>) =>
  planResample({ ...request, ...change }).domains.map((domain) => domain.targetTokens);
const failure = (change: Partial<ResampleRequest>): DoremiError => {
  try {
    planResample({ ...request, ...change });
  } catch (error) {
    if (error instanceof DoremiError) return error;
    throw error;
  }
  throw new Error("did not fail");
};

describe("targets", () => {
  it("are weight · budget where no cap binds", () => {
    const plan = planResample(request);
    expect(plan.domains.map((domain) => domain.targetTokens)).toEqual([350, 210, 140]);
    expect(plan.domains[0]).toMatchObject({ epochs: 3.5, targetWeight: 0.5, capped: false, capTokens: 400 });
    expect(plan.notes).toEqual([]);
  });

  it("are cut at the cap, with a note, and the others take the rest in proportion", () => {
    const plan = planResample({ ...request, budgetTokens: 1400 });
    expect(plan.domains.map((domain) => domain.targetTokens)).toEqual([400, 600, 400]);
    expect(plan.domains[0]!.capped).toBe(true);
    expect(plan.notes).toEqual([expect.stringMatching(/“books”: capped at 4 epochs, 400 tokens instead of 700/)]);
  });

  it("have caps of their own, and fractions of an epoch are exact", () => {
    expect(tokens({ maxEpochs: [null, null, null], budgetTokens: 100_000 })).toEqual([50_000, 30_000, 20_000]);
    expect(planResample({ ...request, maxEpochs: [1.1, null, 2] }).domains[0]!.capTokens).toBe(110);
  });

  it("auto: the most at which no cap binds, and who binds", () => {
    const plan = planResample({ ...request, budgetTokens: "auto" });
    expect(plan.budgetTokens).toBe(800);
    expect(plan.bindingDomain).toBe("books");
    expect(plan.domains.map((domain) => domain.targetTokens)).toEqual([400, 240, 160]);
    expect(plan.notes[0]).toMatch(/budget: 800 tokens.*“books” binds/);
  });
});

describe("least shares", () => {
  it("are taken from the others by weight, and reached without weight too", () => {
    const plan = planResample({ ...request, budgetTokens: 200, minShares: [0, 0, 0.4] });
    expect(plan.domains.map((domain) => domain.targetTokens)).toEqual([75, 45, 80]);
    expect(plan.domains.map((domain) => domain.floored)).toEqual([false, false, true]);
    expect(plan.notes).toEqual([
      expect.stringMatching(/“web”: raised to its least share of 0\.4, 80 tokens instead of 40/),
    ]);
    expect(tokens({ budgetTokens: 200, weights: [0.5, 0.5, 0], minShares: [0, 0, 0.4] })).toEqual([60, 60, 80]);
  });

  it("are met, not nearly met: rounded up to a whole token", () => {
    expect(tokens({ budgetTokens: 101, minShares: [0, 0, 0.3] })[2]).toBe(31);
  });

  it("meet caps: what a cap cuts off goes to those that are at neither bound", () => {
    const plan = planResample({ ...request, budgetTokens: 1000, maxEpochs: [2, null, null], minShares: [0, 0, 0.5] });
    expect(plan.domains.map((domain) => domain.targetTokens)).toEqual([200, 300, 500]);
    expect(plan.domains.map(({ capped, floored }) => [capped, floored])).toEqual([
      [true, false],
      [false, false],
      [false, true],
    ]);
  });

  it("auto: the most at which no domain passes its cap with its share raised", () => {
    // books and code share 0.6 as 5 to 3: books is .375 of the budget, and may give 400 tokens.
    const plan = planResample({ ...request, budgetTokens: "auto", minShares: [0, 0, 0.4] });
    expect([plan.budgetTokens, plan.bindingDomain]).toEqual([1066, "books"]);
    expect(plan.domains[0]!.targetTokens).toBeLessThanOrEqual(400);
    const raised = planResample({ ...request, budgetTokens: "auto", weights: [0, 0.5, 0.5], minShares: [0.5, 0, 0] });
    expect([raised.budgetTokens, raised.bindingDomain]).toEqual([800, "books"]);
  });

  it.each<[string, Partial<ResampleRequest>, RegExp]>([
    [
      "floor-exceeds-cap",
      { minShares: [0.6, 0, 0] },
      /“books”: 0\.6 of 700 tokens is 420.*allows 400, a share of 0\.571428.*at most 666 tokens/,
    ],
    ["bad-min-share", { minShares: [0.6, 0.6, 0] }, /books, code add up to 1\.2/],
    ["bad-min-share", { minShares: [-0.1, 0, 0] }, /“books”.*from 0 to 1/],
    ["floors-exceed-budget", { budgetTokens: 10, minShares: [0.25, 0.25, 0.5] }, /come to 11 of 10/],
    [
      "no-tokens",
      { weights: [0, 0.5, 0.5], availableTokens: [0, 5000, 5000], minShares: [0.1, 0, 0] },
      /“books”.*least share of 0\.1/,
    ],
    [
      "budget-exceeds-caps",
      { weights: [1, 0, 0], budgetTokens: 600, minShares: [0, 0, 0.2] },
      /largest possible budget is 500 tokens/,
    ],
  ])("%s", (code, change, message) => {
    const error = failure(change);
    expect([error.kind, error.code]).toEqual(["bad-configuration", code]);
    expect(error.message).toMatch(message);
  });
});

describe("weights by another unit", () => {
  const documents = { unit: { kind: "documents" }, units: [10, 50, 100] } as const; // 10, 20 and 100 tokens each

  it("are shares of tokens in proportion to tokens per unit", () => {
    const plan = planResample({ ...request, ...documents, maxEpochs: null, budgetTokens: 3100 });
    expect(plan.domains.map((domain) => domain.targetTokens)).toEqual([500, 600, 2000]);
    expect(plan.domains.map((domain) => domain.weight)).toEqual(request.weights);
    // So the documents of a set, targets over tokens each, are in the proportions asked for.
    expect(plan.domains.map((domain, i) => domain.targetTokens / [10, 20, 100][i]!)).toEqual([50, 30, 20]);
    expect(plan.domains.reduce((sum, domain) => sum + domain.tokenWeight, 0)).toBeCloseTo(1, 12);
  });

  it("of equal means are the same shares; by tokens they stay to the last digit", () => {
    const same = planResample({ ...request, unit: { kind: "sequences", length: 2 }, units: [50, 500, 5000] });
    for (const [i, domain] of same.domains.entries()) expect(domain.tokenWeight).toBeCloseTo(request.weights[i]!, 15);
    expect(planResample(request).domains.map((domain) => domain.tokenWeight)).toEqual(request.weights);
  });
});

describe("refusals", () => {
  it("names the largest possible budget", () => {
    const error = failure({ budgetTokens: 50_000 });
    expect([error.kind, error.code]).toEqual(["bad-configuration", "budget-exceeds-caps"]);
    expect(error.message).toMatch(/largest possible budget is 44400 tokens/);
    expect(tokens({ budgetTokens: 44_400 })).toEqual([400, 4000, 40_000]);
  });

  it("counts no tokens of a domain without weight", () => {
    expect(failure({ weights: [0.5, 0.5, 0], budgetTokens: 4401 }).message).toMatch(/is 4400 tokens.*weight 0: web/);
  });

  it("onCap fail: names the domain and the largest budget that passes no cap", () => {
    const error = failure({ budgetTokens: 1400, onCap: "fail" });
    expect(error.code).toBe("budget-exceeds-caps");
    expect(error.message).toMatch(/“books”.*400.*is 800/s);
    expect(tokens({ budgetTokens: 800, onCap: "fail" })).toEqual([400, 240, 160]);
  });

  it.each<[string, Partial<ResampleRequest>]>([
    ["auto-budget-needs-cap", { budgetTokens: "auto", maxEpochs: null }],
    ["no-tokens", { availableTokens: [0, 5, 5] }],
    ["bad-budget", { budgetTokens: 0 }],
    ["bad-budget", { budgetTokens: 1.5 }],
    ["bad-epochs", { maxEpochs: 0 }],
    ["bad-weights", { weights: [0.5, 0.3, 0.1] }],
    ["bad-weights", { weights: [0, 0, 0] }],
    ["bad-configuration", { availableTokens: [1, 2] }],
  ])("%s", (code, change) => expect(failure(change).code).toBe(code));
});

describe("laws", () => {
  const requests = fc
    .array(
      fc.tuple(
        fc.integer({ min: 1, max: 1000 }),
        fc.integer({ min: 1, max: 1_000_000 }),
        fc.integer({ min: 1, max: 40 }),
      ),
      {
        minLength: 1,
        maxLength: 12,
      },
    )
    .map((domains) => ({
      names: domains.map((_, i) => `d${i}`),
      weights: normaliseWeights(
        domains.map(([weight]) => weight),
        [],
      ).weights,
      availableTokens: domains.map(([, available]) => available),
      maxEpochs: domains.map(([, , tenths]) => tenths / 10),
    }));

  it("auto is tight: no cap is passed, and one token more per domain would pass one", () => {
    fc.assert(
      fc.property(requests, (base) => {
        fc.pre(base.availableTokens.every((available, i) => available * base.maxEpochs[i]! >= 2000));
        const plan = planResample({ ...base, budgetTokens: "auto" });
        expect(plan.domains.reduce((sum, domain) => sum + domain.targetTokens, 0)).toBe(plan.budgetTokens);
        expect(plan.domains.some((domain) => domain.capped)).toBe(false);
        for (const domain of plan.domains) expect(domain.targetTokens).toBeLessThanOrEqual(domain.capTokens!);
        const binding = plan.domains.find((domain) => domain.name === plan.bindingDomain)!;
        expect(binding.weight * (plan.budgetTokens + 1) * (1 + 1e-9)).toBeGreaterThan(binding.capTokens!);
      }),
    );
  });

  it("any budget up to the largest is met exactly within the caps", () => {
    fc.assert(
      fc.property(requests, fc.double({ min: 0, max: 1, noNaN: true }), (base, part) => {
        const largest = Number(/is (\d+) tokens/.exec(failure({ ...base, budgetTokens: 2 ** 50 }).message)![1]);
        fc.pre(largest > 0);
        const budgetTokens = Math.max(1, Math.floor(largest * part));
        const plan = planResample({ ...base, budgetTokens });
        expect(plan.domains.reduce((sum, domain) => sum + domain.targetTokens, 0)).toBe(budgetTokens);
        for (const domain of plan.domains) expect(domain.targetTokens).toBeLessThanOrEqual(domain.capTokens!);
      }),
    );
  });
});
