/**
 * The engine that runs programs op by op in TensorFlow.js's own backend for Node, where the user has installed one. Nothing
 * is traced; tensors stay where that backend keeps them until they are read.
 */
import { execFile } from "node:child_process";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import type { Tensor } from "@tensorflow/tfjs-core";
import type {
  CompileOptions,
  Engine,
  EngineTensor,
  Executable,
  Precision,
  Program,
  TensorData,
  TensorSpec,
} from "./engine.ts";
import { registerGradients } from "./gradients.ts";
import { elements } from "./graph.ts";
import { NEXT } from "./loop.ts";
import { type EngineReport, unusable } from "./report.ts";
import type { TensorFlow } from "./tensorflow.ts";

export const TFJS_GPU_PACKAGE = "@tensorflow/tfjs-node-gpu";
/** In the order of preference. */
const PACKAGES = [TFJS_GPU_PACKAGE, "@tensorflow/tfjs-node"] as const;

export const TFJS_PRECISIONS: readonly Precision[] = ["float32"];

/** A TensorFlow.js with a backend that computes. */
export interface TensorFlowBackend {
  readonly tf: TensorFlow;
  readonly backend: string;
  /** one line for people */
  readonly device: string;
}

export interface TfjsReport extends EngineReport {
  readonly package?: { readonly name: (typeof PACKAGES)[number]; readonly path: string };
}

/** @param projects folders whose packages are looked through; default: where the program runs, and its own */
export async function reportTfjs(
  projects: readonly string[] = [process.cwd(), import.meta.dirname],
): Promise<TfjsReport> {
  for (const name of PACKAGES) {
    const path = installed(name, projects);
    if (path === undefined) continue;
    const fault = await loadingFault(path);
    if (fault === undefined) return { name: "tfjs", usable: true, why: name, package: { name, path } };
    return {
      name: "tfjs",
      usable: false,
      why: `${name} does not load: ${fault}`,
      remedy: `run: npm rebuild ${name} --ignore-scripts=false --build-addon-from-source`,
    };
  }
  return {
    name: "tfjs",
    usable: false,
    why: `neither ${PACKAGES.join(" nor ")} is installed`,
    remedy: `run: npm install ${PACKAGES[0]} --ignore-scripts=false`,
  };
}

export async function createTfjsEngine({ tf, backend, device }: TensorFlowBackend): Promise<Engine> {
  registerGradients(tf);
  await tf.setBackend(backend);
  return new TfjsEngine(tf, backend, device);
}

/** @param found what was found out before @throws DoremiError engine, saying what is missing */
export async function loadTensorFlowBackend(found?: TfjsReport): Promise<TensorFlowBackend> {
  const report = found ?? (await reportTfjs());
  if (!report.package) throw unusable(report);
  const { name, path } = report.package;
  const module: TensorFlow & { default?: TensorFlow } = await import(pathToFileURL(path).href);
  const tf = module.default ?? module;
  return { tf, backend: "tensorflow", device: `${name} ${tf.version_core}` };
}

function installed(name: string, projects: readonly string[]): string | undefined {
  for (const project of projects) {
    try {
      return createRequire(join(project, "package.json")).resolve(name);
    } catch {
      // not in this project
    }
  }
  return undefined;
}

/** Loaded by a process of its own, because TensorFlow prints much, and a broken library ends the process. */
function loadingFault(path: string): Promise<string | undefined> {
  return promisify(execFile)(process.execPath, ["-e", "require(process.argv[1])", path]).then(
    () => undefined,
    (error: { stderr?: string; message: string }) =>
      /^\w*Error: .*$/m.exec(error.stderr ?? "")?.[0] ?? error.message.split("\n")[0],
  );
}

function rowOf(tf: TensorFlow, tensor: Tensor, row: number): Tensor {
  const [, ...shape] = tensor.shape;
  return tf.tidy(() => {
    const slice = tf.slice(tensor, [row, ...shape.map(() => 0)], [1, ...shape]);
    return tf.reshape(slice, shape);
  });
}

class TfjsEngine implements Engine {
  readonly name = "tfjs";
  readonly memory = "device";
  readonly precisions = TFJS_PRECISIONS;
  readonly runsAtOnce = 1;
  readonly device: string;
  readonly #tf: TensorFlow;
  readonly #backend: string;

  constructor(tf: TensorFlow, backend: string, device: string) {
    this.#tf = tf;
    this.#backend = backend;
    this.device = device;
  }

