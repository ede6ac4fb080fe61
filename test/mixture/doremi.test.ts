import { readdirSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { averagesStart, DOREMI_PRESETS, type DoReMiSettings } from "../../src/mixture/objective-settings.ts";
import { createObjective } from "../../src/mixture/objectives.ts";
import { expectClose, GOLDEN, readGolden } from "./golden.ts";
import { averages, batchOf, factsOf, follow, followTrace, type Trace, type TraceStep, tokensOf } from "./traces.ts";

interface Run<Step> {
  inputs: string;
  eta: number;
  eps: number;
  float64: (Step & { alpha: number[]; avg: number[]; loss: number; grad_per_token: (number | null)[] })[];
}
type PaperRun = Run<{ lambda: number[]; loss_without_ref: number }>;
type OfficialRun = Run<{ scores: number[]; grad?: number[][] }> & {
  alpha0: "uniform" | number[];
  sampling: "uniform" | number[];
  grad_accumulation: number;
};

const { paper, official } = DOREMI_PRESETS;
const files = readdirSync(new URL("doremi/", GOLDEN)).sort();
const traceOf = ({ inputs }: { inputs: string }) => readGolden<Trace>(`doremi/${inputs}`);

// The records are printed with 15 digits; both sides sum a few dozen doubles.
const TOLERANCE = 1e-10;
const FLOOR = 1e-6; // the least weights are 1e-4 ÷ 22

/** Token weights of each sequence against those of its domain. */
function expectTokenWeights(
  step: TraceStep,
  got: Float64Array,
  perDomain: readonly (number | null)[],
  scale = 1,
): void {
  const tokens = batchOf(step).tokens;
  const expected = step.domain_ids.map((domain, row) => (tokens[row] === 0 ? 0 : perDomain[domain]! * scale));
  expectClose(got, expected, TOLERANCE, FLOOR);
}

describe("Algorithm 1 on the golden traces", () => {
  const runs = files.filter((name) => name.startsWith("paper_") && name !== "paper_vs_official.json");
  it("has runs to follow", () => expect(runs.length).toBe(20));

  it.each(runs)("%s", (name) => {
    const run = readGolden<PaperRun>(`doremi/${name}`);
    const trace = traceOf(run);
    const steps = followTrace({ ...paper, eta: run.eta, smoothing: run.eps }, trace);
    const average = averages(steps);
    expect(run.float64.length).toBe(trace.steps.length);
    for (const [t, expected] of run.float64.entries()) {
      expectClose(steps[t]!.alpha, expected.alpha, TOLERANCE, FLOOR);
      expectClose(average[t]!, expected.avg, TOLERANCE, FLOOR);
      expectClose([steps[t]!.value], [expected.loss], TOLERANCE);
      expectTokenWeights(trace.steps[t]!, steps[t]!.tokenWeight, expected.grad_per_token);
    }
  });

  it("takes the three exact steps of the paper's appendix", () => {
    const { three_steps: exact } = readGolden<{
      three_steps: { eta: number; c: number; lam: number[]; alphas: number[][] };
    }>("lemma1.json");
    const objective = createObjective({ ...paper, eta: exact.eta, smoothing: exact.c }, factsOf(3));
    const batch = tokensOf([0, 1, 2], exact.lam);
    const steps = follow(objective, new Array(exact.alphas.length).fill(batch));
    for (const [t, alpha] of exact.alphas.entries()) expectClose(steps[t]!.alpha, alpha, 1e-14);
  });
});

describe("the official code's runs, by the preset official", () => {
  const runs = files.filter((name) => name.startsWith("official_"));
  it("has runs to follow", () => expect(runs.length).toBe(24));

  it.each(runs)("%s", (name) => {
    const run = readGolden<OfficialRun>(`doremi/${name}`);
    const trace = traceOf(run);
    const sum = run.alpha0 === "uniform" ? 1 : run.alpha0.reduce((a, b) => a + b, 0);
    const start = run.alpha0 === "uniform" ? factsOf(trace.k).start : run.alpha0.map((weight) => weight / sum);
    const sampling = run.sampling === "uniform" ? start : run.sampling; // its scale cancels
    const settings = { ...official, eta: run.eta, smoothing: run.eps };
    expect(averagesStart(settings)).toBe(true);
    const parts = run.grad_accumulation;
    const facts = factsOf(trace.k, { vocabularySize: trace.vocab_size, start, sampling });
    const objective = createObjective(settings, facts);
    const batches = Array.from({ length: trace.steps.length / parts }, (_, step) =>
      batchOf(merged(trace.steps.slice(step * parts, (step + 1) * parts))),
    );
    const steps = follow(objective, batches);
    const average = averages(steps, start);
    for (const [t, expected] of run.float64.entries()) {
      // Every part is weighted by the weights that are there; the last part of a step moves them first.
      const done = Math.floor((t + 1) / parts);
      const alpha = done === 0 ? Float64Array.from(start) : steps[done - 1]!.alpha;
      const part = batchOf(trace.steps[t]!);
      const tokenWeight = parts === 1 ? steps[t]!.tokenWeight : objective.weigh!(alpha, part);
      const value = tokenWeight.reduce((total, weight, row) => total + weight * part.loss[row]!, 0);
      expectClose(alpha, expected.alpha, TOLERANCE, FLOOR);
      expectClose(done === 0 ? start : average[done - 1]!, expected.avg, TOLERANCE, FLOOR);
      expectClose([value / parts], [expected.loss], TOLERANCE);
      if (parts === 1) {
        expectClose([steps[t]!.value], [expected.loss], TOLERANCE);
        expectClose(steps[t]!.state.carried!, expected.scores, TOLERANCE, FLOOR);
      }
      expectTokenWeights(trace.steps[t]!, tokenWeight, expected.grad_per_token, parts);
      for (const [row, gradients] of (expected.grad ?? []).entries()) {
        const mask = trace.steps[t]!.mask[row]!;
        expectClose(
          mask.map((counts) => (counts * tokenWeight[row]!) / parts),
          gradients,
          TOLERANCE,
          FLOOR,
        );
      }
    }
  });

  it("two ranks: what rank 0 computes is the whole batch's step; rank 1 weighs its rows by the step before", () => {
    type Rank = { alpha_in_buffer_after_step: number[]; grad_per_token_before_ddp_average: (number | null)[] }[];
    const quirk = readGolden<{ inputs: string; eta: number; eps: number; rank0: Rank; rank1: Rank }>(
      "doremi/quirk_two_ranks.json",
    );
    const trace = traceOf(quirk);
    const steps = followTrace({ ...official, eta: quirk.eta, smoothing: quirk.eps }, trace);
    expect(quirk.rank0.length).toBe(10);
    for (const [t, { alpha_in_buffer_after_step: alpha }] of quirk.rank0.entries()) {
      expectClose(steps[t]!.alpha, alpha, TOLERANCE, FLOOR);
      const before = t === 0 ? factsOf(trace.k).start : [...steps[t - 1]!.alpha];
      expectClose(quirk.rank1[t]!.alpha_in_buffer_after_step, before, TOLERANCE, FLOOR);
      // Their denominator mixes both ranks' weights; ratios of rank 0's gradients are ours all the same.
      const gradients = trace.steps[t]!.domain_ids.slice(0, trace.steps[t]!.domain_ids.length / 2).map(
        (domain) => quirk.rank0[t]!.grad_per_token_before_ddp_average[domain]!,
      );
      const scale = steps[t]!.tokenWeight[0]! / gradients[0]!;
      expectClose(
        steps[t]!.tokenWeight.slice(0, gradients.length),
        gradients.map((value) => value * scale),
        TOLERANCE,
        FLOOR,
      );
    }
  });
});

/** Several batches as one. */
function merged(steps: readonly TraceStep[]): TraceStep {
  return {
    domain_ids: steps.flatMap((step) => step.domain_ids),
    mask: steps.flatMap((step) => step.mask),
    loss: steps.flatMap((step) => step.loss),
    ref: steps.flatMap((step) => step.ref),
  };
}

describe("paper beside official", () => {
  interface Row {
    inputs: string;
    run: string;
    max_abs_alpha_diff: number;
    final_avg_paper: number[];
    final_avg_official: number[];
    max_abs_final_avg_diff: number;
    max_abs_loss_without_ref_diff: number;
  }
  const { rows } = readGolden<{ rows: Row[] }>("doremi/paper_vs_official.json");
  it("has runs to compare", () => expect(rows.length).toBe(20));

  it.each(rows)("$inputs $run", (row) => {
    const trace = readGolden<Trace>(`doremi/inputs_${row.inputs}.json`);
    const { eta, smoothing } = stepOf(row.run);
    const ours = followTrace({ ...paper, eta, smoothing }, trace);
    const theirs = followTrace({ ...official, eta, smoothing }, trace);
    const averageOurs = averages(ours).at(-1)!;
    const averageTheirs = averages(theirs, factsOf(trace.k).start).at(-1)!;
    // The file prints 6 digits; a difference below 1e-14 is rounding's.
    expectClose(averageOurs, row.final_avg_paper, 1e-5, FLOOR);
    expectClose(averageTheirs, row.final_avg_official, 1e-5, FLOOR);
    const alphas = ours.map((step, t) => largestDifference(step.alpha, theirs[t]!.alpha));
    expectClose([Math.max(...alphas)], [row.max_abs_alpha_diff], 1e-5, 1e-9);
    expectClose([largestDifference(averageOurs, averageTheirs)], [row.max_abs_final_avg_diff], 1e-5, 1e-9);
    const losses = ours.map((step, t) => {
      const batch = batchOf(trace.steps[t]!);
      const plain = step.tokenWeight.reduce((sum, weight, at) => sum + weight * batch.loss[at]!, 0);
      return Math.abs(plain - theirs[t]!.value);
    });
    expectClose([Math.max(...losses)], [row.max_abs_loss_without_ref_diff], 1e-5);
  });
});

function stepOf(run: string): Pick<DoReMiSettings, "eta" | "smoothing"> {
  const [, eta, smoothing] = /^eta(.+)_eps(.+)$/.exec(run)!;
  return { eta: Number(eta), smoothing: Number(smoothing) };
}

function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  return Math.max(...Array.from(a, (value, i) => Math.abs(value - b[i]!)));
}

