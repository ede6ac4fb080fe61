/** Plans: what is there, what is missing, what would be done; nothing written. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { loadPipeline } from "../../src/pipeline/load.ts";
import { planPipeline } from "../../src/pipeline/plan.ts";
import { runPipeline } from "../../src/pipeline/run.ts";
import { smallPipeline, smallTraining, temporaryFolder } from "../e2e/small.ts";

const shipped = (name: string) => fileURLToPath(new URL(`../../pipelines/${name}.yaml`, import.meta.url));

describe("plans", () => {
  it("of the quickstart: everything is there and to do", async () => {
    const output = join(temporaryFolder(), "out");
    const plan = await planPipeline(await loadPipeline(shipped("quickstart"), { output }));
    expect(plan.missing).toEqual([]);
    expect(plan.domains.map((domain) => domain.name)).toEqual([
      "books",
      "csource",
      "factbook",
      "law_de",
      "math",
      "poetry_zh",
      "python",
      "techdocs",
    ]);
    expect(plan.stages.map(({ name, status }) => [name, status])).toEqual([
      ["discover", "unchanged"],
      ...["count", "tokenize", "reference", "proxy", "resample"].map((name) => [name, "to do"]),
    ]);
    expect(plan.seconds).toBeGreaterThan(1);
    expect(existsSync(output)).toBe(false);
  });

  it.each([
    ["pile", 22, 2],
    ["redpajama", 7, 7],
  ])("of %s.yaml: valid, and says which files are missing", async (name, domains, missing) => {
    const pipeline = await loadPipeline(shipped(name));
    const plan = await planPipeline(pipeline);
    const listed = pipeline.config.data.domains!;
    expect((Array.isArray(listed) ? listed : Object.keys(listed)).length).toBe(domains);
    expect(plan.missing).toHaveLength(missing);
    for (const { message } of plan.missing) expect(message).toMatch(/no file matches \/data\//);
    expect(plan.stages.every((stage) => stage.status === "waits")).toBe(true);
    // 12 layers of width 768 with GPT-2's vocabulary and 1,024 positions: GPT-2 small.
    expect(plan.training.parameters).toBe(124_439_808);
  });

  it("of a finished run: nothing to do; after a change, what depends on it", async () => {
    const output = join(temporaryFolder(), "out");
    await runPipeline(smallPipeline(output));
    const done = await planPipeline(smallPipeline(output));
    expect(done.stages.every((stage) => stage.status === "unchanged")).toBe(true);
    expect(done.seconds).toBe(0);
    expect(done.domains.every((domain) => domain.counted)).toBe(true);
    const changed = await planPipeline(smallPipeline(output, { train: smallTraining({ eta: 2 }) }));
    expect(changed.stages.map(({ status }) => status)).toEqual([
      "unchanged",
      "unchanged",
      "unchanged",
      "unchanged",
      "to do",
      "to do",
    ]);
  });
});
