/**
 * Which engine runs a training: the one that was asked for by name, or the fastest that works here. No library is loaded
 * into this process before it is known to work.
 */
import { availableParallelism } from "node:os";
import { CPU_PRECISIONS, type CpuEngineOptions, createCpuEngine } from "./cpu.ts";
import { type CudaReport, createCudaEngine, cudaPrecisions, reportCuda } from "./cuda.ts";
import type { Engine, EngineName, Precision } from "./engine.ts";
import { type EngineReport, refusePrecision, unusable } from "./report.ts";
import {
  createTfjsEngine,
  loadTensorFlowBackend,
  reportTfjs,
  TFJS_GPU_PACKAGE,
  TFJS_PRECISIONS,
  type TfjsReport,
} from "./tfjs.ts";
import { type Trial, tryProvider } from "./trial.ts";
import { createWebGpuEngine, reportWebGpu, WEBGPU_PROBES, type WebGpuReport, webGpuPrecisions } from "./webgpu.ts";

export interface EngineOptions extends CpuEngineOptions {
  readonly engine: "auto" | EngineName;
}

export interface ChosenEngine {
  readonly engine: Engine;
  /** one line, beginning with the engine's name */
  readonly why: string;
}

/** What is found out of the machine; tests answer themselves. */
export interface EngineProbes {
  cuda(): Promise<CudaReport>;
  webgpu(): Promise<WebGpuReport>;
  tfjs(): Promise<TfjsReport>;
  /** whether WebGPU is worth a trial */
  hasGraphicsDevice(): boolean;
  processor(): Promise<Trial>;
}

const PROBES: EngineProbes = {
  cuda: () => reportCuda(),
  webgpu: () => reportWebGpu(),
  tfjs: () => reportTfjs(),
  hasGraphicsDevice: WEBGPU_PROBES.hasDevice,
  processor: () => tryProvider("cpu"),
};

/** @throws DoremiError engine, where the one that was named cannot be used here */
export async function createEngine({ engine: name, ...options }: EngineOptions): Promise<ChosenEngine> {
  const choice: EngineChoice = name === "auto" ? await chooseEngine() : { name, why: "as asked for" };
  const engine = await open(choice, options);
  return { engine, why: `${choice.name}: ${choice.why}` };
}

/** @property report of the engine, where one was made */
export type EngineChoice = { readonly why: string } & (
  | { readonly name: "cpu" }
  | { readonly name: "cuda"; readonly report?: CudaReport }
  | { readonly name: "webgpu"; readonly report?: WebGpuReport }
  | { readonly name: "tfjs"; readonly report?: TfjsReport }
);

/**
 * CUDA where it works; else WebGPU where it multiplies matrices faster than the processor, which a software driver does not;
 * else TensorFlow.js's package for GPUs where it is installed; else the processor.
 */
export async function chooseEngine(probes: EngineProbes = PROBES): Promise<EngineChoice> {
  const cuda = await probes.cuda();
  if (cuda.usable) return { name: "cuda", why: cuda.why, report: cuda };
  const against = [cuda.why];
  if (probes.hasGraphicsDevice()) {
    const webgpu = await probes.webgpu();
    const faster = webgpu.usable && (await isFaster(webgpu.trial, probes));
    if (faster) return { name: "webgpu", why: webgpu.why, report: webgpu };
    against.push(webgpu.usable ? `WebGPU is slower than the processor (${webgpu.why})` : webgpu.why);
  } else against.push("no graphics device for WebGPU");
  const tfjs = await probes.tfjs();
  if (tfjs.usable && tfjs.package?.name === TFJS_GPU_PACKAGE) return { name: "tfjs", why: tfjs.why, report: tfjs };
  return { name: "cpu", why: against.join("; ") };
}

async function isFaster(trial: Trial | undefined, probes: EngineProbes): Promise<boolean> {
  const processor = await probes.processor();
  return trial?.works === true && (!processor.works || trial.speed > processor.speed);
}

function open(choice: EngineChoice, options: CpuEngineOptions): Promise<Engine> {
  switch (choice.name) {
    case "cpu":
      return createCpuEngine(options);
    case "webgpu":
      return createWebGpuEngine(choice.report);
    case "cuda":
      return createCudaEngine(choice.report);
    case "tfjs":
      return loadTensorFlowBackend(choice.report).then(createTfjsEngine);
    default:
      return choice satisfies never;
  }
}

/**
 * Refuses, before any work is done for it, an engine that was named and does not work here, or a precision that it lacks.
 * What `auto` comes to is asked only where the precision depends on it.
 *
 * @throws DoremiError engine, precision
 */
export async function checkEngine(
  name: EngineOptions["engine"],
  precision: Precision,
  probes: EngineProbes = PROBES,
): Promise<void> {
  const check = <Report extends EngineReport>(report: Report, precisions: (report: Report) => readonly Precision[]) => {
    if (!report.usable) throw unusable(report);
    refusePrecision(report.name, precisions(report), precision);
  };
  switch (name) {
    case "auto": {
      if (precision === "float32") return; // which all have
      const choice = await chooseEngine(probes);
      return refusePrecision(choice.name, precisionsOf(choice), precision);
    }
    case "cpu":
      return refusePrecision(name, CPU_PRECISIONS, precision);
    case "cuda":
      return check(await probes.cuda(), cudaPrecisions);
    case "webgpu":
      return check(await probes.webgpu(), webGpuPrecisions);
    case "tfjs":
      return check(await probes.tfjs(), () => TFJS_PRECISIONS);
    default:
      return name satisfies never;
  }
}

/** Of an engine that works here. */
function precisionsOf(choice: EngineChoice): readonly Precision[] {
  switch (choice.name) {
    case "cpu":
      return CPU_PRECISIONS;
    case "cuda":
      return choice.report ? cudaPrecisions(choice.report) : [];
    case "webgpu":
      return choice.report ? webGpuPrecisions(choice.report) : [];
    case "tfjs":
      return TFJS_PRECISIONS;
    default:
      return choice satisfies never;
  }
}

/** Every engine on this machine, for people who ask why one is not used. */
export async function engineReport(probes: EngineProbes = PROBES): Promise<EngineReport[]> {
  const processors = availableParallelism();
  const cpu: EngineReport = {
    name: "cpu",
    usable: true,
    why: `ONNX Runtime on ${processors} ${processors === 1 ? "processor" : "processors"}`,
  };
  const others = [await probes.cuda(), await probes.webgpu(), await probes.tfjs()];
  return [cpu, ...others.map(({ name, usable, why, remedy }) => ({ name, usable, why, ...(remedy && { remedy }) }))];
}
