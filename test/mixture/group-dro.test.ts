import { describe, expect, it } from "vitest";
import type { GroupDroSettings } from "../../src/mixture/objective-settings.ts";
import { createObjective } from "../../src/mixture/objectives.ts";
import { expectClose, readGolden } from "./golden.ts";
import { factsOf, follow, tokensOf } from "./traces.ts";

interface Golden {
  name: string;
  group_counts: number[];
  steps: { group: number[]; loss: number[] }[];
  runs: {
    id: string;
    alpha: number;
    gamma: number;
    step_size?: number;
    adj?: number[];
    normalize_loss?: boolean;
    btl?: boolean;
    min_var_weight?: number;
    float64: {
      q: number[];
      weights: number[];
      ema: number[];
      ema_set: number[];
      loss: number;
      grad_per_sample: (number | null)[];
    }[];
  }[];
}

const DEFAULTS: GroupDroSettings = {
  name: "group-dro",
  stepSize: 0.01,
  adjustment: 0,
  adjustments: null,
  normalizeLoss: false,
  update: "online",
  fraction: 0.2,
  decay: 0.1,
  minWeight: 0,
};
const TOLERANCE = 1e-12; // the records' own; sums of a few doubles

const traces = ["g4", "g6_rare", "g2"].map((name) => readGolden<Golden>(`group_dro/${name}.json`));
const batchesOf = ({ steps }: Golden) => steps.map(({ group, loss }) => tokensOf(group, loss));

/** Samples are sequences of one token. */
function objectiveOf({ group_counts }: Golden, settings: Partial<GroupDroSettings>) {
  return createObjective({ ...DEFAULTS, ...settings }, factsOf(group_counts.length, { sizes: group_counts }));
}

function settingsOf(run: Golden["runs"][number]): GroupDroSettings {
  return {
    ...DEFAULTS,
    stepSize: run.step_size ?? DEFAULTS.stepSize,
    adjustments: run.adj ?? null,
    normalizeLoss: run.normalize_loss ?? false,
    update: run.btl ? "best-response" : "online",
    fraction: run.alpha,
    decay: run.gamma,
    minWeight: run.min_var_weight ?? 0,
  };
}

describe("the authors' code on the golden losses", () => {
  const runs = traces.flatMap((trace) => trace.runs.map((run) => ({ trace, run, name: trace.name, id: run.id })));
  it("has runs to follow", () => expect(runs.length).toBe(24));

  it.each(runs)("$name $id", ({ trace, run, id }) => {
    const settings = settingsOf(run);
    // One C of 0 switches all of them off in theirs, and only its own in ours.
    const theirs = id === "online_C_one_zero" ? { ...settings, adjustments: null } : settings;
    const steps = follow(objectiveOf(trace, theirs), batchesOf(trace));
    expect(run.float64.length).toBe(50);
    for (const [t, expected] of run.float64.entries()) {
      const { alpha, state, value, tokenWeight } = steps[t]!;
      expectClose(alpha, expected.weights, TOLERANCE, 1);
      if (!run.btl) expectClose(state.alpha!, expected.q, TOLERANCE, 1);
      expectClose(state.running!, expected.ema, TOLERANCE, 1);
      expectClose(state.seen!, expected.ema_set, 0);
      expectClose([value], [expected.loss], TOLERANCE, 1);
      const gradients = trace.steps[t]!.group.map((group) => expected.grad_per_sample[group]!);
      expectClose(tokenWeight, gradients, TOLERANCE, 1);
    }
  });
});

