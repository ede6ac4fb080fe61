/** The traced step against TensorFlow.js's own backend, and what the step keeps in memory. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createCpuEngine } from "../../src/engine/cpu.ts";
import type { Engine } from "../../src/engine/engine.ts";
import { loadTensorFlow } from "../../src/engine/tensorflow.ts";
import { largeValues, traceProgram } from "../../src/engine/trace.ts";
import { initializeWeights } from "../../src/trainer/initialization.ts";
import { parameterShapes } from "../../src/trainer/model.ts";
import { adamScalars } from "../../src/trainer/optimizer.ts";
import { STATE, type StepShape, trainingProgram } from "../../src/trainer/programs.ts";
import { type HostTensor, runCompiled, runEagerly } from "../engine/run.ts";
import { ADAMW, randomBatch, TINY } from "./tiny.ts";

const [B, K, STEPS] = [5, 3, 10];
const T = TINY.sequenceLength;
const PLAIN: StepShape = { model: TINY, batchSize: B, optimizer: ADAMW };
const PROXY: StepShape = { ...PLAIN, doremi: { eta: 1, smoothing: 1e-3, domains: K } };

let engine: Engine;
beforeAll(async () => {
  engine = await createCpuEngine({ threads: 1 });
});
afterAll(() => engine.close());

type Run = (inputs: Record<string, HostTensor>) => Promise<Record<string, HostTensor>>;

/** Losses, gradient norms and final state of ten steps on changing batches. */
async function tenSteps(
  shape: StepShape,
  run: Run,
): Promise<{ losses: number[]; norms: number[]; state: Record<string, HostTensor> }> {
  const shapes = parameterShapes(TINY);
  const { parameters } = initializeWeights(TINY, 1);
  let state: Record<string, HostTensor> = shape.doremi
    ? { alpha: { data: new Float32Array(K).fill(1 / K), shape: [K] } }
    : {};
  for (const [name, dims] of Object.entries(shapes)) {
    const data = parameters[name]!;
    for (const group of STATE)
      state[`${group}/${name}`] = { data: group === "parameter" ? data : new Float32Array(data.length), shape: dims };
  }
  const losses: number[] = [];
  const norms: number[] = [];
  for (let step = 1; step <= STEPS; step++) {
    const batch = randomBatch(TINY, B, K, step);
    const scalars = Object.entries(adamScalars(ADAMW, step, STEPS)).map(([name, value]) => [
      name,
      { data: Float32Array.of(value), shape: [] },
    ]);
    const outputs = await run({
      ...state,
      ...Object.fromEntries(scalars),
      inputs: { data: batch.inputs, shape: [B, T] },
      targets: { data: batch.targets, shape: [B, T] },
      mask: { data: batch.mask, shape: [B, T] },
      ...(shape.doremi && {
        reference: { data: new Float32Array(B * T).fill(4), shape: [B, T] },
        domains: { data: batch.domains, shape: [B] },
      }),
    });
    losses.push(outputs.loss!.data[0]!);
    norms.push(outputs.gradientNorm!.data[0]!);
    state = Object.fromEntries(Object.keys(state).map((name) => [name, outputs[`next/${name}`]!]));
  }
  return { losses, norms, state };
}

describe("trainingProgram", () => {
  test.each([
    ["plain", PLAIN],
    ["proxy", PROXY],
  ])("%s: ten steps agree with TensorFlow.js's CPU backend", async (_name, shape) => {
    const tf = await loadTensorFlow();
    const program = trainingProgram(shape);
    const eager = await tenSteps(shape, (inputs) => runEagerly(tf, program, inputs));
    const executable = await engine.compile(program);
    const traced = await tenSteps(shape, (inputs) => runCompiled(engine, executable, inputs));
    // Both are float32 with sums in different orders; Adam's division magnifies that where gradients are tiny.
    for (let i = 0; i < STEPS; i++) {
      expect(Math.abs(traced.losses[i]! - eager.losses[i]!)).toBeLessThan(1e-4);
      expect(Math.abs(traced.norms[i]! - eager.norms[i]!)).toBeLessThan(1e-3);
    }
    if (shape.doremi) {
      const alpha = traced.state.alpha!.data;
      for (const [k, weight] of eager.state.alpha!.data.entries())
        expect(Math.abs(alpha[k]! - weight)).toBeLessThan(1e-5);
      expect(new Set(alpha).size).toBe(K);
    }
    expect(eager.losses[0]).toBeCloseTo(Math.log(TINY.vocabularySize), 0);
  });

  test.each([
    ["plain", PLAIN],
    ["proxy", PROXY],
  ])("%s: no array of N·V elements but logits, probabilities and the gradient of the logits", async (_name, shape) => {
    const tf = await loadTensorFlow();
    // V large against everything else that grows with N: 4D, and attention's H·T
    const wide = { ...shape, model: { ...TINY, vocabularySize: 997 } };
    const graph = traceProgram(tf, trainingProgram(wide));
    const large = largeValues(graph, B * T * 997).map((value) => value.split(" ")[0]);
    expect(large).toEqual(["Gemm", "Softmax", "ScatterND"]);
    expect(graph.constants.every((constant) => constant.bytes.length <= 4 * B * T * T)).toBe(true);
  });
});
