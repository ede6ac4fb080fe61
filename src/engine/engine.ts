/**
 * What the trainer knows of whatever executes its mathematics: a program in TensorFlow.js ops is compiled once for
 * fixed shapes and run many times; its tensors stay where the engine keeps them until somebody reads them.
 */
import type { Tensor } from "@tensorflow/tfjs-core";
import type { ValueSpec } from "./graph.ts";
import type { TensorFlow } from "./tensorflow.ts";

export type TensorData = Float32Array | Int32Array;

export interface TensorSpec extends ValueSpec {
  readonly dtype: "float32" | "int32";
}

/** A value of the engine's. Only the engine that made it can use it. */
export interface EngineTensor extends TensorSpec {
  /** The values, row-major. The array may be the tensor's own memory: do not write into it. */
  read(): Promise<TensorData>;
  dispose(): void;
}

/** A pure function of named tensors. `build` may be called once per compilation, with tensors that hold no data. */
export interface Program {
  readonly name: string;
  readonly inputs: Readonly<Record<string, TensorSpec>>;
  build(tf: TensorFlow, inputs: Readonly<Record<string, Tensor>>): Record<string, Tensor>;
}

export interface Executable {
  readonly program: Program;
  /** Every input that the result depends on must be given. The inputs stay the caller's to dispose. */
  run(inputs: Readonly<Record<string, EngineTensor>>): Promise<Record<string, EngineTensor>>;
  close(): Promise<void>;
}

export interface Engine {
  readonly name: string;
  /** The data becomes the engine's: do not write into it afterwards. */
  tensor(data: TensorData, shape: readonly number[]): EngineTensor;
  compile(program: Program): Promise<Executable>;
  close(): Promise<void>;
}
