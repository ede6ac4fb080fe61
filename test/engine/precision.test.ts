/** What is computed in 16 bits and what is not, and that a training in float16 goes the way of the one in float32. */
import type { Tensor } from "@tensorflow/tfjs-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Engine, Program } from "../../src/engine/engine.ts";
import type { Graph } from "../../src/engine/graph.ts";
import { loadOrt, OrtEngine } from "../../src/engine/ort.ts";
import { lowerPrecision } from "../../src/engine/precision.ts";
import { loadTensorFlow, type TensorFlow } from "../../src/engine/tensorflow.ts";
import { traceProgram } from "../../src/engine/trace.ts";
import { stepProgram } from "../../src/trainer/programs.ts";
import { ADAMW, adaptiveObjective } from "../trainer/tiny.ts";
import { COURSE_MODELS, runCourse } from "./course.ts";

/**
 * The processor has no products in float16: the runtime casts their operands to float32, and leaves out a cast that is cast
 * back at once, rounding and all. An Identity after every value in 16 bits keeps them apart.
 */
function withRounding(graph: Graph): Graph {
  const values = new Map(graph.values);
  const nodes = graph.nodes.flatMap((node) => {
    const [output = ""] = node.outputs;
    if (graph.values.get(output)?.dtype !== "float16") return [node];
    const raw = node.outputs.map((name) => `${name}/raw`);
    for (const [i, name] of node.outputs.entries()) values.set(raw[i]!, values.get(name)!);
    const kept = node.outputs.map((name, i) => ({
      op: "Identity",
      inputs: [raw[i]!],
      outputs: [name],
      attributes: {},
    }));
    return [{ ...node, outputs: raw }, ...kept];
  });
  return { ...graph, nodes, values };
}

async function halfEngine(memory: "host" | "device"): Promise<Engine> {
  return new OrtEngine(await loadOrt(), {
    name: "cpu",
    device: "1 thread",
    memory,
    precisions: ["float32", "float16"],
    runsAtOnce: 1,
    adapt: withRounding,
    session: {
      executionProviders: ["cpu"],
      intraOpNumThreads: 1,
      graphOptimizationLevel: "disabled",
      logSeverityLevel: 3,
    },
  });
}

let tf: TensorFlow;
let engine: Engine;
beforeAll(async () => {
  tf = await loadTensorFlow();
  engine = await halfEngine("host");
});
afterAll(() => engine.close());

const float = (...shape: number[]) => ({ shape, dtype: "float32" as const });

/** op and types of a graph's nodes: "Gemm float16 float16 → float16" */
function typed(graph: Graph): string[] {
  const constants = new Map(graph.constants.map((constant) => [constant.name, constant.dtype]));
  const type = (name: string) => graph.values.get(name)?.dtype ?? constants.get(name);
  return graph.nodes.map(
    ({ op, inputs, outputs }) => `${op} ${inputs.map(type).join(" ")} → ${outputs.map(type).join(" ")}`,
  );
}

const lowered = (inputs: Program["inputs"], build: Program["build"], precision: "float16" | "bfloat16" = "float16") =>
  typed(lowerPrecision(traceProgram(tf, { name: "p", inputs, build }), precision));

