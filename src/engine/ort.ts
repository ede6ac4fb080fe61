/**
 * ONNX Runtime as its engines share it: loading the library, a session per traced program, and tensors that are its
 * values. Which provider executes a graph, and what it needs changed in it, is each engine's own business.
 */
import type { InferenceSession, Tensor as OrtTensor } from "onnxruntime-node";
import type { CompileOptions, Engine, EngineTensor, Executable, Program, TensorData, TensorSpec } from "./engine.ts";
import { elements, type Graph } from "./graph.ts";
import { repeatGraph } from "./loop.ts";
import { encodeOnnx } from "./onnx.ts";
import { lowerPrecision } from "./precision.ts";
import { runInto, WRITTEN } from "./run-into.ts";
import { loadTensorFlow } from "./tensorflow.ts";
import { traceProgram } from "./trace.ts";

export type Ort = typeof import("onnxruntime-node");
export type { OrtTensor };

let loaded: Promise<Ort> | undefined;

export function loadOrt(): Promise<Ort> {
  loaded ??= import("onnxruntime-node").then((module) => (module as { default?: Ort }).default ?? module);
  return loaded;
}

/** Session options: what is to be computed again to save memory is not computed once after all. */
export const KEEP_RECOMPUTATION = {
  optimization: { disable_specified_optimizers: "CommonSubexpressionElimination" },
} as const;

/** Moves values between this process and a device on which a session's outputs stay. */
export interface DeviceMemory {
  upload(value: OrtTensor): Promise<OrtTensor>;
  download(value: OrtTensor): Promise<TensorData>;
  close(): Promise<void>;
}

export interface OrtEngineSettings extends Pick<Engine, "name" | "device" | "memory" | "precisions" | "runsAtOnce"> {
  readonly session: InferenceSession.SessionOptions;
  /** what the provider lacks, said in other operations */
  readonly adapt?: (graph: Graph) => Graph;
  /** absent: values are this process's arrays */
  readonly deviceMemory?: DeviceMemory;
}

export class OrtEngine implements Engine {
  readonly name: Engine["name"];
  readonly device: string;
  readonly memory: Engine["memory"];
  readonly precisions: Engine["precisions"];
  readonly runsAtOnce: number;
  readonly #ort: Ort;
  readonly #settings: OrtEngineSettings;
  readonly #open = new Set<OrtExecutable>();

  constructor(ort: Ort, settings: OrtEngineSettings) {
    this.#ort = ort;
    this.#settings = settings;
    this.name = settings.name;
    this.device = settings.device;
    this.memory = settings.memory;
    this.precisions = settings.precisions;
    this.runsAtOnce = settings.runsAtOnce;
  }

