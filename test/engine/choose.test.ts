/** Which engine is chosen on which machine, and what is said about it; and that a trial tells what works from what does not. */
import { describe, expect, test } from "vitest";
import { checkEngine, chooseEngine, createEngine, type EngineProbes, engineReport } from "../../src/engine/choose.ts";
import { type Trial, tryProvider } from "../../src/engine/trial.ts";

const trial = (speed: number): Trial => ({ works: true, speed, float16: false });

/** A machine without a card. */
const plain: EngineProbes = {
  cuda: async () => ({ name: "cuda", usable: false, why: "no NVIDIA driver", remedy: "install it" }),
  webgpu: async () => ({ name: "webgpu", usable: false, why: "no WebGPU adapter", trial: { works: false, found: "" } }),
  tfjs: async () => ({ name: "tfjs", usable: false, why: "not installed" }),
  hasGraphicsDevice: () => false,
  processor: async () => trial(120),
};
const never = (): never => {
  throw new Error("must not be asked");
};
const webgpu = (speed: number): Partial<EngineProbes> => ({
  hasGraphicsDevice: (): boolean => true,
  webgpu: async () => ({ name: "webgpu", usable: true, why: `Vulkan, ${speed} GFLOP/s`, trial: trial(speed) }),
});
const tfjs = (name: "@tensorflow/tfjs-node-gpu" | "@tensorflow/tfjs-node"): Partial<EngineProbes> => ({
  tfjs: async () => ({ name: "tfjs", usable: true, why: name, package: { name, path: "" } }),
});
const cuda: Partial<EngineProbes> = { cuda: async () => ({ name: "cuda", usable: true, why: "NVIDIA H100" }) };

describe("chooseEngine", () => {
  test.each([
    ["no card", { webgpu: never, processor: never }, "cpu", "no NVIDIA driver; no graphics device for WebGPU"],
    ["CUDA", { ...cuda, ...tfjs("@tensorflow/tfjs-node-gpu"), webgpu: never, processor: never }, "cuda", "NVIDIA H100"],
    ["a fast card without CUDA", webgpu(900), "webgpu", "Vulkan, 900 GFLOP/s"],
    [
      "a driver in software",
      webgpu(0.4),
      "cpu",
      "no NVIDIA driver; WebGPU is slower than the processor (Vulkan, 0.4 GFLOP/s)",
    ],
    [
      "a card without a driver",
      { hasGraphicsDevice: (): boolean => true },
      "cpu",
      "no NVIDIA driver; no WebGPU adapter",
    ],
    ["TensorFlow's package for GPUs", tfjs("@tensorflow/tfjs-node-gpu"), "tfjs", "@tensorflow/tfjs-node-gpu"],
    [
      "TensorFlow's package for processors",
      tfjs("@tensorflow/tfjs-node"),
      "cpu",
      "no NVIDIA driver; no graphics device for WebGPU",
    ],
    [
      "a fast card and TensorFlow's package",
      { ...tfjs("@tensorflow/tfjs-node-gpu"), ...webgpu(900) },
      "webgpu",
      "Vulkan, 900 GFLOP/s",
    ],
  ] as const)("%s", async (_name, machine, name, why) => {
    expect(await chooseEngine({ ...plain, ...machine })).toMatchObject({ name, why });
  });
});

test("an engine that is asked for by name says so", async () => {
  const { engine, why } = await createEngine({ engine: "cpu", threads: 1 });
  expect(engine.name).toBe("cpu");
  expect(engine.device).toBe("1 thread");
  expect(why).toBe("cpu: as asked for");
  await engine.close();
});

describe("checkEngine", () => {
  test.each([
    ["cuda", "engine cuda: cannot be used here: no NVIDIA driver; install it"],
    ["webgpu", "engine webgpu: cannot be used here: no WebGPU adapter; choose another engine"],
    ["tfjs", "engine tfjs: cannot be used here: not installed; choose another engine"],
  ] as const)("refuses %s where it does not work", async (name, message) => {
    await expect(checkEngine(name, "float32", plain)).rejects.toMatchObject({ code: "engine", message });
  });

  const card = (computeCapability: number): Partial<EngineProbes> => ({
    cuda: async () => ({
      name: "cuda",
      usable: true,
      why: "",
      card: { name: "a card", driver: "550", computeCapability },
    }),
  });
  test.each([
    ["cpu", "bfloat16", {}, "float32"],
    ["cpu", "float16", {}, "float32"],
    ["webgpu", "float16", webgpu(900), "float32"],
    ["cuda", "bfloat16", card(7.5), "float32, float16"],
    ["tfjs", "bfloat16", tfjs("@tensorflow/tfjs-node"), "float32"],
  ] as const)("refuses on %s a precision that it lacks: %s", async (name, precision, machine, has) => {
    await expect(checkEngine(name, precision, { ...plain, ...machine })).rejects.toMatchObject({
      code: "precision",
      message:
        `training: precision must be one that engine ${name} has (${has}), found ${precision}; set train.precision to ` +
        `${has === "float32" ? has : "one of them"}, or train.engine to one that has it`,
    });
  });

  test.each([
    ["cpu", "float32", {}],
    ["cuda", "bfloat16", card(9)],
    ["cuda", "float16", card(7)],
    ["webgpu", "float32", webgpu(1)],
    ["tfjs", "float32", tfjs("@tensorflow/tfjs-node-gpu")],
  ] as const)("takes %s in %s", async (name, precision, machine) => {
    await expect(checkEngine(name, precision, { ...plain, ...machine })).resolves.toBeUndefined();
  });

  test("asks of the machine what auto comes to where the precision depends on it, and nothing else", async () => {
    const silent = { ...plain, cuda: never, webgpu: never, tfjs: never, processor: never };
    await expect(checkEngine("auto", "float32", silent)).resolves.toBeUndefined();
    await expect(checkEngine("auto", "bfloat16", { ...plain, ...card(9) })).resolves.toBeUndefined();
    await expect(checkEngine("auto", "bfloat16", plain)).rejects.toMatchObject({
      code: "precision",
      message: expect.stringMatching(/engine cpu has \(float32\), found bfloat16/),
    });
  });
});

test("the report has every engine, and of each what people need to know", async () => {
  const report = await engineReport({ ...plain, ...webgpu(900) });
  expect(report).toEqual([
    { name: "cpu", usable: true, why: expect.stringMatching(/^ONNX Runtime on \d+ processors?$/) },
    { name: "cuda", usable: false, why: "no NVIDIA driver", remedy: "install it" },
    { name: "webgpu", usable: true, why: "Vulkan, 900 GFLOP/s" },
    { name: "tfjs", usable: false, why: "not installed" },
  ]);
});

describe("tryProvider", () => {
  test("measures the processor", async () => {
    const found = await tryProvider("cpu");
    expect(found.works && found.speed).toBeGreaterThan(1);
  });

  test("tells a provider's own words", async () => {
    expect(await tryProvider("nothing")).toEqual({
      works: false,
      found: "no available backend found. ERR: [nothing] backend not found.",
    });
  });

  test("survives a process that ends before it has begun", async () => {
    const found = await tryProvider("cpu", { ...process.env, NODE_OPTIONS: "--require=/nothing.cjs" });
    expect(found).toEqual({ works: false, found: "Error: Cannot find module '/nothing.cjs'" });
  });
});
