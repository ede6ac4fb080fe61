/** Every kernel, traced and run by ONNX Runtime, against TensorFlow.js's own CPU backend; gradients where one exists. */
import type { Tensor } from "@tensorflow/tfjs-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createCpuEngine } from "../../src/engine/cpu.ts";
import type { Engine, TensorSpec } from "../../src/engine/engine.ts";
import { DIFFERENTIABLE } from "../../src/engine/gradients.ts";
import { KERNELS } from "../../src/engine/kernels.ts";
import { loadTensorFlow, type TensorFlow } from "../../src/engine/tensorflow.ts";
import { type HostTensor, randomTensors, runEagerly, runTraced } from "./run.ts";

interface Case {
  readonly kernel: string;
  readonly inputs: Record<string, TensorSpec & { readonly low?: number; readonly high?: number }>;
  readonly compute: (tf: TensorFlow, x: Record<string, Tensor>) => Tensor;
  /** float inputs to differentiate by; default none */
  readonly by?: readonly string[];
}

const float = (...shape: number[]) => ({ shape, dtype: "float32" as const });
const positive = (...shape: number[]) => ({ ...float(...shape), low: 0.5, high: 2 });
const ids = (high: number, ...shape: number[]) => ({ shape, dtype: "int32" as const, low: 0, high });
const ab = { a: float(3, 4), b: float(4) };
const xOnly = { x: float(3, 4) };
const one = (
  kernel: string,
  compute: (tf: TensorFlow, x: Tensor) => Tensor,
  inputs: Case["inputs"] = xOnly,
  by = ["x"],
): Case => ({
  kernel,
  inputs,
  compute: (tf, { x }) => compute(tf, x!),
  by,
});
const two = (
  kernel: string,
  compute: (tf: TensorFlow, a: Tensor, b: Tensor) => Tensor,
  inputs: Case["inputs"] = ab,
  by = ["a", "b"],
): Case => ({
  kernel,
  inputs,
  compute: (tf, { a, b }) => compute(tf, a!, b!),
  by,
});

const toFloat = (tf: TensorFlow, x: Tensor) => tf.cast(x, "float32");

