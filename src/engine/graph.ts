/**
 * A computation as plain data: nodes in execution order, constants, inputs and outputs, with the shape and type of
 * every value. Building and cleaning it happens here; what the bytes of a model file look like is onnx.ts's business.
 */

/** The last two exist between nodes only: constants are float32, and cast. */
export type ValueType = "float32" | "int32" | "int64" | "bool" | "float16" | "bfloat16";

export interface ValueSpec {
  readonly shape: readonly number[];
  readonly dtype: ValueType;
}

/** number = int, array = ints, graph = what a Loop repeats */
export type Attribute = number | string | readonly number[] | { readonly float: number } | Graph;

export interface GraphNode {
  /** ONNX's name of the operator, after its domain and a dot where that is not ONNX's own */
  readonly op: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Readonly<Record<string, Attribute>>;
}

export interface GraphConstant extends ValueSpec {
  readonly name: string;
  /** little-endian, row-major */
  readonly bytes: Uint8Array;
}

export interface Graph {
  readonly name: string;
  readonly inputs: Readonly<Record<string, ValueSpec>>;
  readonly outputs: Readonly<Record<string, ValueSpec>>;
  readonly nodes: readonly GraphNode[];
  readonly constants: readonly GraphConstant[];
  /** of every node output and graph input */
  readonly values: ReadonlyMap<string, ValueSpec>;
}

export function elements(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** Collects nodes and constants. Equal constants are stored once. */
export class GraphBuilder {
  readonly #nodes: GraphNode[] = [];
  readonly #constants: GraphConstant[] = [];
  readonly #constantNames = new Map<string, string>();
  readonly #values = new Map<string, ValueSpec>();
  readonly #inputs: Record<string, ValueSpec> = {};
  #next = 0;

  input(name: string, spec: ValueSpec): string {
    this.#inputs[name] = spec;
    this.#values.set(name, spec);
    return name;
  }

  /** Appends a node and returns the names of its outputs. */
  emit(
    op: string,
    inputs: readonly string[],
    outputs: readonly ValueSpec[],
    attributes: Record<string, Attribute> = {},
  ): string[] {
    const names = outputs.map((spec) => {
      const name = `v${this.#next++}`;
      this.#values.set(name, { shape: [...spec.shape], dtype: spec.dtype });
      return name;
    });
    this.#nodes.push({ op, inputs: [...inputs], outputs: names, attributes });
    return names;
  }

  constant(values: ArrayLike<number>, shape: readonly number[], dtype: ValueType): string {
    const bytes = encodeValues(values, dtype);
    const key = `${dtype}[${shape}]${Buffer.from(bytes).toString("latin1")}`;
    const known = this.#constantNames.get(key);
    if (known !== undefined) return known;
    const name = `c${this.#constants.length}`;
    this.#constantNames.set(key, name);
    this.#constants.push({ name, shape: [...shape], dtype, bytes });
    return name;
  }

  /** A one-dimensional int64 constant: what ONNX takes for shapes, axes and bounds. */
  ints(values: readonly number[]): string {
    return this.constant(values, [values.length], "int64");
  }

  spec(name: string): ValueSpec {
    const spec = this.#values.get(name) ?? this.#constants.find((constant) => constant.name === name);
    if (!spec) throw new Error(`graph: no value is called ${name}`);
    return spec;
  }

  /** @param outputs name of each graph output → the value that it is */
  finish(name: string, outputs: Readonly<Record<string, string>>): Graph {
    const specs: Record<string, ValueSpec> = {};
    const rename = new Map<string, string>();
    const produced = new Set(this.#nodes.flatMap((node) => node.outputs));
    const copies: GraphNode[] = [];
    for (const [output, value] of Object.entries(outputs)) {
      if (output in this.#inputs) throw new Error(`graph ${name}: ${output} is the name of an input and of an output`);
      const spec = this.spec(value);
      specs[output] = spec;
      // A node's own output takes the graph output's name; inputs, constants and second names need a copy.
      if (produced.has(value) && !rename.has(value)) rename.set(value, output);
      else copies.push({ op: "Identity", inputs: [value], outputs: [output], attributes: {} });
    }
    const renamed = [...this.#nodes, ...copies].map((node) => ({
      ...node,
      inputs: node.inputs.map((value) => rename.get(value) ?? value),
      outputs: node.outputs.map((value) => rename.get(value) ?? value),
    }));
    const values = new Map<string, ValueSpec>();
    for (const node of renamed) {
      for (const value of node.outputs) values.set(value, specs[value] ?? this.spec(value));
    }
    for (const [input, spec] of Object.entries(this.#inputs)) values.set(input, spec);
    const constants = this.#constants;
    return withoutUnused({ name, inputs: this.#inputs, outputs: specs, nodes: renamed, constants, values });
  }
}

/** The part of a graph that its outputs depend on. */
export function withoutUnused(graph: Graph): Graph {
  const needed = new Set(Object.keys(graph.outputs));
  const nodes = withoutDeadNodes(graph.nodes, needed);
  const inputs = Object.fromEntries(Object.entries(graph.inputs).filter(([input]) => needed.has(input)));
  const produced = [...nodes.flatMap((node) => node.outputs), ...Object.keys(inputs)];
  return {
    ...graph,
    inputs,
    nodes,
    constants: graph.constants.filter((constant) => needed.has(constant.name)),
    values: new Map(produced.map((name) => [name, graph.values.get(name)!])),
  };
}

/** Keeps the nodes that the needed values depend on, and adds everything they read to `needed`. */
function withoutDeadNodes(nodes: readonly GraphNode[], needed: Set<string>): GraphNode[] {
  const kept: GraphNode[] = [];
  for (const node of [...nodes].reverse()) {
    if (!node.outputs.some((output) => needed.has(output))) continue;
    kept.push(node);
    for (const input of node.inputs) needed.add(input);
  }
  return kept.reverse();
}

export function constantOf(
  name: string,
  values: ArrayLike<number>,
  shape: readonly number[],
  dtype: ValueType,
): GraphConstant {
  return { name, shape: [...shape], dtype, bytes: encodeValues(values, dtype) };
}

function encodeValues(values: ArrayLike<number>, dtype: ValueType): Uint8Array {
  const typed = toTyped(values, dtype);
  return new Uint8Array(typed.buffer, typed.byteOffset, typed.byteLength).slice();
}

function toTyped(values: ArrayLike<number>, dtype: ValueType): Float32Array | Int32Array | BigInt64Array | Uint8Array {
  switch (dtype) {
    case "float32":
      return Float32Array.from(values);
    case "int32":
      return Int32Array.from(values);
    case "int64":
      return BigInt64Array.from(Array.from(values, BigInt));
    case "bool":
      return Uint8Array.from(values);
    case "float16":
    case "bfloat16":
      throw new Error(`graph: a constant is stored in float32 and cast, not in ${dtype}`);
    default:
      return dtype satisfies never;
  }
}
