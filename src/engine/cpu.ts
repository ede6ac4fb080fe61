/** The engine on this machine's processors: programs are traced to ONNX and run by ONNX Runtime. */
import { availableParallelism } from "node:os";
import type { InferenceSession, Tensor as OrtTensor } from "onnxruntime-node";
import { DoremiError } from "../lib/errors.ts";
import type { Engine, EngineTensor, Executable, Program, TensorData, TensorSpec } from "./engine.ts";
import { elements } from "./graph.ts";
import { encodeOnnx } from "./onnx.ts";
import { loadTensorFlow } from "./tensorflow.ts";
import { traceProgram } from "./trace.ts";

type Ort = typeof import("onnxruntime-node");

export interface CpuEngineOptions {
  /** threads of one operation; default: all processors that this process may use */
  readonly threads?: number;
}

export async function createCpuEngine(options: CpuEngineOptions = {}): Promise<Engine> {
  const threads = options.threads ?? availableParallelism();
  if (!Number.isSafeInteger(threads) || threads < 1) {
    throw new DoremiError(
      "bad-configuration",
      "threads",
      `engine: threads must be an integer ≥ 1, found ${threads}; leave it out to use all processors`,
    );
  }
  return new CpuEngine(await loadOrt(), threads);
}

let loaded: Promise<Ort> | undefined;

function loadOrt(): Promise<Ort> {
  loaded ??= import("onnxruntime-node").then((module) => (module as { default?: Ort }).default ?? module);
  return loaded;
}

class CpuEngine implements Engine {
  readonly name = "cpu";
  readonly memory = "host";
  readonly precisions = ["float32"] as const;
  readonly runsAtOnce = 1;
  readonly device: string;
  readonly #ort: Ort;
  readonly #threads: number;
  readonly #open = new Set<CpuExecutable>();

  constructor(ort: Ort, threads: number) {
    this.#ort = ort;
    this.#threads = threads;
    this.device = `${threads} ${threads === 1 ? "thread" : "threads"}`;
  }

  tensor(data: TensorData, shape: readonly number[]): EngineTensor {
    if (data.length !== elements(shape))
      throw new RangeError(`tensor: shape [${shape}] needs ${elements(shape)} values, found ${data.length}`);
    const dtype = data instanceof Float32Array ? "float32" : "int32";
    return new CpuTensor(new this.#ort.Tensor(dtype, data, [...shape]) as OrtTensor, { dtype, shape });
  }

  async compile(program: Program): Promise<Executable> {
    const graph = traceProgram(await loadTensorFlow(), program);
    const session = await this.#ort.InferenceSession.create(encodeOnnx(graph), {
      executionProviders: ["cpu"],
      intraOpNumThreads: this.#threads,
      interOpNumThreads: 1,
      executionMode: "sequential",
      graphOptimizationLevel: "all",
      enableCpuMemArena: true,
      // Planning one block for all intermediate values costs memory and was not faster.
      enableMemPattern: false,
      logSeverityLevel: 3,
    });
    const executable = new CpuExecutable(program, session, graph.inputs as Record<string, TensorSpec>, () =>
      this.#open.delete(executable),
    );
    this.#open.add(executable);
    return executable;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#open].map((executable) => executable.close()));
  }
}

class CpuTensor implements EngineTensor {
  readonly shape: readonly number[];
  readonly dtype: "float32" | "int32";
  #value: OrtTensor | undefined;

  constructor(value: OrtTensor, spec: TensorSpec) {
    this.#value = value;
    this.shape = spec.shape;
    this.dtype = spec.dtype;
  }

  get value(): OrtTensor {
    if (!this.#value) throw new Error("tensor: used after dispose");
    return this.#value;
  }

  async read(): Promise<TensorData> {
    return this.value.data as TensorData;
  }

  dispose(): void {
    this.#value?.dispose();
    this.#value = undefined;
  }
}

class CpuExecutable implements Executable {
  readonly program: Program;
  readonly #session: InferenceSession;
  readonly #inputs: Readonly<Record<string, TensorSpec>>;
  readonly #closed: () => void;
  #isClosed = false;

  constructor(
    program: Program,
    session: InferenceSession,
    inputs: Readonly<Record<string, TensorSpec>>,
    closed: () => void,
  ) {
    this.program = program;
    this.#session = session;
    this.#inputs = inputs;
    this.#closed = closed;
  }

  async run(
    inputs: Readonly<Record<string, EngineTensor>>,
    into: Readonly<Record<string, EngineTensor>> = {},
  ): Promise<Record<string, EngineTensor>> {
    const feeds: Record<string, OrtTensor> = {};
    for (const [name, spec] of Object.entries(this.#inputs)) {
      const tensor = inputs[name];
      if (!(tensor instanceof CpuTensor))
        throw new TypeError(`${this.program.name}: input ${name} is missing or another engine's`);
      if (
        tensor.dtype !== spec.dtype ||
        tensor.shape.length !== spec.shape.length ||
        tensor.shape.some((size, i) => size !== spec.shape[i])
      ) {
        throw new RangeError(
          `${this.program.name}: input ${name} must be ${spec.dtype} [${spec.shape}], found ${tensor.dtype} [${tensor.shape}]`,
        );
      }
      feeds[name] = tensor.value;
    }
    const fetches = Object.fromEntries(
      this.#session.outputNames.map((name) => [name, into[name] ? (into[name] as CpuTensor).value : null]),
    );
    const results = await this.#session.run(feeds, fetches);
    return Object.fromEntries(
      Object.entries(results).map(([name, value]) => [
        name,
        into[name] ??
          new CpuTensor(value as OrtTensor, { dtype: value.type as "float32" | "int32", shape: value.dims }),
      ]),
    );
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#closed();
    await this.#session.release();
  }
}
