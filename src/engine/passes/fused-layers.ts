/**
 * Layers that ONNX Runtime has one kernel for, recognised by the operations that ../../trainer/layers.ts builds them of.
 * What the gradient needs of their inside is computed again from their input, just before it is used.
 */
import type { GraphNode } from "../graph.ts";
import { operands } from "./algebra.ts";
import type { Rewriting, Rule } from "./rewriting.ts";

/** Operands of such a node: x, and the one float32 number that the other is. */
function withScalar(node: GraphNode | undefined, op: string, graph: Rewriting): [x: string, value: number] | undefined {
  if (node?.op !== op) return undefined;
  for (const [x, other] of operands(node)) {
    const value = graph.scalar(other);
    if (value !== undefined) return [x, value];
  }
  return undefined;
}

const isSquareOf = (name: string, x: string, graph: Rewriting): boolean =>
  graph.from(name, "Mul")?.inputs.every((input) => input === x) ?? false;

/** (x − mean) · scale · weight + bias, over rows of a matrix. */
const layerNormalization: Rule = (node, graph) => {
  if (node.op !== "Add") return undefined;
  for (const [product, bias] of operands(node)) {
    const weighted = graph.from(product, "Mul");
    for (const [normed, weight] of weighted ? operands(weighted) : []) {
      const found = normalized(normed, graph);
      if (!found || graph.shape(weight).length !== 1 || graph.shape(bias).length !== 1) continue;
      const { x, centred, mean, scale, epsilon } = found;
      const shape = graph.shape(x);
      const perRow = { shape: graph.shape(scale), dtype: "float32" as const };
      const [y, newMean, newScale] = graph.nodes(
        "LayerNormalization",
        [x, weight, bias],
        [{ shape, dtype: "float32" }, perRow, perRow],
        { axis: -1, epsilon: { float: epsilon } },
      ) as [string, string, string];
      graph.rename(mean, newMean);
      graph.rename(scale, newScale);
      graph.rename(centred, graph.node("Sub", [x, newMean], shape));
      graph.rename(normed, graph.node("Mul", [graph.renamed(centred), newScale], shape));
      return y;
    }
  }
  return undefined;
};

function normalized(name: string, graph: Rewriting) {
  const product = graph.from(name, "Mul");
  for (const [centred, scale] of product ? operands(product) : []) {
    const difference = graph.from(centred, "Sub");
    const variance = inverseRoot(scale, graph);
    if (!difference || !variance) continue;
    const [x = "", mean = ""] = difference.inputs;
    const squares = graph.from(variance[0], "ReduceMean")?.inputs[0];
    const averaged = graph.from(mean, "ReduceMean")?.inputs[0];
    if (averaged !== x || graph.shape(x).length !== 2 || !squares || !isSquareOf(squares, centred, graph)) continue;
    return { x, centred, mean, scale, epsilon: variance[1] };
  }
  return undefined;
}

/** x · scale · weight, over rows of a matrix. */
const rmsNormalization: Rule = (node, graph) => {
  if (node.op !== "Mul") return undefined;
  for (const [normed, weight] of operands(node)) {
    const product = graph.from(normed, "Mul");
    for (const [x, scale] of product ? operands(product) : []) {
      const found = inverseRoot(scale, graph);
      const squares = found && graph.from(found[0], "ReduceMean")?.inputs[0];
      if (!found || !squares || !isSquareOf(squares, x, graph) || normalized(normed, graph)) continue;
      if (graph.shape(weight).length !== 1 || graph.shape(x).length !== 2) continue;
      const [y, newScale] = graph.nodes(
        "SimplifiedLayerNormalization",
        [x, weight],
        [
          { shape: graph.shape(x), dtype: "float32" },
          { shape: graph.shape(scale), dtype: "float32" },
        ],
        { axis: -1, epsilon: { float: found[1] } },
      ) as [string, string];
      graph.rename(scale, newScale);
      graph.rename(normed, graph.node("Mul", [x, newScale], graph.shape(x)));
      return y;
    }
  }
  return undefined;
};

/** 1 / √(mean + epsilon), by the mean's name and epsilon. */
function inverseRoot(name: string, graph: Rewriting): [mean: string, epsilon: number] | undefined {
  const root = graph.from(graph.from(name, "Reciprocal")?.inputs[0], "Sqrt")?.inputs[0];
  return withScalar(graph.producer(root), "Add", graph);
}

/** Factors of FastGelu, 2√(2/π) and that · 0.044715, and how far float32 may be from them. */
const GELU_SLOPE = 2 * Math.sqrt(2 / Math.PI);
const GELU_CUBIC = GELU_SLOPE * 0.044715;
const near = (value: number, expected: number): boolean => Math.abs(value - expected) < 1e-6;

/** x · sigmoid(x · (slope + cubic · x²)) */
const fastGelu: Rule = (node, graph) => {
  if (node.op !== "Mul") return undefined;
  for (const [x, gate] of operands(node)) {
    const argument = graph.from(graph.from(gate, "Sigmoid")?.inputs[0], "Mul");
    for (const [base, polynomial] of argument ? operands(argument) : []) {
      const sum = withScalar(graph.producer(polynomial), "Add", graph);
      const cubic = sum && withScalar(graph.producer(sum[0]), "Mul", graph);
      if (base !== x || !cubic || !near(sum[1], GELU_SLOPE) || !near(cubic[1], GELU_CUBIC)) continue;
      if (isSquareOf(cubic[0], x, graph)) return graph.node("com.microsoft.FastGelu", [x], graph.shape(x));
    }
  }
  return undefined;
};

export const FUSED_LAYERS: readonly Rule[] = [layerNormalization, rmsNormalization, fastGelu];
