/**
 * The engine on NVIDIA's cards: ONNX Runtime's CUDA provider, which has to be fetched beside its package. From Node nothing
 * stays on the device between calls, so one call holds several steps.
 */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { delimiter, dirname, join } from "node:path";
import { promisify } from "node:util";
import type { Engine, Precision } from "./engine.ts";
import { KEEP_RECOMPUTATION, loadOrt, OrtEngine } from "./ort.ts";
import { type EngineReport, unusable } from "./report.ts";
import { speedText, type Trial, tryProvider } from "./trial.ts";

/**
 * Steps in one call: parameters and optimizer state cross twice a call, which costs as much as some steps, and so many
 * batches are held.
 */
const RUNS_AT_ONCE = 16;
/** Compute capability from which on the cards multiply in bfloat16 (Ampere). */
const BFLOAT16_CAPABILITY = 8;

export interface Card {
  readonly name: string;
  readonly driver: string;
  readonly computeCapability: number;
}

/** What is asked of the machine; tests answer themselves. */
export interface CudaProbes {
  readonly platform: string;
  readonly architecture: string;
  /** folder of the package onnxruntime-node */
  readonly packageFolder: string;
  exists(path: string): boolean;
  /** the first card that the driver shows; undefined without a driver */
  card(): Promise<Card | undefined>;
  /** shared libraries that the library needs, and the system does not find */
  missingLibraries(path: string): Promise<readonly string[]>;
  /** whether the system finds a shared library of this name */
  hasLibrary(name: string): Promise<boolean>;
  tryProvider(): Promise<Trial>;
}

const run = promisify(execFile);
/** What a command prints; nothing where it does not exist or fails. */
const printed = (command: string, ...args: string[]): Promise<string> =>
  run(command, args).then(
    ({ stdout }) => stdout,
    () => "",
  );

export const CUDA_PROBES: CudaProbes = {
  platform: process.platform,
  architecture: process.arch,
  get packageFolder() {
    return dirname(dirname(createRequire(import.meta.url).resolve("onnxruntime-node")));
  },
  exists: existsSync,
  card: async () => {
    const query = ["--query-gpu=name,driver_version,compute_cap", "--format=csv,noheader"];
    const [name, driver, capability] = (await printed("nvidia-smi", ...query)).split("\n")[0]!.split(", ");
    return name && driver ? { name, driver, computeCapability: Number(capability) } : undefined;
  },
  missingLibraries: async (path) =>
    [...(await printed("ldd", path)).matchAll(/^\s*(\S+) => not found/gm)].map((match) => match[1]!),
  hasLibrary: async (name) =>
    (process.env.LD_LIBRARY_PATH ?? "").split(delimiter).some((folder) => folder && existsSync(join(folder, name))) ||
    (await printed("/sbin/ldconfig", "-p")).includes(`${name} `),
  tryProvider: () => tryProvider("cuda"),
};

export interface CudaReport extends EngineReport {
  readonly card?: Card;
}

/** Looks in the order in which a user would have to install: card and driver, provider, CUDA, cuDNN, and then tries. */
export async function reportCuda(probes: CudaProbes = CUDA_PROBES): Promise<CudaReport> {
  const { platform, architecture, packageFolder } = probes;
  const missing = (why: string, remedy: string): CudaReport => ({ name: "cuda", usable: false, why, remedy });
  if (platform !== "linux" || architecture !== "x64") {
    return missing(
      `onnxruntime-node has CUDA for Linux on x64 only, and this is ${platform} on ${architecture}`,
      "choose engine: webgpu",
    );
  }
  const card = await probes.card();
  if (!card) {
    return missing(
      "no NVIDIA driver: nvidia-smi shows no card",
      "on a machine with a card `apt-get install nvidia-driver` (525 or newer) brings it, for a container `docker run --gpus all`",
    );
  }
  const provider = join(packageFolder, "bin/napi-v6/linux/x64/libonnxruntime_providers_cuda.so");
  if (!probes.exists(provider)) {
    return missing(
      "no CUDA provider beside onnxruntime-node (libonnxruntime_providers_cuda.so)",
      `run: ONNXRUNTIME_NODE_INSTALL=cuda12 node ${join(packageFolder, "script/install.js")}`,
    );
  }
  const absent = [...(await probes.missingLibraries(provider))];
  // The provider opens it when it starts, so that it is not in the list of what it needs.
  if (!(await probes.hasLibrary("libcudnn.so.9"))) absent.push("libcudnn.so.9");
  if (absent.length > 0) {
    const packages = ["cuda-runtime", "cublas", "cufft", "curand", "cuda-nvrtc", "cudnn"];
    return missing(
      `CUDA 12 and cuDNN 9 are not complete: ${absent.join(", ")} not found`,
      `run: pip install ${packages.map((name) => `nvidia-${name}-cu12`).join(" ")}, and put their lib folders into LD_LIBRARY_PATH`,
    );
  }
  const trial = await probes.tryProvider();
  if (!trial.works)
    return missing(`${card.name} with driver ${card.driver} fails: ${trial.found}`, "update the driver");
  const why = `${card.name}, driver ${card.driver}, ${speedText(trial.speed)}`;
  return { name: "cuda", usable: true, why, card };
}

export function cudaPrecisions({ card }: CudaReport): Precision[] {
  const bfloat16 = (card?.computeCapability ?? 0) >= BFLOAT16_CAPABILITY;
  return bfloat16 ? ["float32", "bfloat16", "float16"] : ["float32", "float16"];
}

/**
 * In float32 the provider multiplies as its default says, on Ampere and later in TF32; NVIDIA_TF32_OVERRIDE=0 in the
 * environment stops that.
 * @param found what was found out before  @throws DoremiError engine, saying what is missing
 */
export async function createCudaEngine(found?: CudaReport): Promise<Engine> {
  const report = found ?? (await reportCuda());
  if (!report.usable) throw unusable(report);
  return new OrtEngine(await loadOrt(), {
    name: "cuda",
    device: report.why,
    memory: "device",
    precisions: cudaPrecisions(report),
    runsAtOnce: RUNS_AT_ONCE,
    session: {
      executionProviders: ["cuda"],
      graphOptimizationLevel: "all",
      intraOpNumThreads: 1,
      logSeverityLevel: 3,
      extra: KEEP_RECOMPUTATION,
    },
  });
}
