/** Graphs rewritten for the processor: the same values, in fewer and cheaper operations, in an order that frees early. */
import type { Tensor } from "@tensorflow/tfjs-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createCpuEngine } from "../../src/engine/cpu.ts";
import type { Engine, Program, TensorSpec } from "../../src/engine/engine.ts";
import { elements, type Graph } from "../../src/engine/graph.ts";
import { forCpu } from "../../src/engine/passes/for-cpu.ts";
import { loadTensorFlow, type TensorFlow } from "../../src/engine/tensorflow.ts";
import { traceProgram } from "../../src/engine/trace.ts";
import { rmsNorm } from "../../src/trainer/architectures/layers.ts";
import { causalAttention, geluTanh, layerNorm } from "../../src/trainer/layers.ts";
import { randomTensors, runEagerly, runTraced } from "./run.ts";

const float = (...shape: number[]): TensorSpec => ({ shape, dtype: "float32" });

let tf: TensorFlow;
let engine: Engine;
beforeAll(async () => {
  tf = await loadTensorFlow();
  engine = await createCpuEngine({ threads: 1 });
});
afterAll(() => engine.close());

type Inputs = Record<string, TensorSpec & { readonly high?: number }>;
type Build = (tf: TensorFlow, x: Readonly<Record<string, Tensor>>) => Tensor;

/** The value and the derivatives of Σ y · y by all float inputs. */
function withGradients(inputs: Inputs, build: Build): Program {
  const by = Object.keys(inputs).filter((name) => inputs[name]!.dtype === "float32");
  return {
    name: "test",
    inputs,
    build(tf, given) {
      const value = (...args: Tensor[]): Tensor =>
        build(tf, { ...given, ...Object.fromEntries(by.map((name, i) => [name, args[i]!])) });
      const gradients = tf.grads((...args: Tensor[]) => tf.sum(tf.square(value(...args))) as never)(
        by.map((name) => given[name]!),
      );
      return {
        value: build(tf, given),
        ...Object.fromEntries(by.map((name, i) => [`gradient/${name}`, gradients[i]!])),
      };
    },
  };
}

async function expectSameValues(program: Program, tolerance = 3e-6): Promise<void> {
  const inputs = randomTensors(program.inputs, 3);
  const expected = await runEagerly(tf, program, inputs);
  const actual = await runTraced(engine, program, inputs);
  for (const [name, { data, shape }] of Object.entries(expected)) {
    expect(actual[name]!.shape, name).toEqual(shape);
    const scale = Math.max(1, ...Array.from(data, Math.abs));
    // float32 on both sides, summed in different orders
    const worst = Math.max(...Array.from(data, (value, i) => Math.abs(value - actual[name]!.data[i]!)));
    expect(worst / scale, name).toBeLessThan(tolerance);
  }
}

const ops = (program: Program): string[] => forCpu(traceProgram(tf, program)).nodes.map((node) => node.op);
const plain = (inputs: Inputs, build: Build): Program => ({
  name: "test",
  inputs,
  build: (tf, x) => ({ y: build(tf, x) }),
});

