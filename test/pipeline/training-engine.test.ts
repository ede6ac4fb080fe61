/** An engine or precision that cannot train here stops a run before it counts, and a plan says so; what trains nothing is let be. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { bindStages } from "../../src/pipeline/bindings.ts";
import { OutputFolder } from "../../src/pipeline/output-folder.ts";
import { planPipeline } from "../../src/pipeline/plan.ts";
import { prepare } from "../../src/pipeline/prepare.ts";
import { runPipeline } from "../../src/pipeline/run.ts";
import { checkTrainingEngine } from "../../src/pipeline/training-engine.ts";
import { smallPipeline, smallTraining, temporaryFolder } from "../e2e/small.ts";

/** What no machine's processors have. */
const unfit = { ...smallTraining(), engine: "cpu", precision: "bfloat16" } as const;
const fault = "training: precision must be one that engine cpu has (float32), found bfloat16";

describe("an engine that cannot train here", () => {
  it("stops a run before anything is written, and nothing that trains nothing", async () => {
    const output = join(temporaryFolder(), "out");
    const pipeline = smallPipeline(output, { train: unfit });
    await expect(runPipeline(pipeline)).rejects.toMatchObject({ code: "precision", message: fault });
    expect(existsSync(output)).toBe(false);
    expect((await runPipeline(pipeline, { until: "count" })).status).toBe("done");
    await expect(runPipeline(pipeline, { until: "proxy" })).rejects.toMatchObject({ code: "precision" });
  });

  it("is said in a plan, which may be made on another machine", async () => {
    const output = join(temporaryFolder(), "out");
    const plan = await planPipeline(smallPipeline(output, { train: unfit }));
    expect(plan.training.engineFault).toBe(fault);
    expect(plan.stages.map(({ name }) => name)).toContain("proxy");
    const counted = await planPipeline(smallPipeline(output, { train: unfit }), "count");
    expect(counted.training.engineFault).toBeNull();
    const fit = await planPipeline(smallPipeline(output));
    expect(fit.training.engineFault).toBeNull();
  });

  it("does not stop a run whose training was finished before", async () => {
    const folder = new OutputFolder(join(temporaryFolder(), "out"));
    const pipeline = smallPipeline(folder.path, { train: unfit });
    const stages = bindStages(await prepare(pipeline));
    await expect(checkTrainingEngine(pipeline, stages, folder)).rejects.toMatchObject({ code: "precision" });
    await folder.open("small").then((lock) => lock.release());
    await folder.workFolder("reference", "a-key");
    await folder.publish({ stage: "reference", version: 1 }, "a-key", {});
    await expect(checkTrainingEngine(pipeline, stages, folder)).resolves.toBeUndefined();
  });
});
