import { readdirSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type DoReMiState, domainExcess, doremiLoss, initDoReMi, updateDoReMi } from "../../src/mixture/doremi.ts";
import { expectClose, GOLDEN, readGolden } from "./golden.ts";

interface Trace {
  k: number;
  steps: { domain_ids: number[]; mask: number[][]; loss: number[][]; ref: number[][] }[];
}
interface PaperRun {
  inputs: string;
  eta: number;
  eps: number;
  float64: {
    lambda: number[];
    tokens: number[];
    alpha: number[];
    avg: number[];
    loss: number;
    loss_without_ref: number;
    grad_per_token: (number | null)[];
  }[];
}

function batchOf(step: Trace["steps"][number]) {
  return { loss: step.loss.flat(), reference: step.ref.flat(), mask: step.mask.flat(), domains: step.domain_ids };
}

// The records are printed with 15 digits; both sides sum a few dozen doubles.
const TOLERANCE = 1e-10;

describe("Algorithm 1 on the golden traces", () => {
  const runs = readdirSync(new URL("doremi/", GOLDEN)).filter((name) => name.startsWith("paper_"));
  it("has runs to follow", () => expect(runs.length).toBe(20));

  it.each(runs)("%s", (name) => {
    const run = readGolden<PaperRun>(`doremi/${name}`);
    const trace = readGolden<Trace>(`doremi/${run.inputs}`);
    const config = { eta: run.eta, smoothing: run.eps };
    let state = initDoReMi(trace.k);
    expect(run.float64.length).toBe(trace.steps.length);
    for (const [t, expected] of run.float64.entries()) {
      const excess = domainExcess(batchOf(trace.steps[t]!), trace.k);
      state = updateDoReMi(state, excess.clipped, config);
      const { loss, lossWithoutReference, gradientPerToken } = doremiLoss(state.alpha, excess);
      const floor = 1e-6;
      expectClose(excess.clipped, expected.lambda, TOLERANCE, floor);
      expectClose(excess.tokens, expected.tokens, 0);
      expectClose(state.alpha, expected.alpha, TOLERANCE, floor);
      expectClose(state.average, expected.avg, TOLERANCE, floor);
      expectClose([loss, lossWithoutReference], [expected.loss, expected.loss_without_ref], TOLERANCE);
      expectClose(
        gradientPerToken,
        expected.grad_per_token.map((value) => value ?? 0),
        TOLERANCE,
        floor,
      );
    }
    expect(state.step).toBe(trace.steps.length);
  });

  it("takes the three exact steps of the paper's appendix", () => {
    const { three_steps: steps } = readGolden<{
      three_steps: { eta: number; c: number; lam: number[]; alphas: number[][] };
    }>("lemma1.json");
    let state = initDoReMi(3);
    for (const alpha of steps.alphas) {
      state = updateDoReMi(state, steps.lam, { eta: steps.eta, smoothing: steps.c });
      expectClose(state.alpha, alpha, 1e-14);
    }
  });
});

describe("what must not happen", () => {
  it("a fully masked domain makes no NaN, and has excess 0 and no gradient", () => {
    const { k, steps, masked_domain } = readGolden<Trace & { masked_domain: number }>(
      "doremi/quirk_fully_masked_domain.json",
    );
    let state = initDoReMi(k);
    for (const [t, step] of steps.entries()) {
      const excess = domainExcess(batchOf(step), k);
      state = updateDoReMi(state, excess.clipped, { eta: 1, smoothing: 1e-3 });
      const loss = doremiLoss(state.alpha, excess);
      expect([...state.alpha, ...state.average, loss.loss, ...loss.gradientPerToken].every(Number.isFinite)).toBe(true);
      if (t === 1) {
        expect(excess.tokens[masked_domain]).toBe(0);
        expect(excess.clipped[masked_domain]).toBe(0);
        expect(loss.gradientPerToken[masked_domain]).toBe(0);
      }
    }
  });

  it("never looks under the mask", () => {
    const batch = {
      loss: [1, Number.NaN, 3, Number.POSITIVE_INFINITY],
      reference: [0.5, 1, Number.NaN, 1],
      mask: [1, 0, 0, 0],
      domains: [0, 1],
    };
    const excess = domainExcess(batch, 2);
    expect([...excess.clipped]).toEqual([0.5, 0]);
    expect([...excess.tokens]).toEqual([1, 0]);
  });

  it("a batch without any row leaves λ at 0 and the weights where they were", () => {
    const excess = domainExcess({ loss: [], reference: [], mask: [], domains: [] }, 3);
    const state = updateDoReMi(initDoReMi(3), excess.clipped, { eta: 1, smoothing: 0 });
    expectClose(state.alpha, [1 / 3, 1 / 3, 1 / 3], 1e-15);
  });

  it("refuses an excess that is not finite, naming step and domain", () => {
    const state = initDoReMi(2);
    expect(() => updateDoReMi(state, [0, Number.NaN], { eta: 1, smoothing: 1e-3 })).toThrow(/step 1.*domain 1.*NaN/s);
  });

  it("does not overflow with a huge step size", () => {
    const state = updateDoReMi(initDoReMi(3), [5000, 10, 0], { eta: 10, smoothing: 1e-3 });
    expectClose(state.alpha, [0.999 + 0.001 / 3, 0.001 / 3, 0.001 / 3], 1e-12);
  });
});

describe("laws", () => {
  const excesses = fc.integer({ min: 1, max: 12 }).chain((k) =>
    fc.record({
      k: fc.constant(k),
      steps: fc.array(fc.array(fc.double({ min: 0, max: 12, noNaN: true }), { minLength: k, maxLength: k }), {
        minLength: 1,
        maxLength: 20,
      }),
      eta: fc.double({ min: 0.01, max: 2, noNaN: true }),
      smoothing: fc.double({ min: 1e-5, max: 0.5, noNaN: true }),
    }),
  );

  it("weights stay a distribution, above smoothing ÷ K, and an update leaves its input alone", () => {
    fc.assert(
      fc.property(excesses, ({ k, steps, eta, smoothing }) => {
        let state: DoReMiState = initDoReMi(k);
        const sums = new Float64Array(k);
        for (const lambda of steps) {
          const before = JSON.stringify(state);
          const next = updateDoReMi(state, lambda, { eta, smoothing });
          expect(JSON.stringify(state)).toBe(before);
          state = next;
          expect(Math.abs(state.alpha.reduce((a, b) => a + b, 0) - 1)).toBeLessThan(1e-12);
          for (let i = 0; i < k; i++) {
            expect(state.alpha[i]!).toBeGreaterThanOrEqual((smoothing / k) * (1 - 1e-12));
            sums[i]! += state.alpha[i]!;
          }
        }
        expectClose(state.average, [...sums.map((sum) => sum / steps.length)], 1e-12, 1e-9);
      }),
    );
  });
});