  tensor(data: TensorData, shape: readonly number[]): OrtEngineTensor {
    if (data.length !== elements(shape))
      throw new RangeError(`tensor: shape [${shape}] needs ${elements(shape)} values, found ${data.length}`);
    const dtype = data instanceof Float32Array ? "float32" : "int32";
    const value = new this.#ort.Tensor(dtype, data, [...shape]) as OrtTensor;
    return new OrtEngineTensor(value, { dtype, shape }, this.#settings.deviceMemory);
  }

  /** In any precision that the provider takes, whether or not it is one of `precisions`, in which it is fast. */
  async compile(program: Program, { precision = "float32", repeat }: CompileOptions = {}): Promise<Executable> {
    const { session: options, adapt = (graph) => graph } = this.#settings;
    const traced = traceProgram(await loadTensorFlow(), program);
    const once = adapt(precision === "float32" ? traced : lowerPrecision(traced, precision));
    const graph = repeat ? repeatGraph(once, repeat) : once;
    const written = this.memory === "host" ? WRITTEN : undefined;
    const session = await this.#ort.InferenceSession.create(encodeOnnx(graph, written), options);
    const own = ({ dtype, shape }: TensorSpec): OrtEngineTensor =>
      this.tensor(new (dtype === "float32" ? Float32Array : Int32Array)(elements(shape)), shape);
    const closed = () => this.#open.delete(executable);
    const executable = new OrtExecutable(program, session, graph, this.#settings, own, closed);
    this.#open.add(executable);
    return executable;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#open].map((executable) => executable.close()));
    await this.#settings.deviceMemory?.close();
  }
}

class OrtEngineTensor implements EngineTensor {
  readonly shape: readonly number[];
  readonly dtype: "float32" | "int32";
  readonly #device: DeviceMemory | undefined;
  #value: OrtTensor | undefined;
  #fed = false;

  constructor(value: OrtTensor, { dtype, shape }: TensorSpec, device: DeviceMemory | undefined) {
    this.#value = value;
    this.shape = shape;
    this.dtype = dtype;
    this.#device = device;
  }

  get value(): OrtTensor {
    if (!this.#value) throw new Error("tensor: used after dispose");
    return this.#value;
  }

  /** The value as an input. What is fed a second time goes to the device for good; a batch is fed once. */
  async feed(): Promise<OrtTensor> {
    if (this.#device && this.#fed && this.value.location === "cpu") this.#value = await this.#device.upload(this.value);
    this.#fed = true;
    return this.value;
  }

  async read(): Promise<TensorData> {
    const { value } = this;
    return this.#device && value.location !== "cpu" ? this.#device.download(value) : (value.data as TensorData);
  }

  dispose(): void {
    this.#value?.dispose();
    this.#value = undefined;
  }
}

class OrtExecutable implements Executable {
  readonly program: Program;
  readonly #session: InferenceSession;
  readonly #graph: Graph;
  readonly #settings: OrtEngineSettings;
  /** a tensor over an array of this process */
  readonly #own: (spec: TensorSpec) => OrtEngineTensor;
  readonly #closed: () => void;
  #isClosed = false;

  constructor(
    program: Program,
    session: InferenceSession,
    graph: Graph,
    settings: OrtEngineSettings,
    own: (spec: TensorSpec) => OrtEngineTensor,
    closed: () => void,
  ) {
    this.program = program;
    this.#session = session;
    this.#graph = graph;
    this.#settings = settings;
    this.#own = own;
    this.#closed = closed;
  }

  async run(
    inputs: Readonly<Record<string, EngineTensor>>,
    into: Readonly<Record<string, EngineTensor>> = {},
  ): Promise<Record<string, EngineTensor>> {
    const feeds: Record<string, OrtTensor> = {};
    for (const [name, spec] of Object.entries(this.#graph.inputs))
      feeds[name] = await this.#checked(name, spec as TensorSpec, inputs[name]).feed();
    return this.#settings.memory === "host" ? this.#runInto(feeds, into) : this.#runOnDevice(feeds, into);
  }

  async #runInto(
    feeds: Readonly<Record<string, OrtTensor>>,
    into: Readonly<Record<string, EngineTensor>>,
  ): Promise<Record<string, EngineTensor>> {
    const results: Record<string, OrtEngineTensor> = {};
    for (const [name, spec] of Object.entries(this.#graph.outputs) as [string, TensorSpec][])
      results[name] = into[name] ? this.#checked(name, spec, into[name]) : this.#own(spec);
    const arrays = Object.fromEntries(Object.entries(results).map(([name, { value }]) => [name, value]));
    await runInto(this.#session, feeds, arrays);
    return results;
  }

  async #runOnDevice(
    feeds: Readonly<Record<string, OrtTensor>>,
    into: Readonly<Record<string, EngineTensor>>,
  ): Promise<Record<string, EngineTensor>> {
    const { name, deviceMemory } = this.#settings;
    if (Object.keys(into).length > 0)
      throw new TypeError(`${this.program.name}: outputs of ${name} stay on the device; leave out into`);
    const results = await this.#session.run(feeds);
    return Object.fromEntries(
      Object.entries(this.#graph.outputs).map(([output, spec]) => [
        output,
        new OrtEngineTensor(results[output] as OrtTensor, spec as TensorSpec, deviceMemory),
      ]),
    );
  }

  #checked(name: string, spec: TensorSpec, tensor: EngineTensor | undefined): OrtEngineTensor {
    if (!(tensor instanceof OrtEngineTensor))
      throw new TypeError(`${this.program.name}: input ${name} is missing or another engine's`);
    if (
      tensor.dtype !== spec.dtype ||
      tensor.shape.length !== spec.shape.length ||
      tensor.shape.some((size, i) => size !== spec.shape[i])
    ) {
      throw new RangeError(
        `${this.program.name}: ${name} must be ${spec.dtype} [${spec.shape}], found ${tensor.dtype} [${tensor.shape}]`,
      );
    }
    return tensor;
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#closed();
    await this.#session.release();
  }
}