  tensor(data: TensorData, shape: readonly number[]): EngineTensor {
    if (data.length !== elements(shape))
      throw new RangeError(`tensor: shape [${shape}] needs ${elements(shape)} values, found ${data.length}`);
    const dtype = data instanceof Float32Array ? "float32" : "int32";
    return new TfjsTensor(this.#tf.tensor(data, [...shape], dtype));
  }

  async compile(program: Program, { repeat }: CompileOptions = {}): Promise<Executable> {
    return new TfjsExecutable(this.#tf, this.#backend, program, repeat);
  }

  async close(): Promise<void> {}
}

class TfjsTensor implements EngineTensor {
  readonly value: Tensor;

  constructor(value: Tensor) {
    this.value = value;
  }

  get shape(): readonly number[] {
    return this.value.shape;
  }

  get dtype(): TensorSpec["dtype"] {
    return this.value.dtype as TensorSpec["dtype"];
  }

  read(): Promise<TensorData> {
    return this.value.data() as Promise<TensorData>;
  }

  dispose(): void {
    if (!this.value.isDisposed) this.value.dispose();
  }
}

class TfjsExecutable implements Executable {
  readonly program: Program;
  readonly #tf: TensorFlow;
  readonly #backend: string;
  readonly #repeat: CompileOptions["repeat"];

  constructor(tf: TensorFlow, backend: string, program: Program, repeat: CompileOptions["repeat"]) {
    this.#tf = tf;
    this.#backend = backend;
    this.program = program;
    this.#repeat = repeat;
  }

  async run(
    inputs: Readonly<Record<string, EngineTensor>>,
    into: Readonly<Record<string, EngineTensor>> = {},
  ): Promise<Record<string, EngineTensor>> {
    if (Object.keys(into).length > 0)
      throw new TypeError(`${this.program.name}: outputs of tfjs stay in its backend; leave out into`);
    const tensors: Record<string, Tensor> = {};
    for (const [name, spec] of Object.entries(this.program.inputs)) {
      const tensor = inputs[name];
      if (tensor !== undefined) tensors[name] = this.#checked(name, spec, tensor);
    }
    // Another backend may have been made the active one since; nothing runs between here and the program.
    if (this.#tf.getBackend() !== this.#backend) await this.#tf.setBackend(this.#backend);
    const outputs = this.#repeat ? this.#runRepeatedly(tensors, this.#repeat) : this.#runOnce(tensors);
    return Object.fromEntries(Object.entries(outputs).map(([name, tensor]) => [name, new TfjsTensor(tensor)]));
  }

  #checked(name: string, spec: TensorSpec, tensor: EngineTensor): Tensor {
    if (!(tensor instanceof TfjsTensor)) throw new TypeError(`${this.program.name}: input ${name} is another engine's`);
    const shape = this.#repeat?.perRun.includes(name) ? [this.#repeat.runs, ...spec.shape] : spec.shape;
    if (tensor.dtype !== spec.dtype || `${tensor.shape}` !== `${shape}`) {
      throw new RangeError(
        `${this.program.name}: ${name} must be ${spec.dtype} [${shape}], found ${tensor.dtype} [${tensor.shape}]`,
      );
    }
    return tensor.value;
  }

  #runOnce(inputs: Record<string, Tensor>): Record<string, Tensor> {
    const tf = this.#tf;
    const taken = new Set<Tensor>(Object.values(inputs));
    return tf.tidy(() => {
      const outputs = this.program.build(tf, inputs);
      // Every output is a tensor of its own, so that each can be disposed.
      for (const [name, tensor] of Object.entries(outputs)) {
        if (taken.has(tensor)) outputs[name] = tf.clone(tensor);
        taken.add(tensor);
      }
      return outputs;
    });
  }

  #runRepeatedly(
    inputs: Record<string, Tensor>,
    { runs, perRun }: NonNullable<CompileOptions["repeat"]>,
  ): Record<string, Tensor> {
    const tf = this.#tf;
    const carried: Record<string, Tensor> = {};
    const stacked: Record<string, Tensor[]> = {};
    for (let run = 0; run < runs; run++) {
      const own: Record<string, Tensor> = {};
      for (const name of perRun) if (inputs[name]) own[name] = rowOf(tf, inputs[name], run);
      const outputs = this.#runOnce({ ...inputs, ...own, ...carried });
      tf.dispose([own, carried]);
      for (const [name, tensor] of Object.entries(outputs)) {
        if (name.startsWith(NEXT)) carried[name.slice(NEXT.length)] = tensor;
        else stacked[name] = [...(stacked[name] ?? []), tensor];
      }
    }
    const outputs = Object.fromEntries(Object.entries(carried).map(([name, tensor]) => [NEXT + name, tensor]));
    for (const [name, tensors] of Object.entries(stacked)) {
      outputs[name] = tf.stack(tensors);
      tf.dispose(tensors);
    }
    return outputs;
  }

  async close(): Promise<void> {}
}
