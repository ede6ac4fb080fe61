/**
 * TensorFlow.js kernel → ONNX nodes. One entry per kernel, each translating shapes and attributes and nothing else.
 * A kernel that is missing here makes tracing fail with its name, so add it here and to the test's table.
 */
import type { TensorInfo } from "@tensorflow/tfjs-core";
import { elements, type ValueType } from "./graph.ts";
import { DATA_TYPE } from "./onnx.ts";
import { type Recorder, valueType } from "./recorder.ts";

// biome-ignore lint/suspicious/noExplicitAny: attributes are typed per kernel by TensorFlow.js, under names that its registry erases
type Attributes = Record<string, any>;
type Inputs = Record<string, TensorInfo>;
export type Kernel = (recorder: Recorder, inputs: Inputs, attributes: Attributes) => TensorInfo | TensorInfo[];

const typeOf = (tensor: TensorInfo): ValueType => valueType(tensor.dtype);

/** Element-wise of two, with broadcasting. */
function binary(op: string, dtype?: ValueType): Kernel {
  return (r, { a, b }) =>
    r.node(op, [r.nameOf(a!), r.nameOf(b!)], {
      shape: r.tf.broadcast_util.assertAndGetBroadcastShape(a!.shape, b!.shape),
      dtype: dtype ?? typeOf(a!),
    });
}

/** Element-wise of one. */
function unary(op: string): Kernel {
  return (r, { x }) => r.node(op, [r.nameOf(x!)], { shape: x!.shape, dtype: typeOf(x!) });
}

function reduction(op: string): Kernel {
  return (r, { x }, attributes) => {
    const axes = r.tf.util.parseAxisParam(attributes.axis ?? attributes.reductionIndices, x!.shape);
    const keep = Boolean(attributes.keepDims);
    const shape = keep
      ? x!.shape.map((size, i) => (axes.includes(i) ? 1 : size))
      : x!.shape.filter((_, i) => !axes.includes(i));
    if (axes.length === 0) return reshape(r, x!, shape);
    return r.node(op, [r.nameOf(x!), r.graph.ints(axes)], { shape, dtype: typeOf(x!) }, { keepdims: keep ? 1 : 0 });
  };
}

function reshape(r: Recorder, x: TensorInfo, shape: readonly number[]): TensorInfo {
  const name = r.nameOf(x);
  if (shape.length === x.shape.length && shape.every((size, i) => size === x.shape[i]))
    return r.tensor(name, shape, typeOf(x));
  return r.node("Reshape", [name, r.graph.ints(shape)], { shape, dtype: typeOf(x) });
}

function transposed(r: Recorder, x: TensorInfo, perm: readonly number[]): TensorInfo {
  return r.node("Transpose", [r.nameOf(x)], { shape: perm.map((i) => x.shape[i]!), dtype: typeOf(x) }, { perm });
}

function cast(r: Recorder, x: TensorInfo, dtype: ValueType): TensorInfo {
  if (dtype === x.dtype) return r.tensor(r.nameOf(x), x.shape, dtype);
  return r.node("Cast", [r.nameOf(x)], { shape: x.shape, dtype }, { to: DATA_TYPE[dtype] });
}

const matMul: Kernel = (r, { a, b }, { transposeA, transposeB }) => {
  const rank = a!.shape.length;
  const rows = a!.shape[transposeA ? rank - 1 : rank - 2]!;
  const columns = b!.shape[b!.shape.length - (transposeB ? 2 : 1)]!;
  if (rank === 2 && b!.shape.length === 2) {
    const attributes = { transA: transposeA ? 1 : 0, transB: transposeB ? 1 : 0 };
    return r.node("Gemm", [r.nameOf(a!), r.nameOf(b!)], { shape: [rows, columns], dtype: "float32" }, attributes);
  }
  // The runtime fuses these transposes into the product.
  const swap = (x: TensorInfo): TensorInfo => {
    const last = x.shape.length - 1;
    return transposed(r, x, [...Array(last - 1).keys(), last, last - 1]);
  };
  const left = transposeA ? swap(a!) : a!;
  const right = transposeB ? swap(b!) : b!;
  const batch = r.tf.broadcast_util.assertAndGetBroadcastShape(a!.shape.slice(0, -2), b!.shape.slice(0, -2));
  return r.node("MatMul", [r.nameOf(left), r.nameOf(right)], { shape: [...batch, rows, columns], dtype: "float32" });
};

