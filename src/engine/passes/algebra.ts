/**
 * Rules that hold on every provider: operations that change nothing, or that another operation makes unnecessary. What
 * differentiation leaves behind is most of it.
 */
import { elements } from "../graph.ts";
import type { Rule } from "./rewriting.ts";

const sameShape = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((size, i) => size === b[i]);

/** Operands of a commutative node, in both orders. */
export function operands({ inputs: [a = "", b = ""] }: { readonly inputs: readonly string[] }): [string, string][] {
  return [
    [a, b],
    [b, a],
  ];
}

/** x · 1 = x, spread over the shape of the product where x is smaller. */
const timesOne: Rule = (node, graph) => {
  if (node.op !== "Mul") return undefined;
  for (const [x, one] of operands(node)) {
    if (graph.scalar(one) !== 1) continue;
    const shape = graph.shape(node.outputs[0]!);
    if (sameShape(graph.shape(x), shape)) return x;
    return graph.node("Expand", [x, graph.constant(shape, [shape.length], "int64")], shape, {}, graph.dtype(x));
  }
  return undefined;
};

/** An operand need not be spread over a shape that the other operand has. */
const unspread: Rule = (node, graph) => {
  if (node.op !== "Add" && node.op !== "Mul" && node.op !== "Sub" && node.op !== "Div") return undefined;
  const shape = graph.shape(node.outputs[0]!);
  const [a = "", b = ""] = node.inputs;
  const from = (x: string, other: string): string =>
    sameShape(graph.shape(other), shape) ? (graph.from(x, "Expand")?.inputs[0] ?? x) : x;
  const inputs = [from(a, b), b];
  inputs[1] = from(b, inputs[0]!);
  if (inputs[0] === a && inputs[1] === b) return undefined;
  return graph.node(node.op, inputs, shape, {}, graph.dtype(node.outputs[0]!));
};

/** (x · a) · b = x · (a · b), of constants. */
const factors: Rule = (node, graph) => {
  if (node.op !== "Mul") return undefined;
  for (const [product, outer] of operands(node)) {
    const b = graph.scalar(outer);
    const inner = graph.from(product, "Mul");
    if (b === undefined || !inner || graph.uses(product) > 1) continue;
    for (const [x, factor] of operands(inner)) {
      const a = graph.scalar(factor);
      if (a === undefined || !sameShape(graph.shape(x), graph.shape(product))) continue;
      return graph.node("Mul", [x, graph.constant([a * b], [], "float32")], graph.shape(x));
    }
  }
  return undefined;
};

/** A reshape of a reshape is one; a reshape to the shape that is there is none. */
const reshapes: Rule = (node, graph) => {
  if (node.op !== "Reshape") return undefined;
  const [x = "", to = ""] = node.inputs;
  const shape = graph.shape(node.outputs[0]!);
  const source = graph.from(x, "Reshape")?.inputs[0] ?? x;
  if (sameShape(graph.shape(source), shape)) return source;
  return source === x ? undefined : graph.node("Reshape", [source, to], shape, {}, graph.dtype(x));
};

/** Two transpositions are one, or none; moving axes of length 1 only is a reshape, which copies nothing. */
const transpositions: Rule = (node, graph) => {
  if (node.op !== "Transpose") return undefined;
  const [x = ""] = node.inputs;
  const shape = graph.shape(node.outputs[0]!);
  const outer = permutation(node.attributes.perm);
  const before = graph.from(x, "Transpose");
  if (before) {
    const inner = permutation(before.attributes.perm);
    const perm = outer.map((axis) => inner[axis]!);
    const source = before.inputs[0]!;
    if (perm.every((axis, i) => axis === i)) return source;
    return graph.node("Transpose", [source], shape, { perm }, graph.dtype(x));
  }
  const moved = outer.filter((axis) => graph.shape(x)[axis] !== 1);
  if (elements(shape) > 0 && moved.every((axis, i) => i === 0 || moved[i - 1]! < axis))
    return graph.node("Reshape", [x, graph.constant(shape, [shape.length], "int64")], shape, {}, graph.dtype(x));
  return undefined;
};

export const permutation = (value: unknown): readonly number[] => value as readonly number[];

const copies: Rule = (node, graph) =>
  node.op === "Identity" && graph.uses(node.outputs[0]!) > 0 && graph.producer(node.inputs[0])
    ? node.inputs[0]
    : undefined;

/** a + (rows scattered into zeros) = rows scattered into a: neither zeros nor a sum of that size. */
const scatterIntoSum: Rule = (node, graph) => {
  if (node.op !== "Add") return undefined;
  for (const [into, scattered] of operands(node)) {
    const scatter = graph.from(scattered, "ScatterElements");
    if (scatter?.attributes.reduction !== "add" || graph.uses(scattered) > 1) continue;
    const [zeros, index, rows] = scatter.inputs as [string, string, string];
    if (graph.scalar(zeros) !== 0 || !sameShape(graph.shape(into), graph.shape(scattered))) continue;
    return graph.node("ScatterElements", [into, index, rows], graph.shape(into), scatter.attributes);
  }
  return undefined;
};

export const ALGEBRA: readonly Rule[] = [copies, timesOne, unspread, factors, reshapes, transpositions, scatterIntoSum];
