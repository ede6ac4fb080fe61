/** An engine or precision that cannot train here stops a run before it counts, and a plan says so; what trains nothing is let be. */
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { bindStages } from "../../src/pipeline/bindings.ts";
import { loadPipeline } from "../../src/pipeline/load.ts";
import { OutputFolder } from "../../src/pipeline/output-folder.ts";
import { planPipeline } from "../../src/pipeline/plan.ts";
import { prepare } from "../../src/pipeline/prepare.ts";
import { runPipeline } from "../../src/pipeline/run.ts";
import { checkTrainingEngine } from "../../src/pipeline/training-engine.ts";
import { CORPUS, smallPipeline, smallTraining, TOKENIZER, temporaryFolder } from "../e2e/small.ts";

/** What no machine's processors have. */
const unfit = { ...smallTraining(), engine: "cpu", precision: "bfloat16" } as const;
const fault =
  "training: precision must be one that engine cpu has (float32), found bfloat16; " +
  "set train.precision to float32, or train.engine to one that has it";

describe("an engine that cannot train here", () => {
  it("stops a run before anything is written, and nothing that trains nothing", async () => {
    const output = join(temporaryFolder(), "out");
    const pipeline = smallPipeline(output, { train: unfit });
    await expect(runPipeline(pipeline)).rejects.toMatchObject({ code: "precision", message: fault });
    expect(existsSync(output)).toBe(false);
    expect((await runPipeline(pipeline, { until: "count" })).status).toBe("done");
    await expect(runPipeline(pipeline, { until: "proxy" })).rejects.toMatchObject({ code: "precision" });
  });

  it("and memory that there is not stop a run before anything is written, with the line", async () => {
    const folder = temporaryFolder();
    const path = join(folder, "p.yaml");
    const stopped = async (train: string) => {
      const head = `version: 1\nname: a\noutput: out\ntokenizer: ${TOKENIZER}\n`;
      writeFileSync(
        path,
        `${head}data: { files: "${CORPUS}/folders/{domain}/part-*" }\ntrain:\n  engine: cpu\n  ${train}\n`,
      );
      const error = await runPipeline(await loadPipeline(path)).catch((error) => error);
      expect(existsSync(join(folder, "out"))).toBe(false);
      return { code: error.code, line: error.line, exitStatus: error.exitStatus, message: error.message };
    };
    expect(await stopped("precision: bfloat16")).toMatchObject({
      ...{ code: "precision", line: 8, exitStatus: 78 },
      message: `${path}:8: ${fault}`,
    });
    expect(await stopped("batchSize: 1000000000000")).toMatchObject({
      ...{ code: "memory", line: 6, exitStatus: 78 },
      message: expect.stringMatching(/^.*:6: training: it must fit into .*; take a smaller train\.batchSize$/),
    });
  });

  it("is said in a plan, which may be made on another machine", async () => {
    const output = join(temporaryFolder(), "out");
    const plan = await planPipeline(smallPipeline(output, { train: unfit }));
    expect(plan.training.engineFault).toBe(fault);
    const times = Object.fromEntries(plan.stages.map(({ name, seconds }) => [name, seconds]));
    expect(times).toMatchObject({ reference: null, proxy: null });
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