const CASES: readonly Case[] = [
  two("Add", (tf, a, b) => tf.add(a, b)),
  two("Sub", (tf, a, b) => tf.sub(a, b)),
  two("Multiply", (tf, a, b) => tf.mul(a, b)),
  two("RealDiv", (tf, a, b) => tf.div(a, b), { a: float(3, 4), b: positive(4) }),
  two("Pow", (tf, a, b) => tf.pow(a, b), { a: positive(3, 4), b: float(4) }),
  two("Maximum", (tf, a, b) => tf.maximum(a, b)),
  two("Minimum", (tf, a, b) => tf.minimum(a, b)),
  two("Greater", (tf, a, b) => toFloat(tf, tf.greater(a, b)), ab, []),
  two("GreaterEqual", (tf, a, b) => tf.cast(tf.greaterEqual(a, b), "int32"), { a: ids(3, 3, 4), b: ids(3, 4) }, []),
  two("Less", (tf, a, b) => toFloat(tf, tf.less(a, b)), ab, []),
  two("LessEqual", (tf, a, b) => toFloat(tf, tf.lessEqual(a, b)), { a: ids(3, 3, 4), b: ids(3, 4) }, []),
  two("Equal", (tf, a, b) => toFloat(tf, tf.equal(a, b)), { a: ids(3, 3, 4), b: ids(3, 4) }, []),
  two("LogicalAnd", (tf, a, b) => toFloat(tf, tf.logicalAnd(tf.greater(a, 0), tf.greater(b, 0))), ab, []),
  two("LogicalOr", (tf, a, b) => toFloat(tf, tf.logicalOr(tf.greater(a, 0), tf.greater(b, 0))), ab, []),
  one("LogicalNot", (tf, x) => toFloat(tf, tf.logicalNot(tf.greater(x, 0))), xOnly, []),
  one("Abs", (tf, x) => tf.abs(x)),
  one("Exp", (tf, x) => tf.exp(x)),
  one("Log", (tf, x) => tf.log(x), { x: positive(3, 4) }),
  one("Neg", (tf, x) => tf.neg(x)),
  one("Sqrt", (tf, x) => tf.sqrt(x), { x: positive(3, 4) }),
  one("Rsqrt", (tf, x) => tf.rsqrt(x), { x: positive(3, 4) }),
  one("Square", (tf, x) => tf.square(x)),
  one("Reciprocal", (tf, x) => tf.reciprocal(x), { x: positive(3, 4) }),
  one("Tanh", (tf, x) => tf.tanh(x)),
  one("Sigmoid", (tf, x) => tf.sigmoid(x)),
  one("Erf", (tf, x) => tf.erf(x)),
  one("Relu", (tf, x) => tf.relu(x)),
  one("Sign", (tf, x) => tf.sign(x), xOnly, []),
  one("Step", (tf, x) => tf.step(x), xOnly, []),
  one("Identity", (tf, x) => tf.clone(x)),
  one("Cast", (tf, x) => tf.cast(tf.cast(x, "int32"), "float32"), { x: ids(9, 5) }, []),
  one("Reshape", (tf, x) => tf.reshape(x, [2, -1])),
  one("ExpandDims", (tf, x) => tf.expandDims(x, -1)),
  one("Transpose", (tf, x) => tf.transpose(x, [2, 0, 1]), { x: float(2, 3, 4) }),
  one("Sum", (tf, x) => tf.sum(x, [0, 2]), { x: float(2, 3, 4) }),
  one("Sum", (tf, x) => tf.sum(x)),
  one("Mean", (tf, x) => tf.mean(x, -1, true)),
  one("Max", (tf, x) => tf.max(x, 1)),
  one("Min", (tf, x) => tf.min(x, 0, true)),
  ...[false, true].flatMap((ta) =>
    [false, true].flatMap((tb) => [
      two("BatchMatMul", (tf, a, b) => tf.matMul(a, b, ta, tb), {
        a: ta ? float(4, 3) : float(3, 4),
        b: tb ? float(5, 4) : float(4, 5),
      }),
      two("BatchMatMul", (tf, a, b) => tf.matMul(a, b, ta, tb), {
        a: ta ? float(2, 2, 4, 3) : float(2, 2, 3, 4),
        b: tb ? float(2, 2, 5, 4) : float(2, 2, 4, 5),
      }),
    ]),
  ),
  one("Softmax", (tf, x) => tf.softmax(x)),
  one("LogSoftmax", (tf, x) => tf.logSoftmax(x)),
  two("GatherV2", (tf, a, b) => tf.gather(a, b as never), { a: float(5, 3), b: ids(5, 2, 4) }, ["a"]),
  two("GatherV2", (tf, a, b) => tf.gather(a, b as never, 1, 1), { a: float(6, 5), b: ids(5, 6, 1) }, []),
  two(
    "UnsortedSegmentSum",
    (tf, a, b) => tf.unsortedSegmentSum(a, b as never, 4),
    { a: float(7, 3), b: ids(4, 7) },
    [],
  ),
  two("UnsortedSegmentSum", (tf, a, b) => tf.unsortedSegmentSum(a, b as never, 4), { a: float(7), b: ids(4, 7) }, []),
  {
    kernel: "TensorScatterUpdate",
    inputs: { x: float(4, 5), y: ids(5, 4), u: float(4) },
    compute: (tf, { x, y, u }) => {
      const at = tf.stack([tf.tensor1d([0, 1, 2, 3], "int32"), y!], 1);
      return tf.tensorScatterUpdate(x!, at as never, u!);
    },
  },
  one("OneHot", (tf, x) => tf.oneHot(x as never, 5) as Tensor, { x: ids(5, 3, 2) }, []),
  one("OneHot", (tf, x) => tf.oneHot(x as never, 5, 0.9, 0.1, "float32") as Tensor, { x: ids(5, 3) }, []),
  one("SplitV", (tf, x) => tf.add(...(tf.split(x, 2, 1) as [Tensor, Tensor]))),
  one("SplitV", (tf, x) => tf.split(x, [1, 3], 1)[1]!),
  two("Concat", (tf, a, b) => tf.concat([a, b], 1), { a: float(3, 4), b: float(3, 2) }),
  two("Pack", (tf, a, b) => tf.stack([a, b], 1), { a: float(3, 4), b: float(3, 4) }, []),
  one("Slice", (tf, x) => tf.slice(x, [1, 0], [-1, 2])),
  one("PadV2", (tf, x) =>
    tf.pad(
      x,
      [
        [1, 0],
        [2, 3],
      ],
      0.5,
    ),
  ),
  one("Tile", (tf, x) => tf.tile(x, [2, 1])),
  one("ZerosLike", (tf, x) => tf.zerosLike(x), xOnly, []),
  one("OnesLike", (tf, x) => tf.onesLike(x), xOnly, []),
  one("Fill", (tf, x) => tf.add(x, tf.fill([3, 4], 2.5))),
  {
    kernel: "Select",
    inputs: { c: float(3, 4), a: float(3, 4), b: float(3, 4) },
    compute: (tf, { c, a, b }) => tf.where(tf.greater(c!, 0), a!, b!),
    by: ["a", "b"],
  },
];

