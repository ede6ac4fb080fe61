/**
 * Every objective inside a graph against its float64 twin, over several steps of random batches: op by op in
 * TensorFlow.js's CPU backend, and traced and run by the ONNX engine. Each step starts from the twin's state, as in
 * training, and the state after it must be the twin's too.
 */
import type { Tensor } from "@tensorflow/tfjs-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createCpuEngine } from "../../src/engine/cpu.ts";
import type { Engine, Program, TensorSpec } from "../../src/engine/engine.ts";
import { loadTensorFlow, type TensorFlow } from "../../src/engine/tensorflow.ts";
import { Rng } from "../../src/lib/rng.ts";
import type { ObjectiveFacts, ObjectiveState, SequenceStatistics } from "../../src/mixture/objective.ts";
import {
  type BallSettings,
  DOREMI_PRESETS,
  type DoReMiSettings,
  type GroupDroSettings,
  type ObjectiveSettings,
} from "../../src/mixture/objective-settings.ts";
import { createObjective } from "../../src/mixture/objectives.ts";
import type { SequenceSums } from "../../src/trainer/objectives/graph-objective.ts";
import { createGraphObjective } from "../../src/trainer/objectives.ts";
import { type HostTensor, runCompiled, runEagerly } from "../engine/run.ts";

/** Weights are at most 1; a float32 sum of some hundred losses is right to about 1e-6 of its size. */
const TOLERANCE = 1e-5;

const PAPER: DoReMiSettings = DOREMI_PRESETS.paper;
const OFFICIAL: DoReMiSettings = DOREMI_PRESETS.official;
const GROUP_DRO: GroupDroSettings = {
  name: "group-dro",
  stepSize: 0.5,
  adjustment: 0,
  adjustments: null,
  normalizeLoss: false,
  update: "online",
  fraction: 0.3,
  decay: 0.2,
  minWeight: 0,
};
const ball = (name: BallSettings["name"], size: number, regularization = 0): BallSettings => ({
  name,
  size,
  regularization,
  over: "domains",
  losses: "excess",
});
const BALLS: readonly BallSettings[] = [
  ball("cvar", 0.5),
  ball("cvar", 0.05),
  ball("cvar", 1),
  ball("cvar", 0.3, 0.1),
  ball("cvar", 0.7, 2),
  ball("chi-square", 1),
  ball("chi-square", 0.01),
  ball("chi-square", 0),
  ball("chi-square", 1000),
  ball("chi-square", 0.5, 0.2),
  ball("chi-square", 0.05, 0.01),
  ball("kl", 0.5),
  ball("kl", 0.001),
  ball("kl", 0),
  ball("kl", 20),
  ball("kl", 0.5, 0.3),
  ball("kl", 0.1, 0.01),
];

const CASES: readonly (readonly [string, ObjectiveSettings])[] = [
  ["erm", { name: "erm" }],
  ["doremi, paper", PAPER],
  ["doremi, official", OFFICIAL],
  ["doremi, clipped by domain, carrying zero", { ...PAPER, clip: "domain", missing: "carry" }],
  ["doremi, skipping, toward the reference", { ...PAPER, eta: 0.3, missing: "skip", smoothToward: "reference" }],
  ["doremi, skipping without smoothing, weighted by token", { ...OFFICIAL, missing: "skip", smoothing: 0 }],
  ["group-dro", GROUP_DRO],
  ["group-dro, adjusted, normalised", { ...GROUP_DRO, adjustment: 2, normalizeLoss: true }],
  ["group-dro, adjusted by held-out loss", { ...GROUP_DRO, adjustment: "held-out" }],
  ["group-dro, best response", { ...GROUP_DRO, update: "best-response", adjustment: 1, minWeight: 0.1 }],
  ["group-dro, best response over all", { ...GROUP_DRO, update: "best-response", fraction: 1 }],
  ["topic-cvar", { name: "topic-cvar", fraction: 0.2, decay: 0.1, baseline: "reference" }],
  ["topic-cvar of losses", { name: "topic-cvar", fraction: 0.6, decay: 1, baseline: "none" }],
  ...BALLS.flatMap((settings) =>
    (["domains", "sequences"] as const).map(
      (over) =>
        [
          `${settings.name} of ${settings.size} over ${over}, penalty ${settings.regularization}`,
          { ...settings, over },
        ] as const,
    ),
  ),
];

