/**
 * WebGPU on whatever adapter there is, in continuous integration a driver in software: the same courses as on the processor,
 * state that stays on the device, and what is said where there is no adapter.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createCpuEngine } from "../../src/engine/cpu.ts";
import type { Engine, Program } from "../../src/engine/engine.ts";
import { createWebGpuEngine, reportWebGpu, type WebGpuProbes } from "../../src/engine/webgpu.ts";
import { COURSE_MODELS, expectSameCourse, runCourse } from "./course.ts";

const report = await reportWebGpu();
const required = process.env.DOREMI_REQUIRE_VULKAN === "1";
const reason = report.usable ? report.why : `left out: ${report.why}`;

test.runIf(required)("an adapter is there, as DOREMI_REQUIRE_VULKAN says", () => {
  expect(report).toMatchObject({ usable: true });
});

const float = (...shape: number[]) => ({ shape, dtype: "float32" as const });

describe.skipIf(!report.usable)(`on the adapter (${reason})`, () => {
  let engine: Engine;
  let cpu: Engine;
  beforeAll(async () => {
    engine = await createWebGpuEngine(report);
    cpu = await createCpuEngine({ threads: 1 });
  });
  afterAll(async () => {
    await engine.close();
    await cpu.close();
  });

  // A driver in software takes a third of a second for a step of these.
  test.each([
    ["gpt2", "proxy"],
    ["llama", "reference"],
  ] as const)(
    "%s, %s: 50 steps as on the processor",
    async (architecture, objective) => {
      const found = await runCourse(engine, architecture, objective);
      expectSameCourse(found, await runCourse(cpu, architecture, objective));
    },
    180_000,
  );

  test("a batch in parts, with activations computed again", async () => {
    const options = { microBatch: 2, recompute: true, steps: 5 };
    const found = await runCourse(engine, "gpt2", "proxy", options);
    const expected = await runCourse(cpu, "gpt2", "proxy", options);
    for (const [i, { loss }] of expected.records.entries()) expect(found.records[i]!.loss).toBeCloseTo(loss, 4);
  });

  // Where widths are multiples of four, other kernels multiply.
  test("a wider model", async () => {
    const model = { ...COURSE_MODELS.gpt2, vocabularySize: 256, width: 64, heads: 4 };
    const found = await runCourse(engine, "gpt2", "reference", { model, steps: 3 });
    const expected = await runCourse(cpu, "gpt2", "reference", { model, steps: 3 });
    for (const [i, { loss, gradientNorm }] of expected.records.entries()) {
      expect(found.records[i]!.loss).toBeCloseTo(loss, 5);
      expect(found.records[i]!.gradientNorm).toBeCloseTo(gradientNorm, 4);
    }
  });

  const COUNT = 1 << 20;
  const increment: Program = {
    name: "increment",
    inputs: { x: float(COUNT) },
    build: (tf, { x }) => ({ "next/x": tf.add(x!, 1) }),
  };

  test("what is disposed is freed, and a result is the next input without being read", async () => {
    const executable = await engine.compile(increment);
    let x = engine.tensor(new Float32Array(COUNT), [COUNT]);
    const step = async (): Promise<void> => {
      const outputs = await executable.run({ x });
      x.dispose();
      x = outputs["next/x"]!;
    };
    for (let i = 0; i < 20; i++) await step();
    const before = process.memoryUsage.rss();
    for (let i = 0; i < 100; i++) await step();
    // 100 arrays of 4 MB, if they were kept
    expect(process.memoryUsage.rss() - before).toBeLessThan(100e6);
    expect((await x.read())[COUNT - 1]).toBe(120);
    x.dispose();
    await executable.close();
  });

  test("a tensor that is fed again moves to the device for good", async () => {
    const executable = await engine.compile(increment);
    const data = new Float32Array(COUNT);
    const x = engine.tensor(data, [COUNT]);
    const first = async (): Promise<number> => {
      const outputs = await executable.run({ x });
      const value = (await outputs["next/x"]!.read())[0]!;
      outputs["next/x"]!.dispose();
      return value;
    };
    expect([await first(), await first()]).toEqual([1, 1]);
    data.fill(7); // would be seen, if it still were what is fed
    expect(await first()).toBe(1);
    expect((await x.read())[0]).toBe(0);
    await executable.close();
  });

  test("refuses what only the processor can do, rather than sending its operands there in every run", async () => {
    const repeat = { runs: 3, perRun: [] }; // a loop has no WebGPU kernel
    await expect(engine.compile(increment, { repeat })).rejects.toThrow(
      /fallback to CPU EP has been explicitly disabled/,
    );
  });

  test("refuses to write into given tensors", async () => {
    const executable = await engine.compile(increment);
    const x = engine.tensor(new Float32Array(COUNT), [COUNT]);
    await expect(executable.run({ x }, { "next/x": x })).rejects.toThrow("outputs of webgpu stay on the device");
    await executable.close();
  });
});

describe("what is said without an adapter", () => {
  const probes: WebGpuProbes = {
    platform: "linux",
    architecture: "x64",
    hasDevice: () => true,
    tryProvider: async () => ({ works: false, found: "Found no drivers!" }),
  };

  test.each([
    ["Linux with a card", {}, "through Vulkan (Found no drivers!)", "apt-get install libvulkan1 mesa-vulkan-drivers"],
    ["Linux without a card", { hasDevice: () => false }, "through Vulkan", "a graphics card with a Vulkan driver"],
    ["Linux on arm64", { architecture: "arm64" }, "no WebGPU provider for Linux on arm64", "choose engine: cpu"],
    ["macOS", { platform: "darwin", architecture: "arm64" }, "through Metal", "update the graphics driver"],
    ["Windows", { platform: "win32" }, "through Direct3D 12", "update the graphics driver"],
  ] as const)("%s", async (_name, system, why, remedy) => {
    const report = await reportWebGpu({ ...probes, ...system });
    expect(report).toMatchObject({ name: "webgpu", usable: false });
    expect(report.why).toContain(why);
    expect(report.remedy).toContain(remedy);
    await expect(createWebGpuEngine(report)).rejects.toMatchObject({
      code: "engine",
      message: `engine webgpu: cannot be used here: ${report.why}; ${report.remedy}`,
    });
  });

  test("float16 where the adapter has it", async () => {
    const trial = { works: true, speed: 2345.6, float16: true } as const;
    const engine = await createWebGpuEngine(await reportWebGpu({ ...probes, tryProvider: async () => trial }));
    expect(engine.precisions).toEqual(["float32", "float16"]);
    expect(engine.device).toBe("Vulkan, 2346 GFLOP/s in products of matrices");
    const slow = await reportWebGpu({ ...probes, tryProvider: async () => ({ ...trial, speed: 0.4632 }) });
    expect(slow.why).toBe("Vulkan, 0.46 GFLOP/s in products of matrices");
    await engine.close();
  });
});