describe("lowerPrecision", () => {
  test("a product, what moves it, a bias and a factor; not the activation after them", () => {
    const inputs = { x: float(2, 3), w: float(3, 4), b: float(4) };
    const nodes = lowered(inputs, (tf, { x, w, b }) => {
      const linear = tf.mul(tf.add(tf.matMul(x as never, w as never), b!), 0.5);
      return { y: tf.tanh(tf.transpose(tf.reshape(linear, [2, 2, 2]), [1, 0, 2])) as Tensor };
    });
    expect(nodes).toEqual([
      "Cast float32 → float16",
      "Cast float32 → float16",
      "Gemm float16 float16 → float16",
      "Cast float32 → float16",
      "Add float16 float16 → float16",
      "Cast float32 → float16",
      "Mul float16 float16 → float16",
      "Reshape float16 int64 → float16",
      "Transpose float16 → float16",
      "Cast float16 → float32",
      "Tanh float32 → float32",
    ]);
  });

  test("each value is cast once, however many read it", () => {
    const nodes = lowered({ x: float(2, 2) }, (tf, { x }) => {
      const square = tf.matMul(x as never, x as never) as Tensor;
      return { a: tf.exp(square), b: tf.sum(square), c: tf.matMul(square as never, x as never), square };
    });
    expect(nodes.filter((node) => node === "Cast float32 → float16")).toHaveLength(1);
    expect(nodes.filter((node) => node === "Cast float16 → float32")).toHaveLength(2); // square and c
    expect(nodes.filter((node) => node.startsWith("Gemm"))).toEqual(Array(2).fill("Gemm float16 float16 → float16"));
  });

  test("a number that float16 cannot hold, a residual and a mask stay float32", () => {
    const inputs = { x: float(2, 2), mask: float(2, 2) };
    const product = (tf: TensorFlow, x: Tensor) => tf.matMul(x as never, x as never) as Tensor;
    for (const build of [
      (tf, { x }) => ({ y: tf.mul(product(tf, x!), 1e9) }),
      (tf, { x }) => ({ y: tf.add(product(tf, x!), x!) }),
      (tf, { x, mask }) => ({ y: tf.mul(product(tf, x!), mask!) }),
      (tf, { x }) => ({ y: tf.add(product(tf, x!), product(tf, tf.neg(x!))) }),
    ] satisfies Program["build"][]) {
      expect(lowered(inputs, build).at(-1)).toMatch(/^(Mul|Add) float32 float32 → float32$/);
    }
  });

  test.each([
    ["float16", "gpt2"],
    ["bfloat16", "gpt2"],
    ["float16", "llama"],
    ["bfloat16", "llama"],
  ] as const)("%s, a training step of %s", (precision, architecture) => {
    const objective = adaptiveObjective(3);
    const program = stepProgram({ model: COURSE_MODELS[architecture], rows: 2, objective, recompute: false }, ADAMW);
    const before = traceProgram(tf, program);
    const after = lowerPrecision(before, precision);
    expect(after.inputs).toEqual(before.inputs);
    expect(after.outputs).toEqual(before.outputs);
    for (const [name, spec] of Object.entries(after.outputs)) expect(after.values.get(name)).toEqual(spec);
    // Exactly the products, and around them nothing but moves, biases and factors
    const low = typed(after).filter((node) => node.includes(precision) && !node.startsWith("Cast "));
    const ops = (nodes: readonly string[]) => nodes.map((node) => node.split(" ")[0]);
    const products = before.nodes.filter(({ op }) => op === "Gemm" || op === "MatMul").length;
    expect(low.filter((node) => /^(Gemm|MatMul) /.test(node))).toHaveLength(products);
    expect(products).toBeGreaterThan(15);
    const around = ["Reshape", "Transpose", "Split", "Concat", "Slice", "Add", "Mul"];
    expect(ops(low).filter((op) => !["Gemm", "MatMul", ...around].includes(op!))).toEqual([]);
    // No node mixes the two
    for (const node of low) expect(node).not.toContain("float32");
    // Nothing is lost or added but casts
    expect(
      ops(typed(after))
        .filter((op) => op !== "Cast")
        .sort(),
    ).toEqual(
      ops(typed(before))
        .filter((op) => op !== "Cast")
        .sort(),
    );
  });
});

test("operands and results are rounded to 11 bits, and outputs are not", async () => {
  const inputs = { x: float(2, 2) };
  const build: Program["build"] = (tf, { x }) => ({ y: tf.matMul(x as never, x as never) as Tensor, z: tf.add(x!, 0) });
  const executable = await engine.compile({ name: "p", inputs, build }, { precision: "float16" });
  const x = engine.tensor(Float32Array.of(1 + 2 ** -12, 1 + 2 ** -9, 0, 1 / 3), [2, 2]);
  const { y, z } = await executable.run({ x });
  // 1 + 2⁻¹² becomes 1, 1 + 2⁻⁹ is exact; a third becomes 1365/4096, and what is added and multiplied is rounded once more
  const third = 1365 / 4096;
  const sum = (1 + 2 ** -9) * (1 + third);
  expect(Array.from(await y!.read())).toEqual([
    1,
    Math.round(sum * 1024) / 1024,
    0,
    Math.round(third ** 2 * 16384) / 16384,
  ]);
  expect((await z!.read())[0]).toBe(1 + 2 ** -12);
  await executable.close();
});

describe("a course of 50 steps in float16, its gradients scaled", () => {
  /**
   * A product's result has 11 bits, so that a loss of 4 nats may be off by a thousandth at once; what follows in fifty steps
   * at a high rate is some times that.
   */
  const TOLERANCE = 0.002;

  test.each([
    ["gpt2", "host", "reference"],
    ["gpt2", "device", "proxy"],
    ["llama", "device", "reference"],
  ] as const)("%s in %s memory, %s: near float32, and not the same", async (architecture, memory, objective) => {
    const half = await halfEngine(memory);
    const found = await runCourse(half, architecture, objective, { precision: "float16" });
    const expected = await runCourse(half, architecture, objective);
    const differences = expected.records.map(({ loss }, i) => Math.abs(found.records[i]!.loss - loss));
    expect(Math.max(...differences)).toBeLessThan(TOLERANCE);
    expect(Math.max(...differences)).toBeGreaterThan(1e-5);
    for (const [k, weight] of (expected.result.alpha ?? []).entries())
      expect(Math.abs(found.result.alpha![k]! - weight)).toBeLessThan(TOLERANCE);
    await half.close();
  });
});