const gather: Kernel = (r, { x, indices }, { axis, batchDims }) => {
  const at = r.tf.util.parseAxisParam(axis, x!.shape)[0]!;
  const names = [r.nameOf(x!), r.nameOf(indices!)];
  if (!batchDims) {
    const shape = [...x!.shape.slice(0, at), ...indices!.shape, ...x!.shape.slice(at + 1)];
    return r.node("Gather", names, { shape, dtype: typeOf(x!) }, { axis: at });
  }
  // [N, V] at [N, M] along the last axis: one element per index.
  if (batchDims !== 1 || at !== 1 || x!.shape.length !== 2 || indices!.shape.length !== 2) {
    throw new Error("trace: gather with batchDims is translated for [N, V] at [N, M] only");
  }
  return r.node("GatherElements", names, { shape: indices!.shape, dtype: typeOf(x!) }, { axis: 1 });
};

/**
 * ScatterElements, not ScatterND: the runtime's CPU kernel of the latter adds from several threads without locking,
 * and loses sums where an index repeats.
 */
const unsortedSegmentSum: Kernel = (r, { x, segmentIds }, { numSegments }) => {
  const [rows = 0, ...inner] = x!.shape;
  const width = elements(inner);
  const flat = reshape(r, x!, [rows, width]); // [N, D]
  const ids = reshape(r, segmentIds!, [rows, 1]);
  const index = r.node("Expand", [r.nameOf(ids), r.graph.ints([rows, width])], {
    shape: [rows, width],
    dtype: "int32",
  });
  const zeros = r.fill(0, [numSegments, width], typeOf(x!));
  const inputs = [r.nameOf(zeros), r.nameOf(index), r.nameOf(flat)];
  const sum = r.node(
    "ScatterElements",
    inputs,
    { shape: [numSegments, width], dtype: typeOf(x!) },
    { axis: 0, reduction: "add" },
  );
  return reshape(r, sum, [numSegments, ...inner]);
};

/** Overwrites; where an index repeats, TensorFlow.js does not say which update wins and neither does ONNX. */
const tensorScatterUpdate: Kernel = (r, { tensor, indices, updates }) => {
  const index = cast(r, indices!, "int64");
  return r.node("ScatterND", [r.nameOf(tensor!), r.nameOf(index), r.nameOf(updates!)], {
    shape: tensor!.shape,
    dtype: typeOf(tensor!),
  });
};

/** By comparison, because the runtime's OneHot has no kernel on a GPU. */
const oneHot: Kernel = (r, { indices }, { depth, onValue, offValue, dtype }) => {
  const shape = [...indices!.shape, depth];
  const column = reshape(r, indices!, [...indices!.shape, 1]);
  const classes = r.graph.constant(
    Int32Array.from({ length: depth }, (_, i) => i),
    [depth],
    "int32",
  );
  const hot = r.node("Equal", [r.nameOf(column), classes], { shape, dtype: "bool" });
  const type = valueType(dtype ?? "float32");
  if (onValue === 1 && offValue === 0) return cast(r, hot, type);
  const [on, off] = [r.graph.constant([onValue], [], type), r.graph.constant([offValue], [], type)];
  return r.node("Where", [r.nameOf(hot), on, off], { shape, dtype: type });
};

const split: Kernel = (r, { x }, { numOrSizeSplits, axis }) => {
  const at = r.tf.util.parseAxisParam(axis, x!.shape)[0]!;
  const sizes: number[] = r.tf.backend_util.prepareSplitSize(x as never, numOrSizeSplits, at);
  const specs = sizes.map((size) => ({
    shape: x!.shape.map((full, i) => (i === at ? size : full)),
    dtype: typeOf(x!),
  }));
  const names = r.graph.emit("Split", [r.nameOf(x!), r.graph.ints(sizes)], specs, { axis: at });
  return names.map((name, i) => r.tensor(name, specs[i]!.shape, specs[i]!.dtype));
};

const concat: Kernel = (r, inputs, { axis }) => {
  const parts = Object.values(inputs);
  const at = r.tf.util.parseAxisParam(axis, parts[0]!.shape)[0]!;
  const total = parts.reduce((sum, part) => sum + part.shape[at]!, 0);
  const shape = parts[0]!.shape.map((size, i) => (i === at ? total : size));
  return r.node(
    "Concat",
    parts.map((part) => r.nameOf(part)),
    { shape, dtype: typeOf(parts[0]!) },
    { axis: at },
  );
};

const pack: Kernel = (r, inputs, { axis }) => {
  const parts = Object.values(inputs).map((part) => {
    const shape = [...part.shape];
    shape.splice(axis, 0, 1);
    return reshape(r, part, shape);
  });
  return concat(r, Object.fromEntries(parts.entries()), { axis });
};

const slice: Kernel = (r, { x }, { begin, size }) => {
  const [starts, sizes]: number[][] = r.tf.slice_util.parseSliceParams(x as never, begin, size) as number[][];
  const ends = starts!.map((start, i) => start + sizes![i]!);
  return r.node("Slice", [r.nameOf(x!), r.graph.ints(starts!), r.graph.ints(ends)], {
    shape: sizes!,
    dtype: typeOf(x!),
  });
};

