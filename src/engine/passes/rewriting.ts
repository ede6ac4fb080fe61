/**
 * Rewriting a graph node by node, in execution order: a rule sees a node whose inputs were rewritten before, looks back at
 * what produced them, and may put other nodes in its place. What nothing needs any more falls away at the end.
 */
import {
  type Attribute,
  constantOf,
  type Graph,
  type GraphConstant,
  type GraphNode,
  type ValueSpec,
  withoutUnused,
} from "../graph.ts";

/** @returns the name of the value that the node's output is from now on; undefined: the rule does not apply */
export type Rule = (node: GraphNode, graph: Rewriting) => string | undefined;

export function rewrite(graph: Graph, rules: readonly Rule[]): Graph {
  const rewriting = new Rewriting(graph);
  for (const node of graph.nodes) rewriting.take(node, rules);
  return rewriting.finish();
}

export class Rewriting {
  readonly #graph: Graph;
  readonly #nodes: GraphNode[] = [];
  readonly #producers = new Map<string, GraphNode>();
  readonly #constants: Map<string, GraphConstant>;
  readonly #newConstants = new Map<string, string>();
  readonly #values: Map<string, ValueSpec>;
  readonly #renamed = new Map<string, string>();
  readonly #uses = new Map<string, number>();
  #next = 0;

  constructor(graph: Graph) {
    this.#graph = graph;
    this.#constants = new Map(graph.constants.map((constant) => [constant.name, constant]));
    this.#values = new Map(graph.values);
    const read = [...graph.nodes.flatMap((node) => node.inputs), ...Object.keys(graph.outputs)];
    for (const name of read) this.#uses.set(name, (this.#uses.get(name) ?? 0) + 1);
  }

  take(node: GraphNode, rules: readonly Rule[]): void {
    const current = { ...node, inputs: node.inputs.map((name) => this.renamed(name)) };
    const [output = ""] = node.outputs;
    const before = this.#nodes.length;
    for (const rule of rules) {
      const value = rule(current, this);
      if (value === undefined) continue;
      if (output in this.#graph.outputs) this.#output(value, output, before);
      else this.rename(output, value);
      return;
    }
    this.#append(current);
  }

  /** An output keeps its name: a node that was added for it takes that name; a value that was there before is copied. */
  #output(value: string, output: string, addedFrom: number): void {
    const at = this.#nodes.findIndex((node, i) => i >= addedFrom && node.outputs.includes(value));
    if (at < 0) {
      this.#append({ op: "Identity", inputs: [value], outputs: [output], attributes: {} });
      return;
    }
    const [node] = this.#nodes.splice(at, 1);
    this.rename(value, output);
    this.#append({ ...node!, outputs: node!.outputs.map((name) => (name === value ? output : name)) });
  }

  /** What made the value; undefined for inputs and constants. */
  producer(name: string | undefined): GraphNode | undefined {
    return name === undefined ? undefined : this.#producers.get(name);
  }

  /** The producer, where it is such a node. */
  from(name: string | undefined, op: string): GraphNode | undefined {
    const node = this.producer(name);
    return node?.op === op ? node : undefined;
  }

  /** How many nodes and outputs of the graph before rewriting read the value. */
  uses(name: string): number {
    return this.#uses.get(name) ?? 0;
  }

  shape(name: string): readonly number[] {
    const spec = this.#constants.get(name) ?? this.#values.get(name);
    if (!spec) throw new Error(`graph: no value is called ${name}`);
    return spec.shape;
  }

  dtype(name: string): ValueSpec["dtype"] {
    return (this.#constants.get(name) ?? this.#values.get(name))!.dtype;
  }

  /** The one value of a float32 constant, also of one spread over a shape. */
  scalar(name: string | undefined): number | undefined {
    const source = this.from(name, "Expand")?.inputs[0] ?? name;
    const constant = source === undefined ? undefined : this.#constants.get(source);
    if (constant?.dtype !== "float32" || constant.bytes.length !== 4) return undefined;
    return new DataView(constant.bytes.buffer, constant.bytes.byteOffset, 4).getFloat32(0, true);
  }

  /** The values of an int64 constant. */
  ints(name: string | undefined): number[] | undefined {
    const constant = name === undefined ? undefined : this.#constants.get(name);
    if (constant?.dtype !== "int64") return undefined;
    return Array.from(new BigInt64Array(constant.bytes.slice().buffer), Number);
  }

  constant(values: ArrayLike<number>, shape: readonly number[], dtype: ValueSpec["dtype"]): string {
    const key = `${dtype}[${shape}]:${Array.from(values)}`;
    const known = this.#newConstants.get(key);
    if (known !== undefined) return known;
    const name = this.#fresh();
    this.#newConstants.set(key, name);
    this.#constants.set(name, constantOf(name, values, shape, dtype));
    return name;
  }

  /** Appends a node with one output. */
  node(
    op: string,
    inputs: readonly string[],
    shape: readonly number[],
    attributes: Readonly<Record<string, Attribute>> = {},
    dtype: ValueSpec["dtype"] = "float32",
  ): string {
    return this.nodes(op, inputs, [{ shape, dtype }], attributes)[0]!;
  }

  nodes(
    op: string,
    inputs: readonly string[],
    specs: readonly ValueSpec[],
    attributes: Readonly<Record<string, Attribute>> = {},
  ): string[] {
    const outputs = specs.map(() => this.#fresh());
    for (const [i, name] of outputs.entries()) this.#values.set(name, specs[i]!);
    this.#append({ op, inputs, outputs, attributes });
    return outputs;
  }

  /** A name that neither this graph nor an earlier rewriting of it has. */
  #fresh(): string {
    let name: string;
    do name = `w${this.#next++}`;
    while (this.#values.has(name) || this.#constants.has(name));
    return name;
  }

  /** From here on, nodes that would read the one value read the other. */
  rename(from: string, to: string): void {
    if (from !== to) this.#renamed.set(from, to);
  }

  /** What nodes read now where the graph before rewriting reads the value. */
  renamed(name: string): string {
    let current = name;
    for (let next = this.#renamed.get(current); next !== undefined; next = this.#renamed.get(current)) current = next;
    return current;
  }

  #append(node: GraphNode): void {
    this.#nodes.push(node);
    for (const output of node.outputs) this.#producers.set(output, node);
  }

  finish(): Graph {
    return withoutUnused({
      ...this.#graph,
      nodes: this.#nodes,
      constants: [...this.#constants.values()],
      values: this.#values,
    });
  }
}
