/**
 * Opens the largest model's training step: traces it and makes a session, without weights. A process of its own, because
 * only the first time is anybody's. Prints one line of JSON.
 */
import { createCpuEngine } from "../../src/engine/cpu.ts";
import { parameterCount } from "../../src/trainer/model.ts";
import { gradientProgram } from "../../src/trainer/programs.ts";
import { MODEL_280M } from "./cases.ts";

const started = performance.now();
const engine = await createCpuEngine();
await engine.compile(
  gradientProgram({ model: MODEL_280M, rows: 1, objective: { kind: "weighted" }, recompute: false }),
);
const seconds = (performance.now() - started) / 1000;
await engine.close();
console.log(JSON.stringify({ seconds, parameters: parameterCount(MODEL_280M) }));
