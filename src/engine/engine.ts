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
  /**
   * Every input that the result depends on must be given. The inputs stay the caller's to dispose.
   * @param into tensors that outputs are written into, by the outputs' names; only where the engine's memory is the host's
   */
  run(
    inputs: Readonly<Record<string, EngineTensor>>,
    into?: Readonly<Record<string, EngineTensor>>,
  ): Promise<Record<string, EngineTensor>>;
  close(): Promise<void>;
}

/** What products of matrices are computed in; parameters, optimizer state, losses and sums stay float32. */
export type Precision = "float32" | "bfloat16" | "float16";

export interface CompileOptions {
  /** default: float32 */
  readonly precision?: Precision;
  /**
   * Runs the program so many times in one call. Outputs named `next/NAME` feed the input NAME of the run after; of the
   * other inputs, those in `perRun` have a leading axis of this length and each run takes its slice, and every other
   * output gets such an axis. default: once, without that axis
   */
  readonly repeat?: { readonly runs: number; readonly perRun: readonly string[] };
}

export interface Engine {
  readonly name: EngineName;
  /** One line for people: the device, its threads or its driver. */
  readonly device: string;
  /**
   * host: tensors are arrays of this process, so what is under a tensor may be updated in place between runs, and outputs
   * can be written into given tensors. device: tensors stay where they are until they are read.
   */
  readonly memory: "host" | "device";
  /** Precisions that programs can be compiled for. */
  readonly precisions: readonly Precision[];
  /** Training steps that one call should hold, because nothing stays on the device between calls; 1 where that is not so. */
  readonly runsAtOnce: number;
  /** The data becomes the engine's: where its memory is the host's, later changes of the array are changes of the tensor. */
  tensor(data: TensorData, shape: readonly number[]): EngineTensor;
  compile(program: Program, options?: CompileOptions): Promise<Executable>;
  close(): Promise<void>;
}

export type EngineName = "cpu" | "webgpu" | "cuda" | "tfjs";
