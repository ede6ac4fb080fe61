/** One step, however it is executed: in host memory or a device's, at once or in parts. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createCpuEngine } from "../../src/engine/cpu.ts";
import type { Engine } from "../../src/engine/engine.ts";
import { sequenceStatistics } from "../../src/mixture/objective.ts";
import { DOREMI_PRESETS } from "../../src/mixture/objective-settings.ts";
import { completeObjective } from "../../src/stages/proxy/objective.ts";
import { initializeWeights } from "../../src/trainer/initialization.ts";
import { parameterShapes } from "../../src/trainer/model.ts";
import { gradientProgram } from "../../src/trainer/programs.ts";
import type { InitialState, Stepper, StepperSetup, StepRequest } from "../../src/trainer/step/contract.ts";
import { DeviceStepper } from "../../src/trainer/step/device.ts";
import { HostStepper } from "../../src/trainer/step/host.ts";
import { initLossScale, nextLossScale } from "../../src/trainer/step/loss-scale.ts";
import { ADAMW, randomBatch, steppedProxyOf, TINY } from "./tiny.ts";

const [B, K, STEPS] = [6, 3, 8];
const T = TINY.sequenceLength;
/** float32 sums in another order, through Adam's division by tiny numbers */
const TOLERANCE = 2e-4;

let engine: Engine;
beforeAll(async () => {
  engine = await createCpuEngine({ threads: 1 });
});
afterAll(() => engine.close());

const { parameters } = initializeWeights(TINY, 1);
const initial: InitialState = (name) =>
  name.startsWith("parameter/") ? parameters[name.slice("parameter/".length)]!.slice() : undefined;

function setup(more: Partial<StepperSetup> = {}): StepperSetup {
  return {
    engine,
    model: TINY,
    optimizer: ADAMW,
    steps: STEPS,
    batchSize: B,
    microBatch: B,
    accumulation: "exact",
    recompute: false,
    precision: "float32",
    evaluates: false,
    ...more,
  };
}
const PROXY = { proxy: steppedProxyOf(K) };

/** Losses of all steps and the parameters after the last; a proxy's weights follow from the losses as in a training. */
async function course(stepper: Stepper, proxy: boolean, lossScale = 1, host = PROXY.proxy.host) {
  let before: NonNullable<StepRequest["before"]> = { state: host.init(), alpha: new Float64Array(K).fill(1 / K) };
  const reference = new Float32Array(B * T).fill(4);
  const losses: number[] = [];
  const norms: number[] = [];
  for (let step = 1; step <= STEPS; step++) {
    const batch = randomBatch(TINY, B, K, step);
    const request: StepRequest = { step, batch, ...(proxy && { reference, before }) };
    const [outcome] = await stepper.run([request], lossScale);
    losses.push(...outcome!.losses);
    norms.push(outcome!.gradientNorm);
    if (proxy) before = host.step(before.state, sequenceStatistics({ ...batch, loss: outcome!.losses, reference }));
  }
  const state = await stepper.read();
  await stepper.close();
  return { losses, norms, alpha: before.alpha, state };
}

function expectClose(found: ArrayLike<number>, expected: ArrayLike<number>, tolerance = TOLERANCE): void {
  expect(found.length).toBe(expected.length);
  for (let i = 0; i < expected.length; i++) expect(Math.abs(found[i]! - expected[i]!)).toBeLessThan(tolerance);
}

function expectSame(found: Awaited<ReturnType<typeof course>>, expected: Awaited<ReturnType<typeof course>>): void {
  expectClose(found.losses, expected.losses);
  expectClose(found.norms, expected.norms);
  expectClose(found.alpha, expected.alpha);
  expect(Object.keys(found.state).sort()).toEqual(Object.keys(expected.state).sort());
  for (const [name, { data, shape }] of Object.entries(expected.state)) {
    expect(found.state[name]!.shape).toEqual(shape);
    expectClose(found.state[name]!.data as Float32Array, data as Float32Array);
  }
}

