/**
 * A program repeated in one graph does, bit by bit, what single runs do one after another: for a recurrence that can be
 * followed by hand, for the training programs, and for whole trainings as the CUDA engine runs them.
 */
import type { Tensor } from "@tensorflow/tfjs-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createCpuEngine } from "../../src/engine/cpu.ts";
import type { Engine, EngineTensor, Program, TensorData } from "../../src/engine/engine.ts";
import { elements } from "../../src/engine/graph.ts";
import { repeatGraph } from "../../src/engine/loop.ts";
import { loadOrt, OrtEngine } from "../../src/engine/ort.ts";
import { loadTensorFlow, type TensorFlow } from "../../src/engine/tensorflow.ts";
import { traceProgram } from "../../src/engine/trace.ts";
import { Rng } from "../../src/lib/rng.ts";
import { initializeWeights } from "../../src/trainer/initialization.ts";
import { parameterShapes } from "../../src/trainer/model.ts";
import { graphOptimizer } from "../../src/trainer/optimizer.ts";
import { batchInputs, stepProgram } from "../../src/trainer/programs.ts";
import { ADAMW, adaptiveObjective } from "../trainer/tiny.ts";
import { COURSE_MODELS, expectSameCourse, runCourse } from "./course.ts";

let engine: Engine;
let tf: TensorFlow;
beforeAll(async () => {
  tf = await loadTensorFlow();
  engine = await createCpuEngine({ threads: 1 });
});
afterAll(() => engine.close());

const float = (...shape: number[]) => ({ shape, dtype: "float32" as const });

/** next/x = x·w + b·r, seen = Σx; b is given per run, as is the scalar r. */
const PROGRAM: Program = {
  name: "recurrence",
  inputs: { x: float(2, 2), w: float(2, 2), b: float(2), r: float() },
  build: (tf, { x, w, b, r }) => ({
    "next/x": tf.add(tf.matMul(x as Tensor, w as Tensor), tf.mul(b!, r!)),
    seen: tf.sum(x!),
  }),
};

/** The CUDA engine's shape on the processor: nothing is updated in place, and one call holds several steps. */
async function deviceEngine(runsAtOnce: number): Promise<Engine> {
  return new OrtEngine(await loadOrt(), {
    name: "cuda",
    device: "the processor in its place",
    memory: "device",
    precisions: ["float32"],
    runsAtOnce,
    session: { executionProviders: ["cpu"], intraOpNumThreads: 1, logSeverityLevel: 3 },
  });
}

const values = (tensor: EngineTensor | undefined) => tensor!.read().then((data) => Array.from(data));

describe("repeat", () => {
  test("carries, slices and stacks", async () => {
    const executable = await engine.compile(PROGRAM, { repeat: { runs: 3, perRun: ["b", "r"] } });
    const outputs = await executable.run({
      x: engine.tensor(Float32Array.of(1, 0, 0, 1), [2, 2]),
      w: engine.tensor(Float32Array.of(2, 0, 0, 3), [2, 2]),
      b: engine.tensor(Float32Array.of(1, 2, 3, 4, 5, 6), [3, 2]),
      r: engine.tensor(Float32Array.of(1, 10, 100), [3]),
    });
    // x: [1 0; 0 1] → [3 2; 1 5] → [36 46; 32 55] → [572 738; 564 765]
    expect(await values(outputs["next/x"])).toEqual([572, 738, 564, 765]);
    expect(await values(outputs.seen)).toEqual([2, 11, 169]);
    expect(outputs.seen!.shape).toEqual([3]);
    await executable.close();
  });

  test("one run is the program with an axis more", async () => {
    const executable = await engine.compile(PROGRAM, { repeat: { runs: 1, perRun: [] } });
    const outputs = await executable.run({
      x: engine.tensor(Float32Array.of(1, 0, 0, 1), [2, 2]),
      w: engine.tensor(Float32Array.of(2, 0, 0, 3), [2, 2]),
      b: engine.tensor(Float32Array.of(1, 2), [2]),
      r: engine.tensor(Float32Array.of(1), []),
    });
    expect(await values(outputs["next/x"])).toEqual([3, 2, 1, 5]);
    expect(outputs.seen!.shape).toEqual([1]);
    await executable.close();
  });

  test("refuses a next/ that does not fit its input, one that is given per run, and no runs", () => {
    const traced = (build: Program["build"]) =>
      traceProgram(tf, { name: "p", inputs: { x: float(2), y: float(2) }, build });
    const repeat = { runs: 2, perRun: [] };
    expect(() =>
      repeatGraph(
        traced((tf, { x }) => ({ "next/x": tf.concat([x!, x!]) })),
        repeat,
      ),
    ).toThrow("repeat: p's output next/x must fit the input x, but is float32 [4] where that is float32 [2]");
    expect(() =>
      repeatGraph(
        traced((tf, { x }) => ({ "next/y": tf.neg(x!) })),
        repeat,
      ),
    ).toThrow("next/y must fit the input y, which the result does not depend on");
    const fits = traced((tf, { x }) => ({ "next/x": tf.neg(x!) }));
    expect(() => repeatGraph(fits, { runs: 2, perRun: ["x"] })).toThrow("which is given per run");
    expect(() => repeatGraph(fits, { runs: 0, perRun: [] })).toThrow("runs must be an integer ≥ 1, found 0");
  });
});

