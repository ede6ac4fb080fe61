/** Programs run op by op: the same courses as on the processor, nothing left behind, and what is said where it is missing. */
import "@tensorflow/tfjs-backend-cpu";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createCpuEngine } from "../../src/engine/cpu.ts";
import type { Engine, Program } from "../../src/engine/engine.ts";
import { loadTensorFlow, type TensorFlow } from "../../src/engine/tensorflow.ts";
import { createTfjsEngine, loadTensorFlowBackend, reportTfjs } from "../../src/engine/tfjs.ts";
import { expectSameCourse, runCourse } from "./course.ts";

let tf: TensorFlow;
let tfjs: Engine;
let cpu: Engine;
beforeAll(async () => {
  tf = await loadTensorFlow();
  tf.env().set("IS_NODE", false); // no advertisement on the first tensor
  tfjs = await createTfjsEngine({ tf, backend: "cpu", device: "TensorFlow.js's own backend" });
  cpu = await createCpuEngine({ threads: 1 });
});
afterAll(() => cpu.close());

describe("courses of 50 steps", () => {
  test.each([
    ["gpt2", "reference"],
    ["llama", "proxy"],
  ] as const)("%s, %s: as on the processor, and no tensor is left", async (architecture, objective) => {
    const before = tf.memory().numTensors;
    const found = await runCourse(tfjs, architecture, objective);
    expect(tf.memory().numTensors).toBe(before);
    expectSameCourse(found, await runCourse(cpu, architecture, objective));
  });

  test("a batch in parts", async () => {
    const before = tf.memory().numTensors;
    const parts = { microBatch: 2, steps: 5 };
    const found = await runCourse(tfjs, "gpt2", "proxy", parts);
    const expected = await runCourse(cpu, "gpt2", "proxy", parts);
    expect(tf.memory().numTensors).toBe(before);
    for (const [i, { loss }] of expected.records.entries()) expect(found.records[i]!.loss).toBeCloseTo(loss, 4);
  });
});

describe("an executable", () => {
  const float = (...shape: number[]) => ({ shape, dtype: "float32" as const });
  const same: Program = {
    name: "same",
    inputs: { x: float(2), unused: float(3) },
    build: (tf, { x }) => {
      const y = tf.add(x!, 1);
      return { x: x!, y, z: y };
    },
  };

  test("gives every output a tensor of its own", async () => {
    const x = tfjs.tensor(Float32Array.of(1, 2), [2]);
    const outputs = await (await tfjs.compile(same)).run({ x });
    x.dispose();
    outputs.y!.dispose();
    outputs.y!.dispose(); // twice is once
    expect(Array.from(await outputs.x!.read())).toEqual([1, 2]);
    expect(Array.from(await outputs.z!.read())).toEqual([2, 3]);
    for (const tensor of Object.values(outputs)) tensor.dispose();
  });

  test("repeats as a loop does", async () => {
    const before = tf.memory().numTensors;
    const program: Program = {
      name: "sum",
      inputs: { x: float(2), b: float(2) },
      build: (tf, { x, b }) => ({ "next/x": tf.add(x!, b!), seen: tf.sum(x!) }),
    };
    const executable = await tfjs.compile(program, { repeat: { runs: 3, perRun: ["b"] } });
    const inputs = {
      x: tfjs.tensor(Float32Array.of(1, 2), [2]),
      b: tfjs.tensor(Float32Array.of(1, 1, 10, 10, 100, 100), [3, 2]),
    };
    const outputs = await executable.run(inputs);
    expect(Array.from(await outputs["next/x"]!.read())).toEqual([112, 113]);
    expect(Array.from(await outputs.seen!.read())).toEqual([3, 5, 25]);
    for (const tensor of [...Object.values(outputs), ...Object.values(inputs)]) tensor.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });

  test("refuses a wrong shape, another engine's tensor, and outputs to write into", async () => {
    const executable = await tfjs.compile(same);
    const x = tfjs.tensor(Float32Array.of(1, 2), [2]);
    await expect(executable.run({ x: tfjs.tensor(Float32Array.of(1), [1]) })).rejects.toThrow(
      "same: x must be float32 [2], found float32 [1]",
    );
    await expect(executable.run({ x: cpu.tensor(Float32Array.of(1, 2), [2]) })).rejects.toThrow("another engine's");
    await expect(executable.run({ x }, { y: x })).rejects.toThrow("leave out into");
    expect(() => tfjs.tensor(Float32Array.of(1, 2), [3])).toThrow("needs 3 values, found 2");
  });
});

describe("where it is not installed", () => {
  let project: string;
  beforeAll(async () => {
    project = await mkdtemp(join(tmpdir(), "doremi-tfjs-"));
  });
  afterAll(() => rm(project, { recursive: true }));

  async function install(name: string, script: string): Promise<void> {
    const folder = join(project, "node_modules", name);
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, "package.json"), JSON.stringify({ name, main: "index.js" }));
    await writeFile(join(folder, "index.js"), script);
  }

  test("names the command that brings it", async () => {
    const report = await reportTfjs([project]);
    expect(report).toMatchObject({ usable: false, why: expect.stringContaining("is installed") });
    await expect(loadTensorFlowBackend(report)).rejects.toMatchObject({
      code: "engine",
      message:
        "engine tfjs: cannot be used here: neither @tensorflow/tfjs-node-gpu nor @tensorflow/tfjs-node is installed; run: npm install @tensorflow/tfjs-node-gpu --ignore-scripts=false",
    });
  });

  test("takes the package for GPUs first, and says why one does not load", async () => {
    await install("@tensorflow/tfjs-node", "module.exports = { version_core: '4.0' };");
    expect(await reportTfjs([project])).toMatchObject({ usable: true, why: "@tensorflow/tfjs-node" });
    await install("@tensorflow/tfjs-node-gpu", "module.exports = { version_core: '4.1' };");
    const report = await reportTfjs([project]);
    expect(report.package?.name).toBe("@tensorflow/tfjs-node-gpu");
    expect(await loadTensorFlowBackend(report)).toMatchObject({
      backend: "tensorflow",
      device: "@tensorflow/tfjs-node-gpu 4.1",
      tf: { version_core: "4.1" },
    });
    await install(
      "@tensorflow/tfjs-node-gpu",
      "throw new Error('libtensorflow.so.2: cannot open shared object file');",
    );
    expect(await reportTfjs([project])).toMatchObject({
      usable: false,
      why: "@tensorflow/tfjs-node-gpu does not load: Error: libtensorflow.so.2: cannot open shared object file",
    });
  });
});
