/** What a kernel writes to while a program is traced: the graph being built, and tensors that are names of its values. */
import type { DataType, TensorInfo } from "@tensorflow/tfjs-core";
import { GraphBuilder, type ValueSpec, type ValueType } from "./graph.ts";
import type { TensorFlow } from "./tensorflow.ts";

/** Constants of at least this many equal elements are stored as one element and an Expand. */
const UNIFORM_ELEMENTS = 64;

/** One tracing in progress. */
export class Recorder {
  readonly tf: TensorFlow;
  readonly graph = new GraphBuilder();
  readonly #names = new WeakMap<object, string>();

  constructor(tf: TensorFlow) {
    this.tf = tf;
  }

  nameOf(tensor: TensorInfo): string {
    const name = this.#names.get(tensor.dataId);
    if (name === undefined)
      throw new Error("trace: a traced function may only use its inputs and constants made inside it");
    return name;
  }

  /** A tensor that stands for the value. */
  tensor(name: string, shape: readonly number[], dtype: ValueType): TensorInfo {
    const dataId = {};
    this.#names.set(dataId, name);
    return { dataId, shape: [...shape], dtype: dtype as DataType };
  }

  /** Appends a node with one output. */
  node(
    op: string,
    inputs: readonly string[],
    spec: ValueSpec,
    attributes: Parameters<GraphBuilder["emit"]>[3] = {},
  ): TensorInfo {
    const [name] = this.graph.emit(op, inputs, [spec], attributes);
    return this.tensor(name!, spec.shape, spec.dtype);
  }

  constant(values: ArrayLike<number>, shape: readonly number[], dtype: ValueType): TensorInfo {
    const first = values[0];
    if (
      first !== undefined &&
      values.length >= UNIFORM_ELEMENTS &&
      Array.prototype.every.call(values, (value) => Object.is(value, first))
    ) {
      return this.fill(first, shape, dtype);
    }
    return this.tensor(this.graph.constant(values, shape, dtype), shape, dtype);
  }

  fill(value: number, shape: readonly number[], dtype: ValueType): TensorInfo {
    const scalar = this.graph.constant([value], [], dtype);
    return shape.length === 0
      ? this.tensor(scalar, [], dtype)
      : this.node("Expand", [scalar, this.graph.ints(shape)], { shape, dtype });
  }

  /** Called by TensorFlow.js for `tf.scalar`, `tf.tensor`, `tf.ones`, … */
  write(values: unknown, shape: readonly number[], dtype: DataType): object {
    if (!ArrayBuffer.isView(values) && !Array.isArray(values)) throw new Error("trace: a constant without values");
    return this.constant(values as unknown as ArrayLike<number>, shape, valueType(dtype)).dataId;
  }
}

export function valueType(dtype: DataType): ValueType {
  if (dtype === "float32" || dtype === "int32" || dtype === "bool") return dtype;
  throw new Error(`trace: ${dtype} tensors are not supported; use float32, int32 or bool`);
}
