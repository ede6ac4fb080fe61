/** An evaluation on real text, by its command and its function: what is trained, what is kept, and that it can be stopped. */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { inspectPath } from "../../src/cli/inspect/recognise.ts";
import { planEvaluation } from "../../src/pipeline/evaluation/plan.ts";
import { type EvaluationResult, runEvaluation } from "../../src/pipeline/evaluation/run.ts";
import { runPipeline } from "../../src/pipeline/run.ts";
import { CORPUS, smallPipeline, smallTraining, TOKENIZER, temporaryFolder } from "./small.ts";

const pipelineOf = (output: string, evaluate: object = {}, heldOut?: "none") =>
  smallPipeline(output, {
    train: { ...smallTraining(), reference: { steps: 6 }, proxy: { steps: 6 } },
    evaluate: { seeds: 2, steps: 8, evaluateEvery: 4, evaluationSequences: 8, ...evaluate },
    ...(heldOut && { data: { files: join(CORPUS, "folders/{domain}/part-*"), heldOut } }),
  });

/** Stages that had something to do. */
const done = ({ stages }: Pick<EvaluationResult, "stages">) =>
  stages.flatMap(({ stage, status }) => (status === "done" ? [stage] : []));

/** sha256 of every file of a stage but its mark, which holds how long the engine waited. */
function filesOf(folder: string): Record<string, string> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter(
    (entry) => entry.isFile() && entry.name !== "done.json",
  );
  return Object.fromEntries(
    files.map(({ parentPath, name }) => [
      join(parentPath, name).slice(folder.length),
      createHash("sha256")
        .update(readFileSync(join(parentPath, name)))
        .digest("hex"),
    ]),
  );
}

describe("an evaluation", () => {
  it("trains each mixture and seed once, compares them in pairs, and keeps what is done", async () => {
    const output = join(temporaryFolder(), "out");
    const pipeline = pipelineOf(output);
    const plan = await planEvaluation(pipeline);
    expect(plan).toMatchObject({ mixtures: ["natural", "learned", "uniform"], seeds: 2, trainings: 6 });
    expect(plan.training).toMatchObject({ steps: 8, tokens: 8 * 4 * 32 });
    expect(existsSync(output)).toBe(false);

    const first = await runEvaluation(pipeline);
    const mains = ["natural", "learned", "uniform"].flatMap((name) => [`main-${name}-seed-1`, `main-${name}-seed-2`]);
    expect(done(first)).toEqual([
      "discover",
      "count",
      "tokenize",
      "reference",
      "proxy",
      "tokenize-main",
      ...mains,
      "evaluate",
    ]);
    const { evaluation, paths } = first;
    expect(JSON.parse(readFileSync(paths.evaluation, "utf8"))).toEqual(evaluation);
    const { kind, lines } = await inspectPath(paths.evaluation);
    expect(kind).toBe("evaluation of mixtures");
    expect(lines.slice(-2)).toEqual(evaluation.comparisons.map(({ conclusion }) => conclusion));
    expect(evaluation.comparisons.map(({ candidate }) => candidate)).toEqual(["learned", "uniform"]);
    expect(evaluation.mixtures.map(({ curve }) => curve.steps)).toEqual([
      [4, 8],
      [4, 8],
      [4, 8],
    ]);
    // Natural weights read of every domain the same part, in tokens of the corpus.
    const { tokens } = first.count.domains.reduce(
      (sum, domain) => ({ tokens: sum.tokens + domain.tokens["tokenizer-4096"]! }),
      { tokens: 0 },
    );
    for (const { epochs } of evaluation.mixtures[0]!.domains) expect(epochs).toBeCloseTo((8 * 4 * 32) / tokens, 9);
    for (const { domains, curve } of evaluation.mixtures) {
      expect(domains.reduce((sum, { weight }) => sum + weight, 0)).toBeCloseTo(1, 9);
      // Models that have hardly begun know little more than the uniform guess over their vocabulary.
      for (const { loss } of domains) expect(Math.abs(loss!.mean - Math.log(4096))).toBeLessThan(1.5);
      expect(curve.loss.at(-1)!.every((loss) => loss !== null && Number.isFinite(loss))).toBe(true);
    }

    // All of it is there, and says the same.
    const second = await runEvaluation(pipeline);
    expect(second.status).toBe("unchanged");
    expect(second.evaluation).toEqual(evaluation);
    expect((await planEvaluation(pipeline)).stages.map(({ status }) => status)).toEqual(Array(8).fill("unchanged"));

    // A run finds what the evaluation has counted and learned.
    expect(done(await runPipeline(pipeline))).toEqual(["resample"]);

    // Another seed and another candidate of the baseline's weights train the seed alone.
    const more = await runEvaluation(
      pipelineOf(output, { seeds: 3, candidates: ["learned", "uniform", { name: "same", weights: "natural" }] }),
    );
    expect(done(more)).toEqual(["main-natural-seed-3", "main-learned-seed-3", "main-uniform-seed-3", "evaluate"]);
    const same = more.evaluation.comparisons[2]!;
    expect(same).toMatchObject({ candidate: "same", wins: 0, losses: 0, average: { difference: { mean: 0 } } });
    expect(more.evaluation.mixtures[3]).toMatchObject({ name: "same", sameAs: "natural" });
    // Two seeds of three: the losses of each are the ones that were there before.
    expect(more.evaluation.seeds.slice(0, 2)).toEqual(evaluation.seeds);
  }, 120_000);

  it("of weights that are given needs no proxy", async () => {
    const output = join(temporaryFolder(), "out");
    const result = await runEvaluation(pipelineOf(output, { seeds: 1, steps: 4, candidates: ["uniform"] }));
    expect(done(result)).not.toContain("proxy");
    expect(result.evaluation.warnings[0]).toMatch(/^one seed/);
  }, 60_000);

  it("is refused before anything is trained where nothing is held out, or weights name a domain that is not there", async () => {
    const output = join(temporaryFolder(), "out");
    await expect(runEvaluation(pipelineOf(output, { candidates: ["uniform"] }, "none"))).rejects.toThrow(
      "evaluate: needs held-out documents to compare models on, and no domain has any; set data.heldOut",
    );
    expect(readdirSync(output).filter((name) => name.startsWith("main"))).toEqual([]);
    const misspelt = join(temporaryFolder(), "misspelt");
    await expect(
      runEvaluation(pipelineOf(misspelt, { candidates: ["learned", { name: "mine", weights: { bookz: 1 } }] })),
    ).rejects.toThrow(/evaluate\.candidates\[1\]: names the domain “bookz”/);
    expect(readdirSync(misspelt)).not.toContain("reference");
  }, 60_000);
});

