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
