/** Several rounds and seeds on real text: what is trained, what is kept, and that the same comes out however it is run. */
import { createHash } from "node:crypto";
import { cpSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { planPipeline } from "../../src/pipeline/plan.ts";
import { type RunResult, runPipeline } from "../../src/pipeline/run.ts";
import type { TokenizeOutput } from "../../src/stages/tokenize/contract.ts";
import type { ModelConfig } from "../../src/trainer/contract.ts";
import { initializeWeights } from "../../src/trainer/initialization.ts";
import { saveModel } from "../../src/trainer/model-folder.ts";
import { smallPipeline, smallTraining, temporaryFolder } from "./small.ts";

type Train = ReturnType<typeof smallTraining>;

const pipelineOf = (output: string, train: Partial<Train>, cache?: string) =>
  smallPipeline(output, {
    train: { ...smallTraining(), reference: { steps: 8 }, proxy: { steps: 8 }, ...train },
    ...(cache !== undefined && { cache }),
  });

const run = (output: string, train: Partial<Train>) => runPipeline(pipelineOf(output, train), { until: "proxy" });

/** Stages that had something to do. */
const done = ({ stages }: RunResult) => stages.flatMap(({ stage, status }) => (status === "done" ? [stage] : []));

const all = (suffix: string) => ["tokenize", "reference", "proxy"].map((stage) => `${stage}${suffix}`);

/** sha256 of every file that a stage left, by path; marks hold how long the engine waited. */
function fingerprints(folder: string): Record<string, string> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name !== "done.json" && !entry.parentPath.includes(".doremi"))
    .map((file) => join(file.parentPath, file.name))
    .sort();
  const hash = (path: string) => createHash("sha256").update(readFileSync(path)).digest("hex");
  return Object.fromEntries(files.map((path) => [path.slice(folder.length), hash(path)]));
}

const storesOf = (folder: string, stage: string) => {
  const mark = JSON.parse(readFileSync(join(folder, stage, "done.json"), "utf8")) as { output: TokenizeOutput };
  return mark.output.domains;
};