describe("doremi evaluate", () => {
  it("leaves when it is told to, goes on from there to the same bytes, and prints one line", async () => {
    const folder = temporaryFolder();
    const evaluate = { seeds: 1, steps: 60, candidates: ["uniform"] };
    const whole = pipelineOf(join(folder, "whole"), evaluate);
    await runEvaluation(whole);

    const file = join(folder, "small.yaml");
    writeFileSync(
      file,
      JSON.stringify({
        ...inputOf(),
        output: "stopped",
        evaluate: { ...evaluate, evaluateEvery: 4, evaluationSequences: 8 },
      }),
    );
    const stopped = await command(file, "main-uniform-seed-1");
    expect(stopped.status).toBe(143);
    expect(JSON.parse(stopped.stdout)).toMatchObject({ command: "evaluate", error: { code: "interrupted" } });

    const { status, stdout } = await command(file);
    expect(status).toBe(0);
    const line = JSON.parse(stdout);
    expect(line).toMatchObject({ command: "evaluate", status: "done", baseline: "natural" });
    expect(Object.keys(line.candidates)).toEqual(["uniform"]);
    for (const stage of ["main-natural-seed-1", "main-uniform-seed-1", "evaluate"])
      expect(filesOf(join(folder, "stopped", stage)), stage).toEqual(filesOf(join(folder, "whole", stage)));
  }, 120_000);
});

/** The pipeline file of `pipelineOf`, as a user writes it. */
function inputOf() {
  return {
    version: 1,
    name: "small",
    seed: 1,
    workers: 2,
    tokenizer: TOKENIZER,
    data: { files: join(CORPUS, "folders/{domain}/part-*"), heldOut: { fraction: 0.1, minDocuments: 1 } },
    count: { tokenizers: ["r50k"] },
    train: { ...smallTraining(), reference: { steps: 6 }, proxy: { steps: 6 } },
  };
}

const MAIN = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));

/** Runs the command. @param stopAt SIGTERM when this stage has trained some steps */
async function command(file: string, stopAt?: string): Promise<{ status: number; stdout: string }> {
  const child = spawn(process.execPath, ["--import", "tsx", MAIN, "evaluate", file, "--log-format", "json"]);
  let stdout = "";
  child.stdout.on("data", (chunk) => {
    stdout += chunk;
  });
  child.stderr.on("data", (chunk: Buffer) => {
    for (const line of String(chunk).split("\n"))
      if (stopAt !== undefined && line.includes('"progress"') && line.includes(`"${stopAt}"`)) child.kill("SIGTERM");
  });
  const [status] = (await once(child, "close")) as [number];
  return { status, stdout };
}
