/** Learning rates by step, and AdamW with clipping against the same in float64. */
import { expect, test } from "vitest";
import { createCpuEngine } from "../../src/engine/cpu.ts";
import { adamScalars, adamW, globalNorm, learningRateAt } from "../../src/trainer/optimizer.ts";
import { runTraced } from "../engine/run.ts";
import { ADAMW } from "./tiny.ts";

test.each([
  ["exponential", Math.sqrt(1e-2 * 1e-3)],
  ["linear", 5.5e-3],
  ["cosine", 5.5e-3],
  ["constant", 1e-2],
] as const)("%s: warm-up, middle and end", (decay, middle) => {
  const config = { ...ADAMW, decay, warmupSteps: 10 };
  expect(learningRateAt(config, 1, 110)).toBeCloseTo(1e-3, 12);
  expect(learningRateAt(config, 10, 110)).toBe(1e-2);
  expect(learningRateAt(config, 60, 110)).toBeCloseTo(middle, 12);
  expect(learningRateAt(config, 110, 110)).toBeCloseTo(decay === "constant" ? 1e-2 : 1e-3, 12);
});

test("one AdamW step: clipping over all gradients, decay on matrices only", async () => {
  const engine = await createCpuEngine({ threads: 1 });
  const float = (...shape: number[]) => ({ shape, dtype: "float32" as const });
  const config = { ...ADAMW, weightDecay: 0.1 };
  const program = {
    name: "adamw",
    inputs: {
      w: float(1, 2),
      b: float(2),
      gw: float(1, 2),
      gb: float(2),
      m: float(2),
      v: float(2),
      rate: float(),
      correction1: float(),
      correction2: float(),
    },
    build: (
      tf: Parameters<typeof adamW>[0],
      given: Readonly<Record<string, import("@tensorflow/tfjs-core").Tensor>>,
    ) => {
      const { w, b, gw, gb, m, v, rate, correction1, correction2 } = given as Record<string, never>;
      const gradients = { w: gw!, b: gb! };
      const { norm, scale } = globalNorm(tf, gradients, config.clipNorm);
      const matrix = (x: never) => tf.reshape(x, [1, 2]);
      const state = { parameters: { w: w!, b: b! }, first: { w: matrix(m!), b: m! }, second: { w: matrix(v!), b: v! } };
      const next = adamW(tf, config, state, gradients, {
        rate: rate!,
        correction1: correction1!,
        correction2: correction2!,
        scale,
      });
      return {
        norm,
        nextW: next.parameters.w!,
        nextB: next.parameters.b!,
        nextM: next.first.b!,
        nextV: next.second.b!,
      };
    },
  };
  const scalars = adamScalars(config, 2, 10);
  const vector = (...values: number[]) => ({ data: Float32Array.from(values), shape: [2] });
  const row = (...values: number[]) => ({ data: Float32Array.from(values), shape: [1, 2] });
  const scalar = (value: number) => ({ data: Float32Array.of(value), shape: [] });
  const found = await runTraced(engine, program, {
    w: row(1, -2),
    b: vector(1, -2),
    gw: row(3, 0),
    gb: vector(0, 4),
    m: vector(0.5, -0.5),
    v: vector(0.25, 0.5),
    rate: scalar(scalars.rate),
    correction1: scalar(scalars.correction1),
    correction2: scalar(scalars.correction2),
  });
  expect(found.norm!.data[0]).toBeCloseTo(5, 5);
  const expected = (p: number, g: number, m: number, v: number, decay: number) => {
    const clipped = g / (5 + 1e-6);
    const first = 0.9 * m + 0.1 * clipped;
    const second = 0.99 * v + 0.01 * clipped ** 2;
    const change = first / (1 - 0.9 ** 2) / (Math.sqrt(second / (1 - 0.99 ** 2)) + 1e-8) + decay * p;
    return { p: p - learningRateAt(config, 2, 10) * change, first, second };
  };
  for (const [i, [p, gw, gb, m, v]] of [
    [1, 3, 0, 0.5, 0.25],
    [-2, 0, 4, -0.5, 0.5],
  ].entries()) {
    expect(found.nextW!.data[i]).toBeCloseTo(expected(p!, gw!, m!, v!, 0.1).p, 6);
    const bias = expected(p!, gb!, m!, v!, 0);
    expect(found.nextB!.data[i]).toBeCloseTo(bias.p, 6);
    expect(found.nextM!.data[i]).toBeCloseTo(bias.first, 6);
    expect(found.nextV!.data[i]).toBeCloseTo(bias.second, 6);
  }
  await engine.close();
});
