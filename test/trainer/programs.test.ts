/** The traced programs against TensorFlow.js's own backend, and what they keep in memory. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createCpuEngine } from "../../src/engine/cpu.ts";
import type { Engine, Program } from "../../src/engine/engine.ts";
import { loadTensorFlow } from "../../src/engine/tensorflow.ts";
import { largeValues, traceProgram } from "../../src/engine/trace.ts";
import type { GradientObjective } from "../../src/trainer/gradient-objective.ts";
import { initializeWeights } from "../../src/trainer/initialization.ts";
import { parameterShapes } from "../../src/trainer/model.ts";
import { graphOptimizer } from "../../src/trainer/optimizer.ts";
import { type GradientShape, gradientProgram, stepProgram } from "../../src/trainer/programs.ts";
import { type HostTensor, runCompiled, runEagerly } from "../engine/run.ts";
import { ADAMW, adaptiveObjective, randomBatch, TINY } from "./tiny.ts";

const [B, K, STEPS] = [5, 3, 10];
const T = TINY.sequenceLength;
const OBJECTIVES: [string, GradientObjective][] = [
  ["plain", { kind: "weighted" }],
  ["proxy", adaptiveObjective(K)],
];
const shapeOf = (objective: GradientObjective): GradientShape => ({
  model: TINY,
  rows: B,
  objective,
  recompute: false,
});

let engine: Engine;
beforeAll(async () => {
  engine = await createCpuEngine({ threads: 1 });
});
afterAll(() => engine.close());

type Run = (inputs: Record<string, HostTensor>) => Promise<Record<string, HostTensor>>;

/** Losses, gradient norms and final state of ten steps on changing batches. */
async function tenSteps(program: Program, run: Run) {
  const { stateShapes, scalars } = graphOptimizer(ADAMW);
  const shapes = parameterShapes(TINY);
  const { parameters } = initializeWeights(TINY, 1);
  let state: Record<string, HostTensor> = { "state/alpha": { data: new Float32Array(K).fill(1 / K), shape: [K] } };
  for (const [name, shape] of Object.entries(shapes)) state[`parameter/${name}`] = { data: parameters[name]!, shape };
  for (const [name, shape] of Object.entries(stateShapes(shapes)))
    state[name] = { data: new Float32Array(shape.reduce((product, size) => product * size, 1)), shape };
  const losses: number[] = [];
  const norms: number[] = [];
  for (let step = 1; step <= STEPS; step++) {
    const batch = randomBatch(TINY, B, K, step);
    const tokens = batch.mask.reduce((sum, counts) => sum + counts, 0);
    const all: Record<string, HostTensor> = {
      ...state,
      ...Object.fromEntries(
        Object.entries({ ...scalars(step, STEPS), gradientScale: 1 }).map(([name, value]) => [
          name,
          { data: Float32Array.of(value), shape: [] },
        ]),
      ),
      inputs: { data: batch.inputs, shape: [B, T] },
      targets: { data: batch.targets, shape: [B, T] },
      mask: { data: batch.mask, shape: [B, T] },
      tokenWeight: { data: batch.mask.map((counts) => counts / tokens), shape: [B, T] },
      reference: { data: new Float32Array(B * T).fill(4), shape: [B, T] },
      domains: { data: batch.domains, shape: [B] },
    };
    const outputs = await run(Object.fromEntries(Object.keys(program.inputs).map((name) => [name, all[name]!])));
    losses.push(...outputs.losses!.data);
    norms.push(outputs.gradientNorm!.data[0]!);
    state = Object.fromEntries(Object.entries(state).map(([name, value]) => [name, outputs[`next/${name}`] ?? value]));
  }
  return { losses, norms, alpha: state["state/alpha"]!.data };
}

describe("the programs", () => {
  test.each(OBJECTIVES)("%s: ten steps agree with TensorFlow.js's CPU backend", async (name, objective) => {
    const tf = await loadTensorFlow();
    const program = stepProgram(shapeOf(objective), ADAMW);
    const eager = await tenSteps(program, (inputs) => runEagerly(tf, program, inputs));
    const executable = await engine.compile(program);
    const traced = await tenSteps(program, (inputs) => runCompiled(engine, executable, inputs));
    // Both are float32 with sums in different orders; Adam's division magnifies that where gradients are tiny.
    for (const [i, loss] of eager.losses.entries()) expect(Math.abs(traced.losses[i]! - loss)).toBeLessThan(1e-3);
    for (const [i, norm] of eager.norms.entries()) expect(Math.abs(traced.norms[i]! - norm)).toBeLessThan(1e-3);
    expect(eager.losses).toHaveLength(STEPS * B * T);
    expect(eager.losses[0]).toBeCloseTo(Math.log(TINY.vocabularySize), 0);
    if (name === "plain") return;
    for (const [k, weight] of eager.alpha.entries()) expect(Math.abs(traced.alpha[k]! - weight)).toBeLessThan(1e-5);
    expect(new Set(traced.alpha).size).toBe(K);
  });

  test.each(OBJECTIVES)(
    "%s: no array of N·V elements but logits, probabilities and the gradient of the logits",
    async (_, objective) => {
      const tf = await loadTensorFlow();
      // V large against everything else that grows with N: 4D, and attention's H·T
      const wide = { ...shapeOf(objective), model: { ...TINY, vocabularySize: 997 } };
      const graph = traceProgram(tf, gradientProgram(wide));
      const large = largeValues(graph, B * T * 997).map((value) => value.split(" ")[0]);
      expect(large.length).toBeLessThanOrEqual(3);
      expect(large.slice(0, 2)).toEqual(["Gemm", "Softmax"]);
      expect(graph.constants.every((constant) => constant.bytes.length <= 4 * B * T * T)).toBe(true);
    },
  );
});