describe("every combination of the switches", () => {
  interface Row {
    inputs: string;
    clip: "token" | "domain";
    missing: "zero" | "carry";
    carry_init: "none" | "zero" | "ln_vocab";
    smooth_to: "uniform" | "reference";
    average: "with_alpha0" | "without_alpha0";
    steps: { t: number; alpha: number[]; avg: number[] }[];
  }
  const options = readGolden<{ eta: number; eps: number; rows: Row[] }>("doremi/options.json");
  it("has rows", () => expect(options.rows.length).toBe(72));

  it.each(options.rows)("$inputs: $clip $missing $carry_init $smooth_to $average", (row) => {
    const trace = readGolden<Trace>(`doremi/inputs_${row.inputs}.json`);
    const settings: DoReMiSettings = {
      ...paper,
      eta: options.eta,
      smoothing: options.eps,
      clip: row.clip,
      missing: row.missing,
      carryStart: row.carry_init === "ln_vocab" ? "ln-vocabulary" : "zero",
      smoothToward: row.smooth_to,
      average: row.average === "with_alpha0" ? "with-start" : "without-start",
    };
    const ramp = Array.from({ length: trace.k }, (_, i) => (2 * (i + 1)) / (trace.k * (trace.k + 1)));
    const steps = followTrace(settings, trace, { reference: ramp });
    const average = averages(steps, averagesStart(settings) ? factsOf(trace.k).start : undefined);
    for (const { t, alpha, avg } of row.steps) {
      expectClose(steps[t - 1]!.alpha, alpha, TOLERANCE);
      expectClose(average[t - 1]!, avg, TOLERANCE);
    }
  });

  interface SkipRun {
    inputs: string;
    eta: number;
    eps: number;
    alpha: number[][];
  }
  it.each(readGolden<{ doremi_skip: SkipRun[] }>("own/objectives.json").doremi_skip)("$inputs: skip", (run) => {
    const steps = followTrace({ ...paper, eta: run.eta, smoothing: run.eps, missing: "skip" }, traceOf(run));
    expect(run.alpha.length).toBe(steps.length);
    for (const [t, alpha] of run.alpha.entries()) expectClose(steps[t]!.alpha, alpha, TOLERANCE, FLOOR);
  });
});