describe.each([
  ["reference", false],
  ["proxy", true],
])("a %s's step", (_, proxy) => {
  const more = proxy ? PROXY : {};

  test("is the same in host memory and in a device's", async () => {
    const host = await course(await HostStepper.create(setup(more), initial), proxy);
    const device = await course(await DeviceStepper.create(setup(more), initial), proxy);
    expectSame(device, host);
    // and it learns: otherwise anything would agree
    expect(host.losses.slice(-B * T).every((loss, i) => loss !== host.losses[i])).toBe(true);
  });

  test.each([1, 2, 3])("in exact parts of %i sequences is the step of the whole batch", async (microBatch) => {
    const whole = await course(await HostStepper.create(setup(more), initial), proxy);
    for (const kind of [HostStepper, DeviceStepper])
      expectSame(await course(await kind.create(setup({ ...more, microBatch }), initial), proxy), whole);
  });

  test("at a loss scale is the step without", async () => {
    const plain = await course(await HostStepper.create(setup(more), initial), proxy);
    // float16 is what the scale is for; the CPU's float32 shows that it cancels
    const scaled = { ...setup(more), precision: "float16" as const, engine: withoutPrecision(engine) };
    expectSame(await course(await HostStepper.create(scaled, initial), proxy, 1024), plain);
  });

  test("stops between two parts, and nothing has changed", async () => {
    const controller = new AbortController();
    const stepper = await HostStepper.create(setup({ ...more, microBatch: 2 }), initial);
    const request = {
      step: 1,
      batch: randomBatch(TINY, B, K, 1),
      reference: new Float32Array(B * T),
      before: { state: PROXY.proxy.host.init(), alpha: new Float64Array(K).fill(1 / K) },
    };
    controller.abort();
    await expect(stepper.run([request], 1, controller.signal)).rejects.toThrow(/between the parts/);
    const state = await stepper.read();
    for (const [name, { data }] of Object.entries(state))
      expect(data).toEqual(initial(name) ?? new Float32Array(data.length));
    await stepper.close();
  });
});

/** One of every kind, with the settings that make it do most. */
const OBJECTIVES = [
  { ...DOREMI_PRESETS.official, eta: 0.5 },
  { ...DOREMI_PRESETS.paper, clip: "domain", missing: "skip", smoothToward: "reference" },
  { name: "group-dro", stepSize: 0.1, adjustment: 2 },
  { name: "group-dro", stepSize: 0.1, normalizeLoss: true },
  { name: "group-dro", update: "best-response", fraction: 0.5, minWeight: 0.1 },
  { name: "topic-cvar", fraction: 0.4 },
  { name: "topic-cvar", fraction: 0.4, baseline: "none" },
  { name: "cvar", size: 0.4, regularization: 0.1 },
  { name: "cvar", size: 0.4, over: "sequences" },
  { name: "chi-square", size: 0.2 },
  { name: "chi-square", size: 2, regularization: 0.3, over: "sequences", losses: "loss" },
  { name: "kl", size: 0.1 },
  { name: "kl", size: 1, regularization: 0.2, over: "sequences" },
  { name: "erm" },
].map((settings) => completeObjective.parse(settings));

test.each(OBJECTIVES.map((objective) => [JSON.stringify(objective), objective] as const))(
  "the graph's weights make the step of those in float64: %s",
  async (_, objective) => {
    const proxy = steppedProxyOf(K, objective);
    // A whole batch takes its weights from the graph, one in exact parts from the host.
    const graph = await course(await HostStepper.create(setup({ proxy }), initial), true, 1, proxy.host);
    const host = await course(await HostStepper.create(setup({ proxy, microBatch: 3 }), initial), true, 1, proxy.host);
    expectSame(graph, host);
    const plain = await course(await HostStepper.create(setup(), initial), false);
    const [found, erm] = [graph, plain].map(({ state }) => state["parameter/wte.weight"]!.data as Float32Array);
    const differs = found!.some((value, i) => Math.abs(value - erm![i]!) > 10 * TOLERANCE);
    expect(differs).toBe(objective.name !== "erm"); // or any weights would do
  },
);

