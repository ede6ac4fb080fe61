/**
 * Matrix products for ONNX Runtime's processor kernels: transposes and factors belong to the product, sums over rows are
 * products, and the gradient of a weight is computed in the layout that the kernel is fastest in.
 */
import { operands, permutation } from "./algebra.ts";
import type { Rewriting, Rule } from "./rewriting.ts";

const FUSED = "com.microsoft.FusedMatMul";

interface BatchedProduct {
  readonly inputs: readonly string[];
  readonly transA: number;
  readonly transB: number;
  readonly alpha: number;
}

/** A product of stacks of matrices, by whichever name. */
function batchedProduct(name: string, graph: Rewriting): BatchedProduct | undefined {
  const node = graph.producer(name);
  if (node?.op === "MatMul") return { inputs: node.inputs, transA: 0, transB: 0, alpha: 1 };
  if (node?.op !== FUSED) return undefined;
  const { transA, transB, alpha } = node.attributes as { transA: number; transB: number; alpha: { float: number } };
  return { inputs: node.inputs, transA, transB, alpha: alpha.float };
}

function fused({ inputs, transA, transB, alpha }: BatchedProduct, graph: Rewriting, shape: readonly number[]): string {
  return graph.node(FUSED, inputs, shape, { transA, transB, alpha: { float: alpha } });
}

/** The operand without a transposition of its last two axes. */
function untransposed(name: string, graph: Rewriting): string | undefined {
  const transpose = graph.from(name, "Transpose");
  if (!transpose) return undefined;
  const perm = permutation(transpose.attributes.perm);
  const last = perm.length - 1;
  if (last < 2 || !perm.every((axis, i) => axis === (i === last ? last - 1 : i === last - 1 ? last : i)))
    return undefined;
  return transpose.inputs[0];
}

const transposedOperands: Rule = (node, graph) => {
  if (node.op !== "MatMul") return undefined;
  const [a = "", b = ""] = node.inputs;
  const left = untransposed(a, graph);
  const right = untransposed(b, graph);
  if (left === undefined && right === undefined) return undefined;
  const inputs = [left ?? a, right ?? b];
  const transA = left === undefined ? 0 : 1;
  const transB = right === undefined ? 0 : 1;
  return fused({ inputs, transA, transB, alpha: 1 }, graph, graph.shape(node.outputs[0]!));
};

/** (a × b) · c, and (a · c) × b. */
const factorOfProduct: Rule = (node, graph) => {
  if (node.op === "Mul") {
    for (const [product, factor] of operands(node)) {
      const by = graph.scalar(factor);
      const batched = batchedProduct(product, graph);
      if (by === undefined || !batched || graph.uses(product) > 1) continue;
      return fused({ ...batched, alpha: batched.alpha * by }, graph, graph.shape(product));
    }
  }
  const [name = ""] = node.outputs;
  if (node.op !== "MatMul" && node.op !== FUSED) return undefined;
  const inputs = [...node.inputs];
  let alpha = node.op === FUSED ? (node.attributes.alpha as { float: number }).float : 1;
  for (const [i, input] of inputs.entries()) {
    const scaled = graph.from(input, "Mul");
    for (const [x, factor] of scaled ? operands(scaled) : []) {
      const by = graph.scalar(factor);
      if (by === undefined || graph.shape(x).join() !== graph.shape(input).join()) continue;
      inputs[i] = x;
      alpha *= by;
    }
  }
  if (inputs.every((input, i) => input === node.inputs[i])) return undefined;
  const { transA = 0, transB = 0 } = node.attributes as { transA?: number; transB?: number };
  return fused({ inputs, transA, transB, alpha }, graph, graph.shape(name));
};

/** a × b + c, where c is a row or has the product's shape: the kernel starts from c. */
const sumWithProduct: Rule = (node, graph) => {
  if (node.op !== "Add") return undefined;
  for (const [product, c] of operands(node)) {
    const gemm = graph.from(product, "Gemm");
    if (!gemm || gemm.inputs.length > 2 || graph.uses(product) > 1) continue;
    const shape = graph.shape(product);
    const added = graph.shape(c);
    const fits = added.length === 1 ? added[0] === shape[1] : added.join() === shape.join();
    if (fits) return graph.node("Gemm", [...gemm.inputs, c], shape, gemm.attributes);
  }
  return undefined;
};

/** Σ over the rows of a matrix: the product with a row of ones uses both cores and whole vectors. */
const rowSums: Rule = (node, graph) => {
  if (node.op !== "ReduceSum" || node.attributes.keepdims !== 0) return undefined;
  const [x = "", axes] = node.inputs;
  const [rows = 0, columns = 0, ...more] = graph.shape(x);
  if (more.length > 0 || graph.shape(x).length !== 2 || graph.ints(axes)?.join() !== "0" || columns < 2)
    return undefined;
  return graph.node("MatMul", [graph.constant(new Float32Array(rows).fill(1), [rows], "float32"), x], [columns]);
};

/**
 * Xᵀ·Y of matrices with as many rows. The kernel would walk down the columns of X for every strip of Y; transposing the
 * narrower of the two first is cheaper, though the result must be transposed where that is Y.
 */
const weightGradient: Rule = (node, graph) => {
  if (node.op !== "Gemm" || node.attributes.transA !== 1 || node.attributes.transB === 1 || node.inputs.length > 2)
    return undefined;
  const [x = "", y = ""] = node.inputs;
  const [N = 0, M = 0] = graph.shape(x);
  const [, K = 0] = graph.shape(y);
  const turned = (name: string, rows: number, columns: number): string =>
    graph.node("Transpose", [name], [columns, rows], { perm: [1, 0] });
  if (M <= K) return graph.node("Gemm", [turned(x, N, M), y], [M, K], { transA: 0, transB: 0 });
  return turned(graph.node("Gemm", [turned(y, N, K), x], [K, M], { transA: 0, transB: 0 }), K, M);
};

/** Rows added to the transpose of X are columns added to X: the sum is made in place, and only then transposed. */
const scatterBeforeTranspose: Rule = (node, graph) => {
  if (node.op !== "ScatterElements" || node.attributes.axis !== 0) return undefined;
  const [into = "", index = "", rows = ""] = node.inputs;
  const transpose = graph.from(into, "Transpose");
  const ids = graph.from(index, "Expand")?.inputs[0];
  if (!transpose || graph.uses(into) > 1 || ids === undefined || graph.shape(into).length !== 2) return undefined;
  const [V = 0, D = 0] = graph.shape(into);
  const [N = 0] = graph.shape(rows);
  const ints = (...values: number[]): string => graph.constant(values, [values.length], "int64");
  const dtype = graph.dtype(ids);
  const row = graph.node("Reshape", [ids, ints(1, N)], [1, N], {}, dtype);
  const columns = graph.node("Expand", [row, ints(D, N)], [D, N], {}, dtype);
  const values = graph.node("Transpose", [rows], [D, N], { perm: [1, 0] });
  const inputs = [transpose.inputs[0]!, columns, values];
  const sum = graph.node("ScatterElements", inputs, [D, V], { ...node.attributes, axis: 1 });
  return graph.node("Transpose", [sum], [V, D], { perm: [1, 0] });
};

export const PRODUCTS: readonly Rule[] = [
  transposedOperands,
  factorOfProduct,
  rowSums,
  weightGradient,
  sumWithProduct,
  scatterBeforeTranspose,
];