describe("other ports", () => {
  interface PortRun {
    inputs: string;
    eta?: number;
    mu?: number;
    eps: number;
    float64: { scores?: number[]; domain_losses?: number[]; alpha: number[]; avg?: number[] }[];
  }
  const runsOf = (port: string) => files.filter((name) => name.startsWith(`port_${port}_`));

  it.each(runsOf("aioli"))("%s: clips by domain and carries, from 1e-6", (name) => {
    const run = readGolden<PortRun>(`doremi/${name}`);
    const trace = traceOf(run);
    const settings: DoReMiSettings = { ...paper, eta: run.mu!, smoothing: run.eps, clip: "domain", missing: "carry" };
    const objective = createObjective(settings, factsOf(trace.k));
    let state = { ...objective.init(), carried: new Float64Array(trace.k).fill(1e-6) };
    const steps = trace.steps.map((step) => {
      const result = objective.step(state, batchOf(step));
      state = result.state as typeof state;
      return result;
    });
    const average = averages(steps);
    for (const [t, expected] of run.float64.entries()) {
      expectClose(steps[t]!.state.carried!, expected.scores!, TOLERANCE, FLOOR);
      expectClose(steps[t]!.alpha, expected.alpha, TOLERANCE, FLOOR);
      expectClose(average[t]!, expected.avg!, TOLERANCE, FLOOR);
    }
  });

  /** One token a domain, whose clipped excess is the port's own score. */
  const scored = (scores: readonly number[]) => ({
    ...tokensOf([...scores.keys()], scores),
    clipped: Float64Array.from(scores),
  });

  // What a port calls a domain's excess is its own by design: levanter sums over tokens; dataflex centres over the domains
  // in the batch; nanotron ignores the mask. Under their scores, the update is ours.
  it.each(runsOf("levanter"))("%s: from sums over tokens; the average counts the start", (name) => {
    const run = readGolden<PortRun>(`doremi/${name}`);
    const { k } = traceOf(run);
    const objective = createObjective({ ...paper, eta: run.eta!, smoothing: run.eps }, factsOf(k));
    const steps = follow(
      objective,
      run.float64.map(({ scores }) => scored(scores!)),
    );
    const average = averages(steps, factsOf(k).start);
    for (const [t, expected] of run.float64.entries()) {
      expectClose(steps[t]!.alpha, expected.alpha, TOLERANCE, FLOOR);
      expectClose(average[t]!, expected.avg!, TOLERANCE, FLOOR);
    }
  });

  it.each(runsOf("dataflex"))("%s: from scores centred over the domains in the batch", (name) => {
    const run = readGolden<PortRun>(`doremi/${name}`);
    const trace = traceOf(run);
    const objective = createObjective({ ...paper, eta: run.eta!, smoothing: run.eps }, factsOf(trace.k));
    const batches = run.float64.map(({ scores }, t) => {
      const { tokens, domains } = batchOf(trace.steps[t]!);
      const present = new Set([...domains].filter((_, row) => tokens[row]! > 0));
      const mean = [...present].reduce((sum, d) => sum + scores![d]!, 0) / present.size;
      return scored(scores!.map((s, d) => (present.has(d) ? Math.min(Math.max(s - mean, -5), 5) : 0)));
    });
    const steps = follow(objective, batches);
    const average = averages(steps);
    for (const [t, expected] of run.float64.entries()) {
      expectClose(steps[t]!.alpha, expected.alpha, TOLERANCE, FLOOR);
      expectClose(average[t]!, expected.avg!, TOLERANCE, FLOOR);
    }
  });

  it.each(runsOf("nanotron"))("%s: every step is the first", (name) => {
    const run = readGolden<PortRun>(`doremi/${name}`);
    const objective = createObjective({ ...paper, eta: run.eta!, smoothing: run.eps }, factsOf(traceOf(run).k));
    for (const { domain_losses, alpha } of run.float64) {
      expectClose(objective.step(objective.init(), scored(domain_losses!)).alpha, alpha, TOLERANCE, FLOOR);
    }
  });

  it("has runs of each", () => {
    expect(["aioli", "levanter", "dataflex", "nanotron"].map((port) => runsOf(port).length)).toEqual([10, 5, 5, 5]);
  });
});