/** Some domains are in no batch for a while, the first batch holds one domain only, and a sequence may have no token. */
const SHAPES = [
  { name: "3 domains, 12 sequences", domains: 3, sequences: 12 },
  { name: "22 domains, 64 sequences", domains: 22, sequences: 64 },
  { name: "one domain", domains: 1, sequences: 4 },
  { name: "one sequence", domains: 4, sequences: 1 },
] as const;

const STEPS = 6;
const LENGTH = 16;

function shares(rng: Rng, count: number): number[] {
  const raw = Array.from({ length: count }, (_, i) => 0.2 + rng.uniform(i));
  const total = raw.reduce((sum, share) => sum + share, 0);
  return raw.map((share) => share / total);
}

function factsOf(domains: number): ObjectiveFacts {
  const of = (name: string) => shares(new Rng(3, name), domains);
  return {
    domains,
    start: of("start"),
    sampling: of("sampling"),
    reference: of("reference"),
    sizes: of("sizes").map((share) => Math.round(1e5 * share)),
    sequenceLength: LENGTH,
    vocabularySize: 512,
  };
}

/** Sums of sequences whose tokens' losses are around 3 and whose excess is around 0.2, both by domain. */
function randomBatch(sequences: number, domains: number, step: number): SequenceStatistics {
  const rng = new Rng(11, `batch/${step}`);
  const drawn = (at: number) => Math.floor(domains * rng.uniform(at));
  const ids = Int32Array.from({ length: sequences }, (_, b) =>
    step === 0 ? domains - 1 : drawn(b) === (step < 4 ? domains - 1 : 0) ? drawn(b + sequences) : drawn(b),
  );
  const tokens = Float64Array.from({ length: sequences }, (_, b) =>
    sequences > 1 && b % 7 === 3 ? 0 : 1 + Math.floor(LENGTH * rng.uniform(2 * sequences + b)),
  );
  const signed = tokens.map(
    (count, b) => count * (1.2 * rng.uniform(3 * sequences + b) - 0.4 + (0.3 * ids[b]!) / domains),
  );
  return {
    domains: ids,
    tokens,
    loss: tokens.map((count, b) => 3 * count + signed[b]!),
    excess: signed,
    clipped: signed.map((excess, b) => Math.max(excess, 0) + 0.1 * tokens[b]!),
  };
}

function programOf(settings: ObjectiveSettings, facts: ObjectiveFacts, sequences: number): Program {
  const objective = createGraphObjective(settings, facts);
  const floats = (length: number): TensorSpec => ({ shape: [length], dtype: "float32" });
  const sums = ["tokens", "loss", "excess", "clipped"].map((name) => [name, floats(sequences)] as const);
  const state = Object.entries(objective.state).map(([name, length]) => [`state/${name}`, floats(length)] as const);
  return {
    name: settings.name,
    inputs: {
      domains: { shape: [sequences], dtype: "int32" },
      ...Object.fromEntries(sums),
      ...Object.fromEntries(state),
    },
    build(tf, given) {
      const before = Object.fromEntries(state.map(([name]) => [name.slice("state/".length), given[name]!]));
      const batch = given as unknown as SequenceSums;
      const step = objective.step(tf, before, batch);
      const weighed: Record<string, Tensor> = objective.weigh
        ? { weighed: objective.weigh(tf, step.alpha, batch) }
        : {};
      const after = Object.entries(step.state).map(([name, tensor]) => [`next/${name}`, tensor] as const);
      return { ...Object.fromEntries(after), alpha: step.alpha, tokenWeight: step.tokenWeight, ...weighed };
    },
  };
}

