/** Plans: what is there, what is missing, what would be done; nothing written. */
import { cpSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { loadPipeline } from "../../src/pipeline/load.ts";
import { planPipeline } from "../../src/pipeline/plan.ts";
import { runPipeline } from "../../src/pipeline/run.ts";
import type { RunStatus } from "../../src/pipeline/status.ts";
import type { ModelConfig } from "../../src/trainer/contract.ts";
import { initializeWeights } from "../../src/trainer/initialization.ts";
import { completeModel, forwardFlops, trainingFlops } from "../../src/trainer/model.ts";
import { saveModel } from "../../src/trainer/model-folder.ts";
import { PRESETS } from "../../src/trainer/presets.ts";
import { CORPUS, FILES, smallPipeline, smallTraining, TOKENIZER, temporaryFolder } from "../e2e/small.ts";

/** @param train a line of its settings, the file's eighth */
function writePipeline(train: string): string {
  const path = join(temporaryFolder(), "p.yaml");
  const head = `version: 1\nname: a\noutput: out\ntokenizer: ${TOKENIZER}\n`;
  writeFileSync(path, `${head}data:\n  files: ${CORPUS}/folders/{domain}/part-*\ntrain:\n  ${train}\n`);
  return path;
}

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
      ...["discover", "count", "tokenize", "reference", "proxy", "resample"].map((name) => [name, "to do"]),
    ]);
    expect(plan.seconds).toBeGreaterThan(1);
    expect(existsSync(output)).toBe(false);
  });

  it("of a corpus with folders of domains that are not listed: without them, as a run leaves them out", async () => {
    const output = join(temporaryFolder(), "out");
    const { data } = smallPipeline(output).config;
    const plan = await planPipeline(smallPipeline(output, { data: { ...data, domains: ["math", "csource"] } }));
    expect(plan.domains.map(({ name }) => name).sort()).toEqual(["csource", "math"]);
    expect(plan.files.found).toBe(plan.domains.reduce((sum, { files }) => sum + files, 0));
  });

  it.each([
    ["model: nowhere", /:8: “train\.reference\.model”: .*nowhere\/config\.json: no such file or folder/],
    [
      "model: p.yaml",
      /:8: “train\.reference\.model”: .*p\.yaml: must be a folder with config\.json .* name the folder/,
    ],
  ])("of a reference that is not there (%s) says so, and what else is there", async (reference, message) => {
    const path = writePipeline(`reference: { ${reference} }`);
    await expect(runPipeline(await loadPipeline(path))).rejects.toMatchObject({ exitStatus: 66 });
    const { missing, files, training } = await planPipeline(await loadPipeline(path));
    expect(missing.map((one) => one.message)).toEqual([expect.stringMatching(message)]);
    expect(files.found).toBe(5);
    expect([training.model.vocabularySize, training.vocabularyKnown]).toEqual([4096, true]);
    const untold = await planPipeline({
      ...(await loadPipeline(path)),
      config: { ...(await loadPipeline(path)).config, tokenizer: "nowhere.json" },
    });
    expect([untold.files.found, untold.training.vocabularyKnown]).toEqual([5, false]);
  });

  it("of a run's folder in place of its reference names the model in it", async () => {
    const folder = temporaryFolder();
    cpSync(join(FILES, "trainer/gpt2"), join(folder, "reference/model"), { recursive: true });
    const { missing } = await planPipeline(await loadPipeline(writePipeline(`reference: { model: ${folder} }`)));
    expect(missing[0]!.message).toContain(`; did you mean “${join(folder, "reference/model")}”?`);
  });

  it("refuses weights of a domain that there is not by the line", async () => {
    const path = writePipeline("reference: { weights: { csource: 1, factbok: 2, math: 3 } }");
    await expect(planPipeline(await loadPipeline(path))).rejects.toMatchObject({
      ...{ code: "unknown-domain", exitStatus: 78, file: path, line: 8 },
      message: expect.stringMatching(/p\.yaml:8: train\.reference\.weights: .*“factbok”.*did you mean “factbook”/),
    });
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

  it("of a preset's models, and of a reference of another architecture: sizes and operations of each", async () => {
    const folder = temporaryFolder();
    const outside: ModelConfig = {
      architecture: "llama",
      vocabularySize: 4096,
      sequenceLength: 2000,
      width: 16,
      layers: 1,
      heads: 2,
    };
    await saveModel(folder, initializeWeights(outside, 1));
    const train = { model: { preset: "280M" as const }, batchSize: 2, proxy: { steps: 10 } };
    const output = join(folder, "out");
    const own = await planPipeline(smallPipeline(output, { train: { ...train, reference: { steps: 5 } } }));
    const other = await planPipeline(smallPipeline(output, { train: { ...train, reference: { model: folder } } }));

    const model: ModelConfig = { architecture: "gpt2", vocabularySize: 4096, ...PRESETS["280M"] };
    expect(own.training.model).toEqual(completeModel(model));
    expect(own.training).toMatchObject({ parameters: 88_988_160, bodyParameters: 85_056_000, tokensPerStep: 2048 });
    const step = trainingFlops(model, 2048);
    expect(own.training.reference.flops).toBe(5 * step);
    expect(own.training.proxy.flops).toBe(10 * (step + step / 3));
    expect(other.training.reference).toEqual({ steps: 0, tokens: 0, flops: 0, from: "model" });
    const forward = forwardFlops({ ...outside, sequenceLength: 1024 }, 2048);
    expect(other.training.proxy.flops).toBe(10 * (step + forward));
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

  it("of a run that was stopped in a training: from its checkpoint on; of one at work, the stage that it is at", async () => {
    const output = join(temporaryFolder(), "out");
    // So many steps that it is stopped on the way, however fast they are.
    const pipeline = smallPipeline(output, { train: { ...smallTraining(), reference: { steps: 500 } } });
    const stop = new AbortController();
    const run = runPipeline(pipeline, {
      signal: stop.signal,
      onEvent: (event) => {
        if (event.type === "progress" && event.stage === "reference" && event.done >= 7) stop.abort();
      },
    });
    await expect(run).rejects.toMatchObject({ kind: "interrupted" });
    const { stages, running } = await planPipeline(pipeline);
    expect(running).toBeNull();
    expect(stages.find(({ name }) => name === "reference")).toMatchObject({
      status: "to do",
      why: expect.stringMatching(/^goes on from step \d+ of \d+$/),
    });
    // The same while a run is at it: this process is alive.
    const path = join(output, ".doremi/status.json");
    const status = JSON.parse(readFileSync(path, "utf8")) as RunStatus;
    const reference = status.stages.find(({ stage }) => stage === "reference")!;
    Object.assign(reference, { state: "running" });
    writeFileSync(path, JSON.stringify({ ...status, state: "running" }));
    const beside = await planPipeline(pipeline);
    expect(beside.running).toMatchObject({ pid: process.pid });
    expect(beside.stages.find(({ name }) => name === "reference")).toMatchObject({ status: "running" });
  });

  it("of patterns that match folders only: what to put in their place", async () => {
    const output = join(temporaryFolder(), "out");
    const { data } = smallPipeline(output).config;
    const pipeline = smallPipeline(output, { data: { ...data, files: `${CORPUS}/folders/*` } });
    const { missing } = await planPipeline(pipeline);
    expect(missing.map(({ message }) => message)).toEqual([expect.stringContaining(`${CORPUS}/folders/{domain}/*`)]);
    await expect(runPipeline(pipeline)).rejects.toMatchObject({
      exitStatus: 66,
      message: expect.stringMatching(/what matches are folders.*\{domain\}/),
    });
  });
});
