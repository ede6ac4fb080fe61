/** Shards that somebody writes over, cuts or deletes while a run goes on, or after it: never a manifest that is not true. */
import {
  cpSync,
  existsSync,
  linkSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, it } from "vitest";
import type { Pipeline } from "../../src/pipeline/load.ts";
import { materialize } from "../../src/pipeline/materialize.ts";
import { runPipeline } from "../../src/pipeline/run.ts";
import { verify } from "../../src/pipeline/verify.ts";
import { CORPUS, smallPipeline, temporaryFolder } from "./small.ts";

/** A Parquet file that training reads, an Arrow file and compressed lines. */
const SHARDS = ["csource/part-00001.parquet", "factbook/part-00000.arrow", "math/part-00000.jsonl.gz"] as const;

const HARMS = {
  "is cut": (path: string) => truncateSync(path, statSync(path).size >> 1),
  vanishes: (path: string) => rmSync(path),
  // Another shard's content, which is sound.
  "is another": (path: string) => cpSync(join(CORPUS, "folders", OTHERS[path.split(".").at(-1)!]!), path),
} as const;
type Harm = keyof typeof HARMS;
/** What a file of this extension is overwritten with. */
const OTHERS: Record<string, string> = {
  parquet: "csource/part-00000.parquet",
  arrow: "factbook/part-00001.parquet",
  gz: "csource/part-00000.parquet",
};

type Weights = "uniform" | "learned";

interface Place {
  readonly data: string;
  readonly pipeline: Pipeline;
}

/** @param weights uniform: nothing is trained, which takes longest */
function ownCorpus(weights: Weights = "uniform"): Place {
  const folder = temporaryFolder();
  const data = join(folder, "data");
  cpSync(join(CORPUS, "folders"), data, { recursive: true });
  const pipeline = smallPipeline(join(folder, "out"), {
    data: { files: join(data, "{domain}/part-*"), heldOut: { fraction: 0.1, minDocuments: 1 } },
    cache: false,
    resample: { weights, budgetTokens: 20_000, maxEpochs: 4 },
  });
  return { data, pipeline };
}

/** Runs, and does something when a stage begins. @returns the failure, if any */
async function runAnd(pipeline: Pipeline, stage: string, act: () => void): Promise<unknown> {
  return runPipeline(pipeline, {
    onEvent: (event) => {
      if (event.type === "start" && event.stage === stage) act();
    },
  }).then(
    () => undefined,
    (error: unknown) => error,
  );
}

const selectionOf = (output: string) => readFileSync(join(output, "resample/selection.parquet"), "latin1");

const undisturbed = new Map<Weights, string>();
beforeAll(async () => {
  for (const weights of ["uniform", "learned"] as const) {
    const { pipeline } = ownCorpus(weights);
    await runPipeline(pipeline);
    undisturbed.set(weights, selectionOf(pipeline.output));
  }
});

const CASES = (["count", "tokenize", "resample"] as const).flatMap((stage, s) =>
  (Object.keys(HARMS) as Harm[]).map((harm, h) => [harm, stage, SHARDS[(s + h) % SHARDS.length]!] as const),
);

it.each(CASES)("a shard %s when %s has begun: %s", { timeout: 60_000 }, async (harm, stage, shard) => {
  const weights = stage === "tokenize" ? "learned" : "uniform";
  const { data, pipeline } = ownCorpus(weights);
  const path = join(data, shard);
  const error = await runAnd(pipeline, stage, () => HARMS[harm](path));
  expect(error).toMatchObject({ exitStatus: harm === "vanishes" ? 66 : 65, file: path });
  // No stage that read other bytes than were counted is in place, and none is half there.
  expect(existsSync(join(pipeline.output, stage))).toBe(false);
  for (const name of readdirSync(pipeline.output).filter((name) => name !== ".doremi")) {
    expect(existsSync(join(pipeline.output, name, "done.json"))).toBe(true);
  }
  // The file is put right, and the same command ends as if nothing had been.
  cpSync(join(CORPUS, "folders", shard), path);
  const { paths } = await runPipeline(pipeline);
  expect(await verify(paths.manifest!)).toMatchObject({ ok: true });
  expect(selectionOf(pipeline.output)).toBe(undisturbed.get(weights));
});

it("a shard that is written with the bytes that it had, or gets another link, is the same shard", async () => {
  const { data, pipeline } = ownCorpus();
  const path = join(data, SHARDS[0]);
  const error = await runAnd(pipeline, "resample", () => {
    linkSync(path, join(data, "../link"));
    writeFileSync(join(data, SHARDS[1]), readFileSync(join(data, SHARDS[1])));
  });
  expect(error).toBeUndefined();
});

it.each(Object.keys(HARMS) as Harm[])("verify and materialize say that a shard %s since the manifest", async (harm) => {
  const { data, pipeline } = ownCorpus();
  const manifest = (await runPipeline(pipeline)).paths.manifest!;
  const path = join(data, SHARDS[0]);
  HARMS[harm](path);
  const { ok, problems } = await verify(manifest);
  expect(ok).toBe(false);
  expect(problems.some(({ file }) => file === path || file === SHARDS[0])).toBe(true);
  const set = join(data, "../set");
  const error = await materialize(manifest, { output: set, format: "jsonl", workers: 2 }).then(
    () => undefined,
    (failure: unknown) => failure,
  );
  expect(error).toMatchObject({ exitStatus: harm === "vanishes" ? 66 : 65, file: path });
  expect(existsSync(join(set, "materialized.json"))).toBe(false);
});