function inputsOf(batch: SequenceStatistics, state: ObjectiveState): Record<string, HostTensor> {
  const floats = (values: Float64Array): HostTensor => ({ data: Float32Array.from(values), shape: [values.length] });
  return {
    domains: { data: batch.domains, shape: [batch.domains.length] },
    ...Object.fromEntries(
      (["tokens", "loss", "excess", "clipped"] as const).map((name) => [name, floats(batch[name])]),
    ),
    ...Object.fromEntries(Object.entries(state).map(([name, values]) => [`state/${name}`, floats(values)])),
  };
}

let engine: Engine;
let tf: TensorFlow;
beforeAll(async () => {
  tf = await loadTensorFlow();
  engine = await createCpuEngine({ threads: 1 });
});
afterAll(() => engine.close());

function expectClose(found: HostTensor, expected: ArrayLike<number>, scale: number, what: string): void {
  expect(found.data.length, what).toBe(expected.length);
  for (let i = 0; i < expected.length; i++) {
    const difference = Math.abs(found.data[i]! - expected[i]!) / scale;
    expect(difference, `${what}[${i}]: ${found.data[i]}, not ${expected[i]}`).toBeLessThan(TOLERANCE);
  }
}

async function expectTwin(
  settings: ObjectiveSettings,
  facts: ObjectiveFacts,
  batches: readonly SequenceStatistics[],
): Promise<void> {
  const objective = createObjective(settings, facts);
  const program = programOf(settings, facts, batches[0]!.domains.length);
  const executable = await engine.compile(program);
  let state = objective.init();
  for (const [at, batch] of batches.entries()) {
    const inputs = inputsOf(batch, state);
    const expected = objective.step(state, batch);
    const ways = {
      eager: await runEagerly(tf, program, inputs),
      traced: await runCompiled(engine, executable, inputs),
    };
    for (const [way, found] of Object.entries(ways)) {
      const where = `${way}, step ${at + 1}`;
      // Per token: relative to the largest, which is a domain's weight ÷ its tokens.
      const largest = Math.max(...expected.tokenWeight, Number.MIN_VALUE);
      expectClose(found.tokenWeight!, expected.tokenWeight, largest, `${where} tokenWeight`);
      expectClose(found.alpha!, expected.alpha, 1, `${where} alpha`);
      expect(Object.keys(found).filter((name) => name.startsWith("next/"))).toEqual(
        Object.keys(expected.state).map((name) => `next/${name}`),
      );
      for (const [name, values] of Object.entries(expected.state)) {
        const scale = Math.max(1, ...values.map(Math.abs));
        expectClose(found[`next/${name}`]!, values, scale, `${where} state ${name}`);
      }
      expect(found.weighed === undefined, where).toBe(objective.weigh === undefined);
      if (objective.weigh)
        expectClose(found.weighed!, objective.weigh(expected.alpha, batch), largest, `${where} weighed`);
    }
    state = expected.state;
  }
  await executable.close();
}

describe("a graph's objective is its float64 twin", () => {
  describe.each(SHAPES)("$name", ({ domains, sequences }) => {
    const facts = factsOf(domains);
    const batches = Array.from({ length: STEPS }, (_, step) => randomBatch(sequences, domains, step));
    test.each(CASES)("%s", (_name, settings) => expectTwin(settings, facts, batches));
  });

  test.each(CASES)("%s, of a batch without any token", async (_name, settings) => {
    const { domains, tokens } = randomBatch(4, 3, 1);
    const nothing = tokens.map(() => 0);
    await expectTwin(settings, factsOf(3), [
      { domains, tokens: nothing, loss: nothing, excess: nothing, clipped: nothing },
    ]);
  });
});
