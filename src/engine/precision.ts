/**
 * Products of matrices in 16 bits, as a pass over a traced graph. In 16 bits are the products and what only moves their
 * results, adds a parameter's bias to them or scales them by a number. All else stays float32, as do all inputs and
 * outputs: master weights, optimizer state, norms, softmax, activation functions, losses, and sums.
 */
import type { Precision } from "./engine.ts";
import { elements, type Graph, type GraphConstant, type GraphNode, type ValueSpec } from "./graph.ts";
import { DATA_TYPE } from "./onnx.ts";

type LowPrecision = Exclude<Precision, "float32">;

const PRODUCTS = new Set(["Gemm", "MatMul"]);
/** Give elements of their inputs, unchanged. */
const MOVES = new Set(["Reshape", "Transpose", "Slice", "Split", "Concat", "Identity"]);
/** A value keeps its name in float32; its twin in 16 bits has this after it. */
const TWIN = "/16";
/** Above this a number is infinite in float16. */
const LARGEST_FLOAT16 = 65504;

export function lowerPrecision(graph: Graph, precision: LowPrecision): Graph {
  const lowering = new Lowering(graph, precision);
  for (const node of graph.nodes) lowering.take(node);
  return lowering.finish();
}

class Lowering {
  readonly #graph: Graph;
  readonly #precision: LowPrecision;
  readonly #nodes: GraphNode[] = [];
  readonly #values: Map<string, ValueSpec>;
  readonly #constants: ReadonlyMap<string, GraphConstant>;
  /** computed in 16 bits */
  readonly #computed = new Set<string>();
  /** there in 16 bits, and there in float32; each form is made once, when it is first asked for */
  readonly #twins = new Set<string>();
  readonly #wide: Set<string>;

  constructor(graph: Graph, precision: LowPrecision) {
    this.#graph = graph;
    this.#precision = precision;
    this.#values = new Map(Object.entries(graph.inputs));
    this.#constants = new Map(graph.constants.map((constant) => [constant.name, constant]));
    this.#wide = new Set([...Object.keys(graph.inputs), ...this.#constants.keys()]);
  }

  take(node: GraphNode): void {
    const low = this.#isLow(node);
    const form = (name: string): string => (low && this.#isFloat(name) ? this.#inTwin(name) : this.#inFloat32(name));
    const inputs = node.inputs.map(form);
    const outputs = node.outputs.map((name) => {
      const spec = this.#spec(name);
      if (!low) {
        this.#wide.add(name);
        this.#values.set(name, spec);
        return name;
      }
      this.#computed.add(name);
      this.#twins.add(name);
      this.#values.set(name + TWIN, { ...spec, dtype: this.#precision });
      return name + TWIN;
    });
    this.#nodes.push({ ...node, inputs, outputs });
  }

  finish(): Graph {
    for (const output of Object.keys(this.#graph.outputs)) this.#inFloat32(output);
    return { ...this.#graph, nodes: this.#nodes, values: this.#values };
  }

  #isLow({ op, inputs }: GraphNode): boolean {
    if (PRODUCTS.has(op)) return true;
    const floats = inputs.filter((name) => this.#isFloat(name));
    const others = floats.filter((name) => !this.#computed.has(name));
    if (others.length === floats.length) return false;
    if (MOVES.has(op)) return others.length === 0;
    if (op === "Add") return others.length === 1 && this.#isBias(others[0]!);
    if (op === "Mul") return others.length === 1 && this.#isFactor(others[0]!);
    return false;
  }

  /** A vector that is given, so a parameter. */
  #isBias(name: string): boolean {
    return this.#graph.inputs[name]?.shape.length === 1;
  }

  #isFactor(name: string): boolean {
    const constant = this.#constants.get(name);
    if (!constant || elements(constant.shape) !== 1) return false;
    const [value] = new Float32Array(constant.bytes.slice().buffer);
    return Math.abs(value!) <= LARGEST_FLOAT16;
  }

  #isFloat(name: string): boolean {
    return this.#spec(name).dtype === "float32";
  }

  #spec(name: string): ValueSpec {
    const spec = this.#graph.values.get(name) ?? this.#constants.get(name);
    if (!spec) throw new Error(`precision: graph ${this.#graph.name} has no value ${name}`);
    return spec;
  }

  #inFloat32(name: string): string {
    if (!this.#wide.has(name)) {
      this.#wide.add(name);
      this.#cast(name + TWIN, name, { ...this.#spec(name), dtype: "float32" });
    }
    return name;
  }

  #inTwin(name: string): string {
    if (!this.#twins.has(name)) {
      this.#twins.add(name);
      this.#cast(name, name + TWIN, { ...this.#spec(name), dtype: this.#precision });
    }
    return name + TWIN;
  }

  #cast(from: string, to: string, { shape, dtype }: ValueSpec): void {
    this.#values.set(to, { shape, dtype });
    this.#nodes.push({ op: "Cast", inputs: [from], outputs: [to], attributes: { to: DATA_TYPE[dtype] } });
  }
}
