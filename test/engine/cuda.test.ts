/** What CUDA needs is looked for in the order in which it would be installed; each answer names the command. No card is needed. */
import { describe, expect, test } from "vitest";
import { CUDA_PROBES, type CudaProbes, createCudaEngine, reportCuda } from "../../src/engine/cuda.ts";
import { lowerPrecision } from "../../src/engine/precision.ts";
import { loadTensorFlow } from "../../src/engine/tensorflow.ts";
import { traceProgram } from "../../src/engine/trace.ts";
import {
  accumulationProgram,
  gradientProgram,
  lossProgram,
  stepProgram,
  updateProgram,
} from "../../src/trainer/programs.ts";
import { adaptiveObjective } from "../trainer/tiny.ts";
import { COURSE_MODELS, COURSE_OPTIMIZERS } from "./course.ts";

const CARD = { name: "NVIDIA H100", driver: "550.54", computeCapability: 9 };

/** A machine on which everything is there. */
const complete: CudaProbes = {
  platform: "linux",
  architecture: "x64",
  packageFolder: "/project/node_modules/onnxruntime-node",
  exists: () => true,
  card: async () => CARD,
  missingLibraries: async () => [],
  hasLibrary: async () => true,
  tryProvider: async () => ({ works: true, speed: 41234.5, float16: true }),
};

describe("reportCuda", () => {
  test.each([
    [
      "another system",
      { platform: "darwin", architecture: "arm64" },
      "onnxruntime-node has CUDA for Linux on x64 only, and this is darwin on arm64",
      "choose engine: webgpu",
    ],
    [
      "no driver",
      { card: async () => undefined },
      "no NVIDIA driver: nvidia-smi shows no card",
      "on a machine with a card `apt-get install nvidia-driver` (525 or newer) brings it, for a container `docker run --gpus all`",
    ],
    [
      "no provider",
      { exists: (path: string) => !path.endsWith("/bin/napi-v6/linux/x64/libonnxruntime_providers_cuda.so") },
      "no CUDA provider beside onnxruntime-node (libonnxruntime_providers_cuda.so)",
      "run: ONNXRUNTIME_NODE_INSTALL=cuda12 node /project/node_modules/onnxruntime-node/script/install.js",
    ],
    [
      "no CUDA",
      { missingLibraries: async () => ["libcublas.so.12", "libcudart.so.12"], hasLibrary: async () => false },
      "CUDA 12 and cuDNN 9 are not complete: libcublas.so.12, libcudart.so.12, libcudnn.so.9 not found",
      "run: pip install nvidia-cuda-runtime-cu12 nvidia-cublas-cu12 nvidia-cufft-cu12 nvidia-curand-cu12 nvidia-cuda-nvrtc-cu12 nvidia-cudnn-cu12, and put their lib folders into LD_LIBRARY_PATH",
    ],
    [
      "no cuDNN",
      { hasLibrary: async (name: string) => name !== "libcudnn.so.9" },
      "CUDA 12 and cuDNN 9 are not complete: libcudnn.so.9 not found",
      expect.stringContaining("nvidia-cudnn-cu12"),
    ],
    [
      "an old driver",
      { tryProvider: async () => ({ works: false, found: "CUDA driver version is insufficient" }) as const },
      "NVIDIA H100 with driver 550.54 fails: CUDA driver version is insufficient",
      "update the driver",
    ],
  ])("%s", async (_name, machine, why, remedy) => {
    const report = await reportCuda({ ...complete, ...machine });
    expect(report).toEqual({ name: "cuda", usable: false, why, remedy });
    await expect(createCudaEngine(report)).rejects.toMatchObject({
      kind: "bad-configuration",
      code: "engine",
      message: `engine cuda: cannot be used here: ${report.why}; ${report.remedy}`,
    });
  });

  test.each([
    [9, ["float32", "bfloat16", "float16"]],
    [7.5, ["float32", "float16"]],
  ])("a card of compute capability %d", async (computeCapability, precisions) => {
    const report = await reportCuda({ ...complete, card: async () => ({ ...CARD, computeCapability }) });
    expect(report).toMatchObject({
      usable: true,
      why: "NVIDIA H100, driver 550.54, 41235 GFLOP/s in products of matrices",
    });
    const engine = await createCudaEngine(report);
    expect(engine).toMatchObject({ name: "cuda", memory: "device", precisions });
    expect(engine.runsAtOnce).toBeGreaterThan(1);
    await engine.close();
  });
});

/**
 * Operations with CUDA kernels for every type that the programs use them with, from ONNX Runtime's table of kernels; those of
 * the second list have them for both 16-bit types too. Any other would send its operands to the processor and back.
 */
const KERNELS_FLOAT32 =
  "Cast Div Equal Erf Exp Expand Gather GatherElements Greater GreaterOrEqual Less LessOrEqual Log Max Min Neg Not Pow Reciprocal ReduceMax ReduceMean ReduceSum Relu ScatterElements ScatterND Sigmoid Softmax Sqrt Sub Tanh Where";
const KERNELS_ANY_FLOAT = "Add Concat Gemm Identity MatMul Mul Reshape Slice Split Tile Transpose";

describe("the programs of a training", () => {
  const objective = adaptiveObjective(3, { earlier: 2, scaled: true });

  test.each(["gpt2", "llama"] as const)("%s uses operations only that CUDA has", async (architecture) => {
    const tf = await loadTensorFlow();
    const [model, optimizer] = [COURSE_MODELS[architecture], COURSE_OPTIMIZERS[architecture]];
    const shape = { model, rows: 2, objective, recompute: true };
    const programs = [
      stepProgram(shape, optimizer),
      accumulationProgram(shape),
      updateProgram(model, optimizer),
      lossProgram(model, 2),
      gradientProgram({ ...shape, objective: { kind: "weighted" } }),
    ];
    const known = new Set(`${KERNELS_FLOAT32} ${KERNELS_ANY_FLOAT}`.split(" "));
    const half = new Set(["Cast", ...KERNELS_ANY_FLOAT.split(" ")]);
    for (const program of programs) {
      const graph = lowerPrecision(traceProgram(tf, program), "bfloat16");
      for (const { op, inputs, outputs } of graph.nodes) {
        const types = [...inputs, ...outputs].map((name) => graph.values.get(name)?.dtype);
        expect(types.includes("bfloat16") ? half : known, program.name).toContain(op);
      }
    }
  });
});

describe.skipIf(process.platform !== "linux")("the probes themselves", () => {
  test("know the system's libraries, and what one needs", async () => {
    expect(await CUDA_PROBES.hasLibrary("libc.so.6")).toBe(true);
    expect(await CUDA_PROBES.hasLibrary("libnothing.so.6")).toBe(false);
    expect(await CUDA_PROBES.missingLibraries(process.execPath)).toEqual([]);
    expect(CUDA_PROBES.exists(`${CUDA_PROBES.packageFolder}/script/install.js`)).toBe(true);
  });
});