const pad: Kernel = (r, { x }, { paddings, constantValue }) => {
  const pairs = paddings as [number, number][];
  const amounts = r.graph.ints([...pairs.map(([before]) => before), ...pairs.map(([, after]) => after)]);
  const value = r.graph.constant([constantValue], [], typeOf(x!));
  const shape = x!.shape.map((size, i) => size + pairs[i]![0] + pairs[i]![1]);
  return r.node("Pad", [r.nameOf(x!), amounts, value], { shape, dtype: typeOf(x!) });
};

const softmax =
  (op: string): Kernel =>
  (r, { logits }) =>
    r.node(op, [r.nameOf(logits!)], { shape: logits!.shape, dtype: "float32" }, { axis: -1 });

export const KERNELS: Readonly<Record<string, Kernel>> = {
  Add: binary("Add"),
  Sub: binary("Sub"),
  Multiply: binary("Mul"),
  RealDiv: binary("Div"),
  Pow: binary("Pow"),
  Maximum: binary("Max"),
  Minimum: binary("Min"),
  Greater: binary("Greater", "bool"),
  GreaterEqual: binary("GreaterOrEqual", "bool"),
  Less: binary("Less", "bool"),
  LessEqual: binary("LessOrEqual", "bool"),
  Equal: binary("Equal", "bool"),
  LogicalAnd: binary("And", "bool"),
  LogicalOr: binary("Or", "bool"),
  LogicalNot: unary("Not"),
  Abs: unary("Abs"),
  Exp: unary("Exp"),
  Log: unary("Log"),
  Neg: unary("Neg"),
  Sqrt: unary("Sqrt"),
  Rsqrt: (r, { x }) => {
    const spec = { shape: x!.shape, dtype: typeOf(x!) };
    return r.node("Reciprocal", [r.nameOf(r.node("Sqrt", [r.nameOf(x!)], spec))], spec);
  },
  Square: (r, { x }) => r.node("Mul", [r.nameOf(x!), r.nameOf(x!)], { shape: x!.shape, dtype: typeOf(x!) }),
  Reciprocal: unary("Reciprocal"),
  Tanh: unary("Tanh"),
  Sigmoid: unary("Sigmoid"),
  Erf: unary("Erf"),
  Relu: unary("Relu"),
  Sign: unary("Sign"),
  Step: (r, { x }, { alpha }) => {
    if (alpha) throw new Error("trace: step with a slope is not translated");
    const zero = r.graph.constant([0], [], typeOf(x!));
    return cast(r, r.node("Greater", [r.nameOf(x!), zero], { shape: x!.shape, dtype: "bool" }), typeOf(x!));
  },
  Identity: (r, { x }) => r.tensor(r.nameOf(x!), x!.shape, typeOf(x!)),
  Cast: (r, { x }, { dtype }) => cast(r, x!, valueType(dtype)),
  Reshape: (r, { x }, { shape }) => reshape(r, x!, r.tf.util.inferFromImplicitShape(shape, elements(x!.shape))),
  ExpandDims: (r, { input }, { dim }) => {
    const shape = [...input!.shape];
    shape.splice(dim < 0 ? shape.length + dim + 1 : dim, 0, 1);
    return reshape(r, input!, shape);
  },
  Transpose: (r, { x }, { perm }) => transposed(r, x!, perm),
  Sum: reduction("ReduceSum"),
  Mean: reduction("ReduceMean"),
  Max: reduction("ReduceMax"),
  Min: reduction("ReduceMin"),
  BatchMatMul: matMul,
  Softmax: softmax("Softmax"),
  LogSoftmax: softmax("LogSoftmax"),
  GatherV2: gather,
  UnsortedSegmentSum: unsortedSegmentSum,
  TensorScatterUpdate: tensorScatterUpdate,
  OneHot: oneHot,
  SplitV: split,
  Concat: concat,
  Pack: pack,
  Slice: slice,
  PadV2: pad,
  Tile: (r, { x }, { reps }) =>
    r.node("Tile", [r.nameOf(x!), r.graph.ints(reps)], {
      shape: x!.shape.map((size, i) => size * reps[i]),
      dtype: typeOf(x!),
    }),
  ZerosLike: (r, { x }) => r.fill(0, x!.shape, typeOf(x!)),
  OnesLike: (r, { x }) => r.fill(1, x!.shape, typeOf(x!)),
  Fill: (r, _inputs, { shape, value, dtype }) => r.fill(value, shape, valueType(dtype ?? "float32")),
  Select: (r, { condition, t, e }) => {
    const shape = r.tf.broadcast_util.assertAndGetBroadcastShape(condition!.shape, t!.shape);
    return r.node("Where", [r.nameOf(condition!), r.nameOf(t!), r.nameOf(e!)], { shape, dtype: typeOf(t!) });
  },
};