describe("algebra", () => {
  test.each<[string, Program, string[]]>([
    [
      "ones spread over a product",
      plain({ x: float(3, 4) }, (tf, { x }) => tf.mul(x!, tf.ones([16, 3, 4]))),
      ["Expand"],
    ],
    ["a factor 1", plain({ x: float(3) }, (tf, { x }) => tf.exp(tf.mul(x!, 1))), ["Exp"]],
    ["two factors", plain({ x: float(3) }, (tf, { x }) => tf.mul(tf.mul(x!, 2), 3)), ["Mul"]],
    [
      "reshapes there and back",
      plain({ x: float(2, 3) }, (tf, { x }) => tf.exp(tf.reshape(tf.reshape(x!, [6]), [2, 3]))),
      ["Exp"],
    ],
    [
      "transpositions there and back",
      plain({ x: float(2, 3) }, (tf, { x }) => tf.exp(tf.transpose(tf.transpose(x!)))),
      ["Exp"],
    ],
    [
      "moving an axis of length 1",
      plain({ x: float(2, 1, 3) }, (tf, { x }) => tf.transpose(x!, [1, 0, 2])),
      ["Reshape"],
    ],
    [
      "a product with its transpose and factor",
      plain({ a: float(2, 3, 4), b: float(2, 5, 4) }, (tf, { a, b }) => tf.mul(tf.matMul(a!, b!, false, true), 0.5)),
      ["com.microsoft.FusedMatMul"],
    ],
    [
      "a product and a row",
      plain({ a: float(5, 3), b: float(3, 4), c: float(4) }, (tf, { a, b, c }) => tf.add(tf.matMul(a!, b!), c!)),
      ["Gemm"],
    ],
    ["a sum over rows", plain({ x: float(5, 3) }, (tf, { x }) => tf.sum(x!, 0)), ["MatMul"]],
  ])("%s", async (_, program, expected) => {
    expect(ops(program)).toEqual(expected);
    await expectSameValues(program);
  });

  test("an output that is an input or a value of another node's is copied, not renamed away", async () => {
    const program: Program = {
      name: "test",
      inputs: { x: float(2, 3) },
      build: (tf, { x }) => {
        const y = tf.exp(x!);
        return { y, same: tf.mul(y, 1), input: tf.mul(x!, 1), reshaped: tf.reshape(tf.reshape(y, [6]), [2, 3]) };
      },
    };
    await expectSameValues(program);
  });
});

describe("layers", () => {
  test("a weight's gradient, both ways round", async () => {
    for (const [D, F] of [
      [8, 12],
      [12, 8],
    ] as const) {
      const program = withGradients({ x: float(20, D), w: float(D, F), b: float(F) }, (tf, { x, w, b }) =>
        tf.add(tf.matMul(x!, w!), b!),
      );
      expect(forCpu(traceProgram(tf, program)).nodes.some(({ attributes }) => attributes.transA === 1)).toBe(false);
      await expectSameValues(program);
    }
  });

  test("an embedding that is looked up and multiplied with has one gradient, without zeros of its size", async () => {
    const program = withGradients({ E: float(7, 4), ids: { shape: [9], dtype: "int32", high: 7 } }, (tf, { E, ids }) =>
      tf.matMul(tf.gather(E!, ids as never), E!, false, true),
    );
    const graph = forCpu(traceProgram(tf, program));
    const spread = graph.nodes.filter(({ op }) => op === "Expand").map(({ outputs }) => graph.values.get(outputs[0]!));
    expect(spread.map((spec) => spec?.dtype)).toEqual(["int32"]); // the ids, not zeros
    await expectSameValues(program);
  });

  test("RMS norm is a kernel", async () => {
    const program = withGradients({ x: float(6, 8), w: float(8) }, (tf, { x, w }) => rmsNorm(tf, x!, w!, 1e-5));
    expect(ops(program)).toContain("SimplifiedLayerNormalization");
    expect(ops(program)).not.toContain("Sqrt");
    await expectSameValues(program, 1e-5);
  });

  test("layer norm and GELU are kernels", async () => {
    const norm = withGradients({ x: float(6, 8), w: float(8), b: float(8) }, (tf, { x, w, b }) =>
      layerNorm(tf, x!, w!, b!, 1e-5),
    );
    const gelu = withGradients({ x: { ...float(6, 8), low: -4, high: 4 } as TensorSpec }, (tf, { x }) =>
      geluTanh(tf, x!),
    );
    expect(ops(norm)).toContain("LayerNormalization");
    expect(ops(norm).filter((op) => op === "Sqrt" || op === "ReduceMean")).toEqual([]);
    expect(ops(gelu)).toContain("com.microsoft.FastGelu");
    await expectSameValues(norm, 1e-5);
    await expectSameValues(gelu);
  });

  test.each([1, 5, 128, 300])("attention over %i positions equals that of all scores at once", async (T) => {
    const whole: Build = (tf, { q, k, v }) => {
      const mask = tf.tensor2d(
        Float32Array.from({ length: T * T }, (_, i) => (i % T > Math.floor(i / T) ? -1e9 : 0)),
        [T, T],
      );
      const scores = tf.mul(tf.matMul(q!, k!, false, true), 1 / Math.sqrt(4));
      return tf.matMul(tf.softmax(tf.add(scores, mask)), v!);
    };
    const inputs = { q: float(1, 2, T, 4), k: float(1, 2, T, 4), v: float(1, 2, T, 4) };
    const given = randomTensors(inputs, 5);
    const expected = await runTraced(engine, withGradients(inputs, whole), given);
    const blocks = withGradients(inputs, (tf, { q, k, v }) => causalAttention(tf, q!, k!, v!));
    const actual = await runTraced(engine, blocks, given);
    for (const [name, { data }] of Object.entries(expected)) {
      const scale = Math.max(1, ...Array.from(data, Math.abs));
      const worst = Math.max(...Array.from(data, (value, i) => Math.abs(value - actual[name]!.data[i]!)));
      expect(worst / scale, name).toBeLessThan(5e-6);
    }
  });
});

