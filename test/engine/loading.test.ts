/** Importing the trainer must not load TensorFlow.js or ONNX Runtime: commands that train nothing should start fast. */
import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";

const ROOT = new URL("../../", import.meta.url).pathname;

/** Number of their modules in memory after the script, and all that the process printed besides. */
function modulesAfter(script: string): { modules: number; printed: string } {
  const report = `const { createRequire } = await import("node:module");
    const loaded = Object.keys(createRequire(import.meta.url).cache).filter((path) => /tfjs|onnxruntime/.test(path));
    console.log("modules", loaded.length);`;
  const child = spawnSync(process.execPath, ["--import", "tsx", "--input-type=module", "-e", `${script}\n${report}`], {
    cwd: ROOT,
    encoding: "utf8",
  });
  const [, printed = "", modules = ""] = /^([\s\S]*)modules (\d+)\n$/.exec(child.stderr + child.stdout) ?? [];
  return { modules: Number(modules || Number.NaN), printed };
}

test("importing loads neither, and using the engine prints nothing", () => {
  const imports = `await import("./src/trainer/train.ts"); const { createCpuEngine } = await import("./src/engine/cpu.ts");`;
  expect(modulesAfter(imports)).toEqual({ modules: 0, printed: "" });
  const use = `const engine = await createCpuEngine({ threads: 1 });
    const spec = { shape: [2], dtype: "float32" };
    const program = { name: "p", inputs: { x: spec }, build: (tf, { x }) => ({ y: tf.add(x, tf.scalar(1)) }) };
    await (await engine.compile(program)).run({ x: engine.tensor(new Float32Array(2), [2]) });
    await engine.close();`;
  const used = modulesAfter(imports + use);
  expect(used.modules).toBeGreaterThan(1);
  expect(used.printed).toBe("");
});
