/** A program repeated in one graph does, bit by bit, what single runs do one after another. */
import type { Tensor } from "@tensorflow/tfjs-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createCpuEngine } from "../../src/engine/cpu.ts";
import type { Engine, EngineTensor, Program } from "../../src/engine/engine.ts";
import { repeatGraph } from "../../src/engine/loop.ts";
import { loadTensorFlow, type TensorFlow } from "../../src/engine/tensorflow.ts";
import { traceProgram } from "../../src/engine/trace.ts";

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