describe("several trainings", () => {
  it("reuse what was trained before, and resume in the middle of a round to the same bytes", async () => {
    const folder = temporaryFolder();
    const output = join(folder, "a");
    const one = await run(output, {});
    expect(one.paths.weights).toBe(join(output, "proxy/weights.json"));

    // A second seed: trained by itself, on other documents, evaluated on the same ones.
    const two = await run(output, { seeds: 2 });
    expect(done(two)).toEqual([...all("-seed-2"), "mixture"]);
    const [first, second] = two.trainings.map(({ proxy }) => proxy!.weights);
    expect(first).toEqual(one.weights);
    expect(second).not.toEqual(first);
    for (const [name, weight] of Object.entries(two.weights!))
      expect(weight).toBeCloseTo((first![name]! + second![name]!) / 2, 15);
    expect(two.paths.weights).toBe(join(output, "mixture/weights.json"));
    expect(JSON.parse(readFileSync(two.paths.weights!, "utf8"))).toEqual(two.weights);
    const [stores, others] = [storesOf(output, "tokenize"), storesOf(output, "tokenize-seed-2")];
    expect(others.map(({ heldOut }) => heldOut)).toEqual(stores.map(({ heldOut }) => heldOut));
    for (const [d, { proxy }] of others.entries()) expect(proxy.fingerprint).not.toBe(stores[d]!.proxy.fingerprint);
    const evaluated = two.trainings.map(({ proxy }) => proxy!.evaluation.tokens);
    expect(evaluated[1]).toEqual(evaluated[0]);

    // Rounds until the weights settle: never, at this tolerance. Stopped in the middle of the second.
    const rounds = { rounds: { tolerance: 1e-9, limit: 2 }, seeds: 2 };
    const whole = join(folder, "b");
    cpSync(output, whole, { recursive: true });
    const stop = new AbortController();
    const stopped = runPipeline(pipelineOf(output, rounds), {
      until: "proxy",
      signal: stop.signal,
      onEvent: (event) => {
        if (event.type === "progress" && event.stage === "proxy-round-2-seed-2" && event.done >= 6) stop.abort();
      },
    });
    await expect(stopped).rejects.toMatchObject({ kind: "interrupted" });
    const planned = await planPipeline(pipelineOf(output, rounds), "proxy");
    expect(planned.stages.flatMap(({ name, status }) => (status === "to do" ? [name] : []))).toEqual([
      "proxy-round-2-seed-2",
      "mixture",
    ]);
    const resumed = await run(output, rounds);
    expect(done(resumed)).toEqual(["proxy-round-2-seed-2", "mixture"]);
    expect(resumed.mixture).toMatchObject({ converged: false, rounds: [{ round: 1 }, { round: 2 }] });
    expect(resumed.mixture!.rounds[0]!.weights).toEqual(two.weights);
    expect(resumed.mixture!.rounds[1]!.referenceWeights).toEqual(two.weights);
    expect(resumed.weights).toEqual(resumed.mixture!.rounds[1]!.weights);
    for (const { round, reference } of resumed.trainings)
      if (round === 2) expect(reference).toMatchObject({ weights: two.weights, weightsFrom: "round 1" });

    await run(whole, rounds);
    expect(fingerprints(output)).toEqual(fingerprints(whole));
    expect((await run(whole, rounds)).status).toBe("unchanged");

    // At a tolerance of anything, the first round is the last, and what the second was is of no consequence.
    const settled = await run(output, { rounds: { tolerance: 1, limit: 4 }, seeds: 2 });
    expect(settled.stages.map(({ stage }) => stage).filter((stage) => stage.includes("round"))).toEqual([]);
    expect(settled.mixture).toMatchObject({ converged: true, rounds: [{ round: 1 }] });
    expect(settled.weights).toEqual(two.weights);

    // And the resampled set is made of what they come to together.
    const resampled = await runPipeline(pipelineOf(output, { seeds: 2 }));
    for (const { name, weight } of resampled.resample!.domains) expect(weight).toBeCloseTo(two.weights![name]!, 12);
  }, 240_000);

  it("need no reference where the objective needs none, and pass weights from round to round all the same", async () => {
    const output = join(temporaryFolder(), "out");
    const proxy = { steps: 8, objective: "group-dro" as const, sampling: "reference" as const };
    const result = await run(output, { rounds: 2, proxy });
    expect(result.stages.map(({ stage }) => stage)).toEqual([
      "discover",
      "count",
      "tokenize",
      "proxy",
      "tokenize-round-2",
      "proxy-round-2",
      "mixture",
    ]);
    expect(result.reference).toBeUndefined();
    expect(result.mixture!.rounds[1]!.referenceWeights).toEqual(result.proxy!.weights);
    expect(result.mixture!.converged).toBeNull();
    const plan = await planPipeline(pipelineOf(output, { rounds: 2, proxy }), "proxy");
    expect(plan.training.reference).toEqual({ steps: 0, tokens: 0, flops: 0, from: "nowhere" });
    expect(plan.stages.every(({ status }) => status === "unchanged")).toBe(true);
  });

  it("share a reference that is given", async () => {
    const folder = temporaryFolder();
    const outside: ModelConfig = {
      architecture: "gpt2",
      vocabularySize: 4096,
      sequenceLength: 64,
      width: 16,
      layers: 1,
      heads: 2,
    };
    await saveModel(join(folder, "model"), initializeWeights(outside, 1));
    const train = { seeds: 2, reference: { model: join(folder, "model") } };
    const result = await run(join(folder, "out"), train);
    expect(done(result)).toEqual(["discover", "count", ...all(""), "tokenize-seed-2", "proxy-seed-2", "mixture"]);
    expect(Object.values(result.mixture!.rounds[0]!.spread!.deviation).some((deviation) => deviation > 0)).toBe(true);
  });
});
