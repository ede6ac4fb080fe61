/**
 * Derivatives of the kernels that models use. TensorFlow.js's package for Node leaves its own out of its bundle; these
 * register only where none is there yet, so that a complete TensorFlow.js keeps its own.
 */
import type { GradConfig, NamedAttrMap, Tensor } from "@tensorflow/tfjs-core";

type TensorFlow = typeof import("@tensorflow/tfjs-core");
type Rule = (tf: TensorFlow, dy: Tensor, saved: Tensor[], attributes: Attributes) => Record<string, () => Tensor>;
// biome-ignore lint/suspicious/noExplicitAny: attributes are typed per kernel by TensorFlow.js, under names that its registry erases
type Attributes = Record<string, any>;

interface Gradient {
  /** names of inputs that the rule's `saved` starts with */
  readonly inputs?: readonly string[];
  /** the output follows them */
  readonly output?: true;
  readonly rule: Rule;
}

/** Sums a gradient over the axes along which its input was broadcast. */
function unbroadcast(tf: TensorFlow, gradient: Tensor, shape: readonly number[]): Tensor {
  const axes = tf.broadcast_util.getReductionAxes([...shape], gradient.shape);
  return tf.reshape(axes.length > 0 ? tf.sum(gradient, axes) : gradient, [...shape]);
}

/** d/dx of an element-wise function, from x or from y = f(x). */
const fromInput = (derivative: (tf: TensorFlow, dy: Tensor, x: Tensor) => Tensor): Gradient => ({
  inputs: ["x"],
  rule: (tf, dy, [x]) => ({ x: () => derivative(tf, dy, x!) }),
});
const fromOutput = (derivative: (tf: TensorFlow, dy: Tensor, y: Tensor) => Tensor): Gradient => ({
  output: true,
  rule: (tf, dy, [y]) => ({ x: () => derivative(tf, dy, y!) }),
});

/** The shape of a reduction's input with 1 along the reduced axes. */
function keptShape(tf: TensorFlow, x: Tensor, axis: number | number[]): number[] {
  const axes = tf.util.parseAxisParam(axis ?? null!, x.shape);
  return x.shape.map((size, i) => (axes.includes(i) ? 1 : size));
}

