/** Every objective's graph on WebGPU, where an operation without a kernel is refused, against its float64 twin. */
import { afterAll, beforeAll, describe, test } from "vitest";
import type { Engine } from "../../src/engine/engine.ts";
import { createWebGpuEngine, reportWebGpu } from "../../src/engine/webgpu.ts";
import { OBJECTIVE_CASES } from "./objective-cases.ts";
import { expectTwin, randomBatch, unevenFacts } from "./twins.ts";

const report = await reportWebGpu();
const reason = report.usable ? report.why : `left out: ${report.why}`;

describe.skipIf(!report.usable)(`objectives on WebGPU (${reason})`, () => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await createWebGpuEngine(report);
  });
  afterAll(() => engine.close());

  const batches = [0, 1].map((step) => randomBatch(12, 3, step));
  test.each(OBJECTIVE_CASES)("%s", (_name, settings) =>
    // WGSL lets exp and log be off by a few units in the last place and more.
    expectTwin(engine, { settings, facts: unevenFacts(3), batches, tolerance: 3e-5 }),
  );
});