describe("where ours differs from the authors' code", () => {
  const g4 = traces[0]!;

  it("C of 0 for one domain leaves the others theirs", () => {
    const own = readGolden<{ adjustments: { C: number[]; eta: number; q: number[][] } }>("own/objectives.json");
    const { C, eta, q } = own.adjustments;
    const steps = follow(objectiveOf(g4, { adjustments: C, stepSize: eta }), batchesOf(g4));
    for (const [t, expected] of q.entries()) expectClose(steps[t]!.alpha, expected, TOLERANCE, 1);
  });

  it("null in adjustments stands for adjustment", () => {
    const given = follow(objectiveOf(g4, { adjustments: [0, 2, 2, 0.5] }), batchesOf(g4));
    const mixed = follow(objectiveOf(g4, { adjustment: 2, adjustments: [0, null, null, 0.5] }), batchesOf(g4));
    expect(mixed).toEqual(given);
  });

  it("held-out gaps adjust each domain from when they were measured", () => {
    const { held_out: own } = readGolden<{
      held_out: { eta: number; decay: number; after_step: Record<string, (number | null)[]>; q: number[][] };
    }>("own/objectives.json");
    const objective = objectiveOf(g4, { adjustment: "held-out", stepSize: own.eta, decay: own.decay });
    const steps = follow(objective, batchesOf(g4), (state, index) => {
      const heldOut = own.after_step[String(index)];
      return heldOut
        ? objective.observe!(
            state,
            heldOut.map((loss) => loss ?? Number.NaN),
          )
        : state;
    });
    for (const [t, expected] of own.q.entries()) expectClose(steps[t]!.alpha, expected, TOLERANCE, 1);
  });

  it("best response over all the data gives every domain its share, where theirs has no answer", () => {
    const quirk = readGolden<{ btl_alpha_1: { group_counts: number[]; alpha: number; error: string } }>(
      "group_dro/quirks.json",
    ).btl_alpha_1;
    expect(quirk.error).toMatch(/IndexError/);
    expect(quirk.group_counts).toEqual(g4.group_counts);
    const steps = follow(objectiveOf(g4, { update: "best-response", fraction: quirk.alpha }), batchesOf(g4));
    const total = quirk.group_counts.reduce((a, b) => a + b, 0);
    const shares = quirk.group_counts.map((count) => count / total);
    for (const { alpha } of steps) expectClose(alpha, shares, TOLERANCE, 1);
  });
});

describe("what must not happen", () => {
  const facts = factsOf(3, { sizes: [4096, 1024, 0], sequenceLength: 1024 });
  const batch = tokensOf([0, 1], [2, 1]);

  it("n counts sequences, one at least", () => {
    // √4 and √1: C of 2 and 1 are the same adjustment, and a domain without a sequence has that of one.
    const objective = createObjective({ ...DEFAULTS, stepSize: 1, adjustments: [2, 1, 1] }, facts);
    const { alpha, value } = objective.step(objective.init(), batch);
    const exp = [Math.exp(2 + 1), Math.exp(1 + 1), Math.exp(0 + 1)];
    const sum = exp.reduce((a, b) => a + b, 0);
    expectClose(alpha, [...exp.map((x) => x / sum)], 1e-14);
    expectClose([value], [(3 * exp[0]! + 2 * exp[1]! + exp[2]!) / sum], 1e-14);
  });

  it("normalised losses that add up to nothing move nobody", () => {
    const objective = createObjective({ ...DEFAULTS, stepSize: 1, normalizeLoss: true }, facts);
    expectClose(objective.step(objective.init(), tokensOf([0, 1], [0, 0])).alpha, [...facts.start], 1e-15);
  });

  it("looks at held-out losses only where an adjustment comes from them", () => {
    expect(createObjective(DEFAULTS, facts).observe).toBeUndefined();
    expect(
      createObjective({ ...DEFAULTS, adjustment: "held-out", adjustments: [1, 1, 1] }, facts).observe,
    ).toBeUndefined();
    expect(createObjective({ ...DEFAULTS, adjustment: "held-out" }, facts).observe).toBeDefined();
  });

  it("a held-out loss of a domain that no batch has held changes nothing, one that is infinite is refused", () => {
    const objective = createObjective({ ...DEFAULTS, adjustment: "held-out" }, facts);
    const { state } = objective.step(objective.init(), batch);
    const before = JSON.stringify(state);
    expect([...objective.observe!(state, [2.5, Number.NaN, 9]).gap!]).toEqual([0.5, 0, 0]);
    expect(JSON.stringify(state)).toBe(before);
    expect(() => objective.observe!(state, [1, Number.POSITIVE_INFINITY, 1])).toThrow(
      expect.objectContaining({ code: "non-finite-excess", message: expect.stringMatching(/domain 1.*Infinity/) }),
    );
  });
});
