/** What a plan says of memory: both training stages, and what to set where they do not fit. */
import { describe, expect, it } from "vitest";
import { pipelineSchema } from "../../src/pipeline/schema.ts";
import { planMemory } from "../../src/pipeline/training-memory.ts";
import { TOLERANCE } from "../../src/trainer/memory.ts";
import { completeModel } from "../../src/trainer/model.ts";

const PLENTY = { limit: 1e12, available: 1e12 };
const model = completeModel({
  architecture: "gpt2",
  ...{ vocabularySize: 50_257, sequenceLength: 512, width: 768, layers: 12, heads: 12 },
});

function trainOf(train: Record<string, unknown>) {
  const file = { version: 1, name: "x", output: "o", tokenizer: "r50k", data: { files: "f" } };
  return pipelineSchema.parse({ ...file, train }).train;
}

describe("memory in a plan", () => {
  it("counts a reference that runs beside the proxy, unless its losses are cached", () => {
    const resident = planMemory(trainOf({ batchSize: 8 }), model, null, PLENTY)!;
    const cached = planMemory(trainOf({ batchSize: 8, proxy: { referenceLosses: "cached" } }), model, null, PLENTY)!;
    expect(resident.proxy.reference).toBeGreaterThan(4 * 124e6);
    expect(cached.proxy).toEqual(cached.reference);
    expect(resident.warnings).toEqual([]);
  });

  it("of a given reference says nothing, and counts its own size", () => {
    const small = completeModel({ ...model, width: 64, layers: 2, heads: 2 });
    const train = trainOf({ reference: { model: "folder" } });
    const plan = planMemory(train, model, small, PLENTY)!;
    expect(plan.reference).toBeNull();
    expect(plan.proxy.reference).toBeLessThan(planMemory(train, model, model, PLENTY)!.proxy.reference);
  });

  it("of an engine whose memory is a device's says nothing", () => {
    expect(planMemory(trainOf({ engine: "webgpu" }), model, null, PLENTY)).toBeNull();
  });

  it("warns with what to set, and the setting helps", () => {
    const whole = planMemory(trainOf({ batchSize: 16 }), model, null, PLENTY)!;
    const machine = { limit: whole.proxy.total * 0.7, available: whole.proxy.total * 0.6 };
    const plan = planMemory(trainOf({ batchSize: 16 }), model, null, machine)!;
    expect(plan.warnings).toHaveLength(2);
    const [, rows] = /train\.microBatch: (\d+)/.exec(plan.warnings[1]!) ?? [];
    const recompute = plan.warnings[1]!.includes("train.recompute: true");
    expect(rows !== undefined || recompute).toBe(true);
    const changed = trainOf({ batchSize: 16, recompute, ...(rows && { microBatch: Number(rows) }) });
    expect(planMemory(changed, model, null, machine)!.warnings).toEqual([]);
  });

  it("says that memory is in use, where there would be enough", () => {
    const { total } = planMemory(trainOf({ batchSize: 16 }), model, null, PLENTY)!.proxy;
    const { warnings } = planMemory(trainOf({ batchSize: 16 }), model, null, {
      limit: total * 2,
      available: total * (1 - TOLERANCE) - 1,
    })!;
    expect(warnings.at(-1)).toMatch(
      /^proxy needs about .* GB of memory, and only .* are free now: free some, or set train\./,
    );
  });
});