/** Most bytes of values that are alive at once, in ONNX Runtime's order: from the last unread node, inputs first. */
function peakBytes(graph: Graph): number {
  const producer = new Map(graph.nodes.flatMap((node, i) => node.outputs.map((output) => [output, i] as const)));
  const read = new Set(graph.nodes.flatMap((node) => node.inputs));
  const order: number[] = [];
  const seen = new Set<number>();
  const visit = (i: number): void => {
    if (seen.has(i)) return;
    seen.add(i);
    const inputs = graph.nodes[i]!.inputs.flatMap((input) => producer.get(input) ?? []);
    for (const input of inputs.sort((a, b) => b - a)) visit(input);
    order.push(i);
  };
  for (let i = graph.nodes.length - 1; i >= 0; i--) {
    if (!graph.nodes[i]!.outputs.some((output) => read.has(output))) visit(i);
  }
  const lastRead = new Map<string, number>();
  for (const [step, i] of order.entries()) for (const input of graph.nodes[i]!.inputs) lastRead.set(input, step);
  let [alive, peak] = [0, 0];
  const bytes = (name: string): number =>
    name in graph.outputs ? 0 : 4 * elements(graph.values.get(name)?.shape ?? []);
  for (const [step, i] of order.entries()) {
    const { inputs, outputs } = graph.nodes[i]!;
    for (const output of outputs) alive += bytes(output);
    peak = Math.max(peak, alive);
    for (const name of new Set(inputs)) if (producer.has(name) && lastRead.get(name) === step) alive -= bytes(name);
  }
  return peak;
}

test("the backward pass frees as it goes: more layers keep their activations only", () => {
  const [N, D] = [256, 32];
  const stack = (layers: number): Program =>
    withGradients(
      { x: float(N, D), ...Object.fromEntries(Array.from({ length: layers }, (_, i) => [`w${i}`, float(D, D)])) },
      (tf, x) => Array.from({ length: layers }, (_, i) => i).reduce((h, i) => tf.exp(tf.matMul(h, x[`w${i}`]!)), x.x!),
    );
  const peak = (layers: number): number => peakBytes(forCpu(traceProgram(tf, stack(layers)))) / (4 * N * D);
  // one array of each layer: its output, which is the next one's input
  expect((peak(24) - peak(8)) / 16).toBeLessThan(1.5);
});

test("outputs into given tensors are complete, and what else was asked for is not lost", async () => {
  const program: Program = {
    name: "test",
    inputs: { x: float(2, 3) },
    build: (tf, { x }) => ({ a: tf.add(x!, 1), b: tf.mul(x!, 2) }),
  };
  const executable = await engine.compile(program);
  const x = engine.tensor(Float32Array.of(1, 2, 3, 4, 5, 6), [2, 3]);
  const [a, b] = [new Float32Array(6), new Float32Array(6)];
  const [intoA, intoB] = [engine.tensor(a, [2, 3]), engine.tensor(b, [2, 3])];
  const all = await executable.run({ x }, { a: intoA, b: intoB });
  expect([...a, ...b]).toEqual([2, 3, 4, 5, 6, 7, 2, 4, 6, 8, 10, 12]);
  expect(all).toEqual({ a: intoA, b: intoB });
  a.fill(0);
  const some = await executable.run({ x }, { a: intoA });
  expect([...a]).toEqual([2, 3, 4, 5, 6, 7]);
  expect(await some.b!.read()).toEqual(Float32Array.of(2, 4, 6, 8, 10, 12));
  await executable.close();
});