test("stale parts: all but the last take the weights of the step before", async () => {
  const microBatch = 2;
  const parts = B / microBatch;
  const batch = randomBatch(TINY, B, K, 1);
  const reference = new Float32Array(B * T).fill(3);
  const alpha = Float64Array.of(0.5, 0.3, 0.2);
  const before = { state: { alpha }, alpha };
  const request: StepRequest = { step: 1, batch, reference, before };
  const stale = await HostStepper.create(setup({ ...PROXY, microBatch, accumulation: "stale" }), initial);
  const [outcome] = await stale.run([request], 1);
  // The weights of each token by the rule, and a plain step on their sum.
  const sequences = sequenceStatistics({ ...batch, loss: outcome!.losses, reference });
  const updated = PROXY.proxy.host.step(before.state, sequences).alpha;
  const weights = new Float32Array(B * T);
  for (let part = 0; part < parts; part++) {
    const from = part * microBatch * T;
    const to = from + microBatch * T;
    const tokens = new Float64Array(K);
    const domainAt = (at: number): number => batch.domains[Math.floor(at / T)]!;
    for (let at = from; at < to; at++) tokens[domainAt(at)]! += batch.mask[at]!;
    const used = part === parts - 1 ? updated : alpha;
    for (let at = from; at < to; at++)
      if (batch.mask[at]! > 0) weights[at] = used[domainAt(at)]! / tokens[domainAt(at)]! / parts;
  }
  const norm = await gradientNormOf(weights, batch);
  expect(Math.abs(outcome!.gradientNorm - norm) / norm).toBeLessThan(1e-5); // float32 sums in another order
  await stale.close();
});

test("the loss scale halves at an overflow, doubles after 2,000 steps without, and gives up at 1", () => {
  let state = initLossScale("float16");
  expect(state.scale).toBe(2 ** 15);
  state = nextLossScale(state, 0)!;
  expect(state.scale).toBe(2 ** 14);
  for (let step = 0; step < 1999; step++) state = nextLossScale(state, 1)!;
  expect(state.scale).toBe(2 ** 14);
  state = nextLossScale(state, 1)!;
  expect(state.scale).toBe(2 ** 15);
  for (let halvings = 0; halvings < 15; halvings++) state = nextLossScale(state, 0)!;
  expect(state.scale).toBe(1);
  expect(nextLossScale(state, 0)).toBeNull();
  expect(nextLossScale(initLossScale("float32"), 0)).toBeNull();
  expect(nextLossScale(initLossScale("bfloat16"), 16)).toEqual(initLossScale("bfloat16"));
});

/** An engine that computes in float32 whatever it is asked for. */
function withoutPrecision(engine: Engine): Engine {
  return {
    name: engine.name,
    device: engine.device,
    memory: engine.memory,
    precisions: ["float32", "float16"],
    runsAtOnce: engine.runsAtOnce,
    tensor: (data, shape) => engine.tensor(data, shape),
    compile: (program) => engine.compile(program),
    close: () => engine.close(),
  };
}

/** Of Σ weight · loss, from the program itself. */
async function gradientNormOf(weights: Float32Array, batch: ReturnType<typeof randomBatch>): Promise<number> {
  const program = gradientProgram({ model: TINY, rows: B, objective: { kind: "weighted" }, recompute: false });
  const executable = await engine.compile(program);
  const shape = [B, T];
  const outputs = await executable.run({
    ...Object.fromEntries(
      Object.entries(parameterShapes(TINY)).map(([name, dims]) => [
        `parameter/${name}`,
        engine.tensor(parameters[name]!, dims),
      ]),
    ),
    inputs: engine.tensor(batch.inputs, shape),
    targets: engine.tensor(batch.targets, shape),
    tokenWeight: engine.tensor(weights, shape),
  });
  let squares = 0;
  for (const [name, tensor] of Object.entries(outputs))
    if (name.startsWith("gradient/")) for (const value of await tensor.read()) squares += value * value;
  await executable.close();
  return Math.sqrt(squares);
}