describe("what must not happen", () => {
  it.each(Object.entries(DOREMI_PRESETS))("%s: a fully masked domain makes no NaN and has no gradient", (_, preset) => {
    const quirk = readGolden<Trace & { masked_domain: number; official_float64: { scores: (number | "NaN")[] }[] }>(
      "doremi/quirk_fully_masked_domain.json",
    );
    const steps = followTrace(preset, quirk);
    const [first, second] = steps;
    for (const { alpha, tokenWeight, value } of steps) {
      expect([...alpha, ...tokenWeight, value].every(Number.isFinite)).toBe(true);
    }
    expect(quirk.official_float64[1]!.scores[quirk.masked_domain]).toBe("NaN"); // what theirs is
    // It is missing, like a domain without a row: its excess is the last one, or 0.
    if (preset.missing === "carry") {
      expect(second!.state.carried![quirk.masked_domain]).toBe(first!.state.carried![quirk.masked_domain]);
    }
    const without = quirk.steps[1]!;
    const keep = [...without.domain_ids.keys()].filter((row) => without.domain_ids[row] !== quirk.masked_domain);
    const removed = Object.fromEntries(
      (["domain_ids", "mask", "loss", "ref"] as const).map((name) => [name, keep.map((row) => without[name][row]!)]),
    ) as unknown as TraceStep;
    const same = followTrace(preset, { ...quirk, steps: [quirk.steps[0]!, removed] })[1]!;
    expectClose(second!.alpha, [...same.alpha], 1e-14);
    for (const [row, domain] of without.domain_ids.entries()) {
      if (domain === quirk.masked_domain) expect(second!.tokenWeight[row]).toBe(0);
    }
  });

  it("does not overflow with a huge step size", () => {
    const objective = createObjective({ ...paper, eta: 10 }, factsOf(3));
    const { alpha } = objective.step(objective.init(), tokensOf([0, 1, 2], [5000, 10, 0]));
    expectClose(alpha, [0.999 + 0.001 / 3, 0.001 / 3, 0.001 / 3], 1e-12);
  });

  it("a weight that has vanished stays so without smoothing, even if its excess is the largest", () => {
    const objective = createObjective({ ...paper, smoothing: 0 }, factsOf(3, { start: [0, 0.5, 0.5] }));
    const { alpha } = objective.step(objective.init(), tokensOf([0, 1, 2], [2000, 1, 1]));
    expectClose(alpha, [0, 0.5, 0.5], 1e-14);
  });
});