describe("training", () => {
  const [B, K, RUNS] = [4, 3, 6];
  const model = COURSE_MODELS.gpt2;
  const shape = { model, rows: B, recompute: false };
  const doremi = adaptiveObjective(K);

  /** Parameters as they begin a training, and whatever else the program takes, drawn at random. */
  function startingValues(program: Program, perRun: readonly string[]): Record<string, TensorData> {
    const { parameters } = initializeWeights(model, 1);
    const rng = new Rng(3, "loop");
    return Object.fromEntries(
      Object.entries(program.inputs).map(([name, spec]) => {
        const length = elements(spec.shape) * (perRun.includes(name) ? RUNS : 1);
        const draw = rng.fork(name);
        const ids = (below: number) => Int32Array.from({ length }, (_, i) => Math.floor(below * draw.uniform(i)));
        if (name.startsWith("parameter/")) return [name, parameters[name.slice("parameter/".length)]!];
        if (spec.dtype === "int32") return [name, ids(name === "domains" ? K : model.vocabularySize)];
        if (name === "state/alpha") return [name, new Float32Array(length).fill(1 / K)];
        if (name === "mask") return [name, new Float32Array(length).fill(1)];
        if (perRun.includes(name)) return [name, Float32Array.from({ length }, (_, i) => 0.01 + draw.uniform(i) / 50)];
        return [name, new Float32Array(length).fill(name === "gradientScale" ? 1 : 0)];
      }),
    );
  }

  test.each([
    ["a reference's", { kind: "weighted" }],
    ["a proxy's", doremi],
  ] as const)("%s step", async (_name, objective) => {
    const program = stepProgram({ ...shape, objective }, ADAMW);
    const scalars = Object.keys(graphOptimizer(ADAMW).scalars(1, RUNS));
    const perRun = [
      ...Object.keys(batchInputs({ ...shape, objective })).filter((name) => name !== "state/alpha"),
      ...scalars,
    ];
    const start = startingValues(program, perRun);
    const single = await engine.compile(program);
    const repeated = await engine.compile(program, { repeat: { runs: RUNS, perRun } });

    let state: Record<string, EngineTensor> = {};
    for (const [name, spec] of Object.entries(program.inputs))
      if (!perRun.includes(name)) state[name] = engine.tensor(start[name]!.slice(), spec.shape);
    const losses: number[] = [];
    const norms: number[] = [];
    for (let run = 0; run < RUNS; run++) {
      const own = Object.fromEntries(
        perRun.map((name) => {
          const { shape } = program.inputs[name]!;
          const size = elements(shape);
          return [name, engine.tensor(start[name]!.slice(run * size, (run + 1) * size), shape)];
        }),
      );
      const outputs = await single.run({ ...state, ...own });
      losses.push(...(await values(outputs.losses)));
      norms.push(...(await values(outputs.gradientNorm)));
      const after = Object.entries(outputs).filter(([name]) => name.startsWith("next/"));
      state = { ...state, ...Object.fromEntries(after.map(([name, tensor]) => [name.slice("next/".length), tensor])) };
    }

    const outputs = await repeated.run(
      Object.fromEntries(
        Object.entries(program.inputs).map(([name, { shape }]) => [
          name,
          engine.tensor(start[name]!.slice(), perRun.includes(name) ? [RUNS, ...shape] : shape),
        ]),
      ),
    );
    expect(await values(outputs.losses)).toEqual(losses);
    expect(await values(outputs.gradientNorm)).toEqual(norms);
    const carried = Object.keys(outputs).filter((name) => name.startsWith("next/"));
    expect(carried.length).toBeGreaterThan(3 * Object.keys(parameterShapes(model)).length - 1);
    for (const name of carried)
      expect(await values(outputs[name]), name).toEqual(await values(state[name.slice("next/".length)]));
    await single.close();
    await repeated.close();
  });

  test("of 50 steps, eight in a call: a reference to the last bit, a proxy whose weights are float32 within a call", async () => {
    const [one, eight] = [await deviceEngine(1), await deviceEngine(8)];
    const reference = await runCourse(eight, "gpt2", "reference");
    expect(reference.result.weights).toEqual((await runCourse(one, "gpt2", "reference")).result.weights);
    expectSameCourse(await runCourse(eight, "llama", "proxy"), await runCourse(one, "llama", "proxy"));
    expectSameCourse(reference, await runCourse(engine, "gpt2", "reference"));
    await Promise.all([one.close(), eight.close()]);
  });
});
