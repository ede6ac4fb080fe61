/** What a graph needs to run well on ONNX Runtime's processor kernels, which then run it as it is written. */
import type { Graph, GraphNode } from "../graph.ts";
import { ALGEBRA } from "./algebra.ts";
import { FUSED_LAYERS } from "./fused-layers.ts";
import { PRODUCTS } from "./products.ts";
import { rewrite } from "./rewriting.ts";

export function forCpu(graph: Graph): Graph {
  const clean = rewrite(graph, [...FUSED_LAYERS, ...ALGEBRA]);
  const fast = rewrite(clean, [...ALGEBRA, ...PRODUCTS]);
  // What became a product's own transpose or factor shows only when everything around it is in place.
  return inOrder(rewrite(fast, [...ALGEBRA, ...PRODUCTS]));
}

/**
 * ONNX Runtime takes the results that no node reads, beginning at the end of the file, and computes each with whatever it
 * still needs. Of a graph in the order of tracing it would compute the first layer's weight gradient first, and keep every
 * other layer's activations and gradients until the end. With those results turned round, each gradient is computed, and
 * what it was computed from is freed, as soon as the backward pass comes by.
 */
function inOrder(graph: Graph): Graph {
  const read = new Set(graph.nodes.flatMap((node) => node.inputs));
  const isLast = (node: GraphNode): boolean => !node.outputs.some((output) => read.has(output));
  const nodes = [...graph.nodes.filter((node) => !isLast(node)), ...graph.nodes.filter(isLast).reverse()];
  return { ...graph, nodes };
}