/** The gradient is that of sum(y³): compared with central differences of the same, computed in float32. */
function expectDerivative(
  tf: TensorFlow,
  build: (tf: TensorFlow, x: Record<string, Tensor>) => Record<string, Tensor>,
  inputs: Record<string, HostTensor>,
  name: string,
  gradient: HostTensor,
): void {
  const objective = (at: number, shift: number): number =>
    tf.tidy(() => {
      const tensors = Object.fromEntries(
        Object.entries(inputs).map(([key, { data, shape }]) => {
          const moved = data.slice();
          if (key === name) moved[at]! += shift;
          return [key, tf.tensor(moved, [...shape], data instanceof Int32Array ? "int32" : "float32")];
        }),
      );
      const values = build(tf, tensors).value!.dataSync() as Float32Array;
      return values.reduce((sum, y) => sum + y ** 3, 0);
    });
  const shift = 1 / 128; // exact in float32
  const scale = Math.max(1, ...Array.from(gradient.data, Math.abs));
  for (let i = 0; i < gradient.data.length; i++) {
    const difference = (objective(i, shift) - objective(i, -shift)) / (2 * shift);
    // truncation of the difference, of order shift², and float32 rounding divided by the shift
    expect(Math.abs(gradient.data[i]! - difference), `${name}[${i}]`).toBeLessThan(2e-3 * scale);
  }
}

let engine: Engine;
let tf: TensorFlow;
beforeAll(async () => {
  tf = await loadTensorFlow();
  engine = await createCpuEngine({ threads: 2 });
});
afterAll(() => engine.close());

describe("kernels", () => {
  test("each has a case", () => {
    expect(Object.keys(KERNELS).filter((kernel) => !CASES.some((entry) => entry.kernel === kernel))).toEqual([]);
  });

  test("each derivative has a case", () => {
    const checked = CASES.filter((entry) => entry.by?.length).map((entry) => entry.kernel);
    expect(DIFFERENTIABLE.filter((kernel) => !checked.includes(kernel) && kernel !== "Cast")).toEqual([]);
  });

  test.each(CASES.map((entry, i) => [`${entry.kernel} (${i})`, entry] as const))("%s", async (_name, entry) => {
    const inputs = randomTensors(entry.inputs, 7);
    const by = DIFFERENTIABLE.includes(entry.kernel) ? (entry.by ?? []) : [];
    const program = {
      name: entry.kernel,
      inputs: entry.inputs,
      build: (tf: TensorFlow, x: Readonly<Record<string, Tensor>>) => {
        const outputs: Record<string, Tensor> = { value: entry.compute(tf, x) };
        if (by.length > 0) {
          // A weighting of the output that is not constant, so that the gradient's layout shows.
          const scalar = (...args: Tensor[]) => {
            const y = entry.compute(tf, { ...x, ...Object.fromEntries(by.map((name, i) => [name, args[i]!])) });
            return tf.sum(tf.mul(y, tf.square(y))) as never;
          };
          const gradients = tf.grads(scalar)(by.map((name) => x[name]!));
          for (const [i, name] of by.entries()) outputs[`d_${name}`] = gradients[i]!;
        }
        return outputs;
      },
    };
    const eager = await runEagerly(tf, program, inputs);
    for (const name of by) expectDerivative(tf, program.build, inputs, name, eager[`d_${name}`]!);
    const traced = await runTraced(engine, program, inputs);
    expect(Object.keys(traced).sort()).toEqual(Object.keys(eager).sort());
    for (const [name, expected] of Object.entries(eager)) {
      expect(traced[name]!.shape, name).toEqual(expected.shape);
      const scale = Math.max(1, ...Array.from(expected.data, Math.abs));
      // float32 on both sides; ONNX Runtime's exp, erf and tanh are approximations good to a few units in the last place
      for (let i = 0; i < expected.data.length; i++)
        expect(Math.abs(traced[name]!.data[i]! - expected.data[i]!)).toBeLessThan(2e-6 * scale);
    }
  });
});