const GRADIENTS: Readonly<Record<string, Gradient>> = {
  Add: {
    inputs: ["a", "b"],
    rule: (tf, dy, [a, b]) => ({ a: () => unbroadcast(tf, dy, a!.shape), b: () => unbroadcast(tf, dy, b!.shape) }),
  },
  Sub: {
    inputs: ["a", "b"],
    rule: (tf, dy, [a, b]) => ({
      a: () => unbroadcast(tf, dy, a!.shape),
      b: () => unbroadcast(tf, tf.neg(dy), b!.shape),
    }),
  },
  Multiply: {
    inputs: ["a", "b"],
    rule: (tf, dy, [a, b]) => ({
      a: () => unbroadcast(tf, tf.mul(dy, b!), a!.shape),
      b: () => unbroadcast(tf, tf.mul(dy, a!), b!.shape),
    }),
  },
  RealDiv: {
    inputs: ["a", "b"],
    rule: (tf, dy, [a, b]) => ({
      a: () => unbroadcast(tf, tf.div(dy, b!), a!.shape),
      b: () => unbroadcast(tf, tf.neg(tf.div(tf.mul(dy, a!), tf.square(b!))), b!.shape),
    }),
  },
  Exp: fromOutput((tf, dy, y) => tf.mul(dy, y)),
  Log: fromInput((tf, dy, x) => tf.div(dy, x)),
  Neg: { rule: (tf, dy) => ({ x: () => tf.neg(dy) }) },
  Sqrt: fromOutput((tf, dy, y) => tf.div(dy, tf.mul(y, 2))),
  Rsqrt: fromOutput((tf, dy, y) => tf.mul(tf.mul(dy, -0.5), tf.mul(y, tf.square(y)))),
  Square: fromInput((tf, dy, x) => tf.mul(dy, tf.mul(x, 2))),
  Reciprocal: fromOutput((tf, dy, y) => tf.neg(tf.mul(dy, tf.square(y)))),
  Tanh: fromOutput((tf, dy, y) => tf.mul(dy, tf.sub(1, tf.square(y)))),
  Sigmoid: fromOutput((tf, dy, y) => tf.mul(dy, tf.mul(y, tf.sub(1, y)))),
  Erf: fromInput((tf, dy, x) => tf.mul(dy, tf.mul(tf.exp(tf.neg(tf.square(x))), 2 / Math.sqrt(Math.PI)))),
  Relu: fromInput((tf, dy, x) => tf.mul(dy, tf.step(x))),
  Identity: { rule: (tf, dy) => ({ x: () => tf.cast(dy, "float32") }) },
  Cast: { rule: (tf, dy) => ({ x: () => tf.clone(dy) }) },
  Reshape: { inputs: ["x"], rule: (tf, dy, [x]) => ({ x: () => tf.reshape(dy, x!.shape) }) },
  ExpandDims: { inputs: ["input"], rule: (tf, dy, [input]) => ({ input: () => tf.reshape(dy, input!.shape) }) },
  Transpose: {
    rule: (tf, dy, _saved, { perm }) => ({ x: () => tf.transpose(dy, tf.backend_util.getUndoAxesPermutation(perm)) }),
  },
  Sum: {
    inputs: ["x"],
    rule: (tf, dy, [x], { axis }) => ({ x: () => tf.mul(tf.reshape(dy, keptShape(tf, x!, axis)), tf.onesLike(x!)) }),
  },
  Mean: {
    inputs: ["x"],
    rule: (tf, dy, [x], { axis }) => ({
      x: () => {
        const shape = keptShape(tf, x!, axis);
        const count = x!.size / shape.reduce((product, size) => product * size, 1);
        return tf.mul(tf.reshape(tf.div(dy, count), shape), tf.onesLike(x!));
      },
    }),
  },
  BatchMatMul: {
    inputs: ["a", "b"],
    rule: (tf, dy, [a, b], { transposeA, transposeB }) => ({
      a: () => (transposeA ? tf.matMul(b!, dy, transposeB, true) : tf.matMul(dy, b!, false, !transposeB)),
      b: () => (transposeB ? tf.matMul(dy, a!, true, transposeA) : tf.matMul(a!, dy, !transposeA, false)),
    }),
  },
  Softmax: {
    output: true,
    rule: (tf, dy, [y]) => ({
      logits: () => {
        const weighted = tf.mul(dy, y!);
        return tf.sub(weighted, tf.mul(tf.sum(weighted, -1, true), y!));
      },
    }),
  },
  LogSoftmax: {
    output: true,
    rule: (tf, dy, [y]) => ({ logits: () => tf.sub(dy, tf.mul(tf.sum(dy, -1, true), tf.exp(y!))) }),
  },
  GatherV2: {
    inputs: ["x", "indices"],
    rule: (tf, dy, [x, indices], { axis, batchDims }) => ({
      x: () => {
        if (axis !== 0 || batchDims) throw new Error("gradient: gather is differentiable along axis 0 only");
        const inner = x!.shape.slice(1);
        const rows = tf.reshape(dy, [indices!.size, ...inner]);
        return tf.unsortedSegmentSum(rows, tf.reshape(indices!, [indices!.size]) as never, x!.shape[0]!);
      },
      indices: () => tf.zerosLike(indices!),
    }),
  },
  Slice: {
    inputs: ["x"],
    rule: (tf, dy, [x], { begin, size }) => ({
      x: () => {
        const [starts, sizes] = tf.slice_util.parseSliceParams(x!, begin, size) as [number[], number[]];
        return tf.pad(
          dy,
          starts.map((start, i) => [start, x!.shape[i]! - start - sizes[i]!] as [number, number]),
        );
      },
    }),
  },
  Select: {
    inputs: ["condition"],
    rule: (tf, dy, [condition]) => ({
      condition: () => tf.zerosLike(condition!),
      t: () => tf.mul(dy, tf.cast(condition!, "float32")),
      e: () => tf.mul(dy, tf.cast(tf.logicalNot(condition!), "float32")),
    }),
  },
};

/** Kernels with several outputs or any number of inputs, whose rules do not fit the table's shape. */
const IRREGULAR: Readonly<Record<string, (tf: TensorFlow) => Omit<GradConfig, "kernelName">>> = {
  SplitV: (tf) => ({
    gradFunc: (dy, _saved, attributes) => ({ x: () => tf.concat(dy as Tensor[], (attributes as Attributes).axis) }),
  }),
  Concat: (tf) => ({
    saveAllInputs: true,
    gradFunc: (dy, saved, attributes) => {
      const axis = tf.util.parseAxisParam((attributes as Attributes).axis, saved[0]!.shape)[0]!;
      const sizes = saved.map((part) => part.shape[axis]!);
      return Object.fromEntries(sizes.map((_, i) => [i, () => tf.split(dy as Tensor, sizes, axis)[i]!]));
    },
  }),
};

export function registerGradients(tf: TensorFlow): void {
  for (const [kernelName, { inputs, output, rule }] of Object.entries(GRADIENTS)) {
    if (tf.getGradient(kernelName)) continue;
    tf.registerGradient({
      kernelName,
      ...(inputs && { inputsToSave: [...inputs] }),
      ...(output && { outputsToSave: [true] }),
      gradFunc: (dy: Tensor | Tensor[], saved: Tensor[], attributes: NamedAttrMap) =>
        rule(tf, dy as Tensor, saved, (attributes ?? {}) as Attributes),
    });
  }
  for (const [kernelName, config] of Object.entries(IRREGULAR)) {
    if (!tf.getGradient(kernelName)) tf.registerGradient({ kernelName, ...config(tf) });
  }
}

/** Names of the kernels with a derivative here. */
export const DIFFERENTIABLE: readonly string[] = [...Object.keys(GRADIENTS), ...Object.keys(IRREGULAR)];
