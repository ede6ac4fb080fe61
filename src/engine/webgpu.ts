/**
 * The engine on a graphics card of any maker: ONNX Runtime's WebGPU provider, which its package brings along. Outputs stay
 * on the device and are inputs of the next run there; only what is read crosses.
 */
import { existsSync, readdirSync } from "node:fs";
import type { InferenceSession } from "onnxruntime-node";
import type { Engine, Precision, TensorData } from "./engine.ts";
import { GraphBuilder, type ValueType } from "./graph.ts";
import { encodeOnnx } from "./onnx.ts";
import { type DeviceMemory, KEEP_RECOMPUTATION, loadOrt, type Ort, OrtEngine, type OrtTensor } from "./ort.ts";
import { type EngineReport, unusable } from "./report.ts";
import { speedText, type Trial, tryProvider } from "./trial.ts";

/** What is asked of the machine; tests answer themselves. */
export interface WebGpuProbes {
  readonly platform: string;
  readonly architecture: string;
  /** whether the system has a graphics device at all; true where that is not known */
  hasDevice(): boolean;
  tryProvider(): Promise<Trial>;
}

export const WEBGPU_PROBES: WebGpuProbes = {
  platform: process.platform,
  architecture: process.arch,
  hasDevice: () =>
    process.platform !== "linux" ||
    existsSync("/dev/nvidia0") ||
    existsSync("/dev/dxg") ||
    (existsSync("/dev/dri") && readdirSync("/dev/dri").some((name) => name.startsWith("render"))),
  tryProvider: () => tryProvider("webgpu"),
};

export interface WebGpuReport extends EngineReport {
  readonly trial?: Trial;
}

export async function reportWebGpu(probes: WebGpuProbes = WEBGPU_PROBES): Promise<WebGpuReport> {
  const { platform, architecture } = probes;
  if (platform === "linux" && architecture === "arm64") {
    return {
      name: "webgpu",
      usable: false,
      why: "onnxruntime-node has no WebGPU provider for Linux on arm64",
      remedy: "choose engine: cpu",
    };
  }
  const trial = await probes.tryProvider();
  if (trial.works) {
    const why = `${through(platform)}, ${speedText(trial.speed)}`;
    return { name: "webgpu", usable: true, why, trial };
  }
  const why = `no WebGPU adapter through ${through(platform)} (${trial.found})`;
  return { name: "webgpu", usable: false, why, remedy: remedy(probes), trial };
}

export function webGpuPrecisions({ trial }: WebGpuReport): Precision[] {
  return trial?.works && trial.float16 ? ["float32", "float16"] : ["float32"];
}

/** @param found what was found out before @throws DoremiError engine, saying what is missing */
export async function createWebGpuEngine(found?: WebGpuReport): Promise<Engine> {
  const report = found ?? (await reportWebGpu());
  if (!report.usable) throw unusable(report);
  const ort = await loadOrt();
  return new OrtEngine(ort, {
    name: "webgpu",
    device: report.why,
    memory: "device",
    precisions: webGpuPrecisions(report),
    runsAtOnce: 1,
    deviceMemory: new Copies(ort),
    session: { ...SESSION, preferredOutputLocation: "gpu-buffer" },
  });
}

const SESSION: InferenceSession.SessionOptions = {
  executionProviders: ["webgpu"],
  graphOptimizationLevel: "all",
  intraOpNumThreads: 1,
  logSeverityLevel: 3,
  extra: {
    // An operation without a WebGPU kernel would send its operands to the processor and back in every run: better to fail.
    session: { disable_cpu_ep_fallback: "1" },
    ...KEEP_RECOMPUTATION,
  },
};

/** Copies by a session that does nothing else: a tensor's own getData ends the process on Node. */
class Copies implements DeviceMemory {
  readonly #ort: Ort;
  /** by direction, type and shape */
  readonly #sessions = new Map<string, InferenceSession>();

  constructor(ort: Ort) {
    this.#ort = ort;
  }

  upload(value: OrtTensor): Promise<OrtTensor> {
    return this.#copy(value, "gpu-buffer");
  }

  async download(value: OrtTensor): Promise<TensorData> {
    return (await this.#copy(value, "cpu")).data as TensorData;
  }

  async #copy(value: OrtTensor, to: "cpu" | "gpu-buffer"): Promise<OrtTensor> {
    const key = `${to} ${value.type} [${value.dims}]`;
    let session = this.#sessions.get(key);
    if (!session) {
      const graph = new GraphBuilder();
      const spec = { shape: value.dims, dtype: value.type as ValueType };
      const [copy] = graph.emit("Identity", [graph.input("value", spec)], [spec]);
      const model = encodeOnnx(graph.finish("copy", { copy: copy! }));
      session = await this.#ort.InferenceSession.create(model, { ...SESSION, preferredOutputLocation: to });
      this.#sessions.set(key, session);
    }
    const { copy } = await session.run({ value });
    return copy as OrtTensor;
  }

  async close(): Promise<void> {
    for (const session of this.#sessions.values()) await session.release();
    this.#sessions.clear();
  }
}

function through(platform: string): string {
  return platform === "darwin" ? "Metal" : platform === "win32" ? "Direct3D 12" : "Vulkan";
}

function remedy({ platform, hasDevice }: WebGpuProbes): string {
  if (platform !== "linux") return "update the graphics driver, or choose engine: cpu";
  return hasDevice()
    ? "install the Vulkan loader and the card's driver (apt-get install libvulkan1 mesa-vulkan-drivers; NVIDIA's comes with its own driver)"
    : "it needs a graphics card with a Vulkan driver (for a container, hand in /dev/dri or run it with --gpus all), or choose engine: cpu";
}
