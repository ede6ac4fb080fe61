/** The whole program on real text: counts that others made, a verified manifest, nothing done twice. */
import { createHash } from "node:crypto";
import { appendFileSync, cpSync, readdirSync, readFileSync, renameSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as arrow from "apache-arrow";
import { describe, expect, it } from "vitest";
import { type NamedArray, openSafetensors, writeSafetensors } from "../../src/formats/safetensors.ts";
import type { Pipeline } from "../../src/pipeline/load.ts";
import { readManifest } from "../../src/pipeline/read-manifest.ts";
import { type RunResult, runPipeline } from "../../src/pipeline/run.ts";
import { verify } from "../../src/pipeline/verify.ts";
import { openTokenizer } from "../../src/tokenizer/open.ts";
import { resolveTokenizer } from "../../src/tokenizer/resolve.ts";
import type { ModelConfig } from "../../src/trainer/contract.ts";
import { initializeWeights } from "../../src/trainer/initialization.ts";
import { saveModel } from "../../src/trainer/model-folder.ts";
import { CORPUS, smallPipeline, smallTraining, TOKENIZER, temporaryFolder } from "./small.ts";

interface ExpectedCounts {
  domains: Record<string, { documents: number; bytes: number; tokens: Record<string, number> }>;
}

const expectedCounts = (name: string) => JSON.parse(readFileSync(join(CORPUS, name), "utf8")) as ExpectedCounts;

const countsOf = (result: RunResult) =>
  Object.fromEntries(
    result.count!.domains.map(({ name, documents, bytes, tokens }) => [name, { documents, bytes, tokens }]),
  );

const statuses = (result: RunResult) => Object.fromEntries(result.stages.map(({ stage, status }) => [stage, status]));

/** sha256 of every file under a folder, by path; the view of a run's progress tells the time, and is no result. */
function fingerprints(folder: string): Record<string, string> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter(
    (entry) => entry.isFile() && entry.name !== "status.json",
  );
  return Object.fromEntries(
    files
      .map((file) => join(file.parentPath, file.name))
      .sort()
      .map((path) => [path.slice(folder.length), createHash("sha256").update(readFileSync(path)).digest("hex")]),
  );
}

describe("a pipeline over folders", () => {
  it("trains models of the ids that occur alone, where it is asked to", async () => {
    const output = join(temporaryFolder(), "out");
    const train = { ...smallTraining(), vocabulary: "occurring" as const };
    const pipeline = smallPipeline(output, { train, tokenizer: "r50k", count: {} });
    const result = await runPipeline(pipeline);
    const { ids, tokenizer } = JSON.parse(readFileSync(join(output, "tokenize/vocabulary.json"), "utf8"));
    expect(tokenizer.vocabularySize).toBe(50_257);
    expect(ids.length).toBeLessThan(15_000);
    expect(ids).toEqual([...new Set<number>(ids)].sort((a, b) => a - b));
    expect(ids.at(-1)).toBe(50_256); // end of text
    for (const stage of ["reference", "proxy"]) {
      expect(readFileSync(join(output, stage, "model/vocabulary.json"), "utf8")).toBe(
        readFileSync(join(output, "tokenize/vocabulary.json"), "utf8"),
      );
      const config = JSON.parse(readFileSync(join(output, stage, "model/config.json"), "utf8"));
      expect(config).toMatchObject({ vocab_size: ids.length, eos_token_id: ids.length - 1 });
      const model = await openSafetensors(join(output, stage, "model/model.safetensors"));
      expect(model.tensors.get("transformer.wte.weight")!.shape).toEqual([ids.length, 16]);
      await model.close();
    }
    // Untrained, a model of so many ids has this loss; of all of the tokenizer's it would have ln 50257 = 10.8.
    for (const loss of result.reference!.evaluation.loss) expect(loss).toBeLessThan(Math.log(ids.length) + 0.3);
    expect((await runPipeline(pipeline)).status).toBe("unchanged");
  });

  it("counts exactly, learns weights, writes a manifest that verifies, and then has nothing to do", async () => {
    const output = join(temporaryFolder(), "out");
    const result = await runPipeline(smallPipeline(output));
    expect(countsOf(result)).toEqual(expectedCounts("folders.counts.json").domains);

    const weights = Object.values(result.proxy!.weights);
    expect(weights.reduce((sum, weight) => sum + weight, 0)).toBeCloseTo(1, 9);
    expect(Math.min(...weights)).toBeGreaterThan(0);
    expect(JSON.parse(readFileSync(result.paths.weights!, "utf8"))).toEqual(result.proxy!.weights);
    for (const evaluation of [result.reference!.evaluation, result.proxy!.evaluation]) {
      for (const loss of evaluation.loss) expect(loss).toBeGreaterThan(1);
      // An untrained model of 4,096 ids has a loss of ln 4096 = 8.3.
      for (const loss of evaluation.loss) expect(loss).toBeLessThan(8.6);
    }

    const manifest = JSON.parse(readFileSync(result.paths.manifest!, "utf8"));
    expect(manifest.budgetTokens).toBe(60_000);
    expect(manifest.weightsFrom).toBe("doremi");
    for (const domain of manifest.domains) expect(domain.weight).toBeCloseTo(result.proxy!.weights[domain.name]!, 12);
    expect(await verify(result.paths.manifest!)).toMatchObject({
      ok: true,
      problems: [],
      omitted: 0,
      notes: [],
      checked: { notChecked: [] },
    });

    const again = await runPipeline(smallPipeline(output));
    expect(again.status).toBe("unchanged");
    expect(new Set(Object.values(statuses(again)))).toEqual(new Set(["unchanged"]));
    expect(again.proxy).toEqual(result.proxy);
  });

  it("redoes only what a changed setting, a touched or a changed shard calls for", async () => {
    const folder = temporaryFolder();
    const output = join(folder, "out");
    cpSync(join(CORPUS, "folders"), join(folder, "data"), { recursive: true });
    const data = { files: join(folder, "data/{domain}/part-*"), heldOut: { fraction: 0.1, minDocuments: 1 } };
    const run = (overrides: Parameters<typeof smallPipeline>[1] = {}) =>
      runPipeline(smallPipeline(output, { data, ...overrides }));
    await run();

    const all = {
      discover: "unchanged",
      count: "unchanged",
      tokenize: "unchanged",
      reference: "unchanged",
      proxy: "unchanged",
      resample: "unchanged",
    };
    expect(statuses(await run({ train: smallTraining({ eta: 0.5 }) }))).toEqual({
      ...all,
      proxy: "done",
      resample: "done",
    });
    expect(statuses(await run({ train: smallTraining({ eta: 0.5 }), resample: { budgetTokens: 50_000 } }))).toEqual({
      ...all,
      resample: "done",
    });
    expect(
      statuses(
        await run({
          resample: { budgetTokens: 50_000 },
          train: { ...smallTraining({ eta: 0.5 }), checkpointEvery: 3, threads: 2 },
        }),
      ),
    ).toEqual(all);

    // The same content under a new time is counted again at most; nothing follows from it.
    const shard = join(folder, "data/math/part-00000.jsonl.gz");
    utimesSync(shard, new Date(), new Date(Date.now() + 5000));
    const same = { train: smallTraining({ eta: 0.5 }), resample: { budgetTokens: 50_000 } };
    expect(statuses(await run(same))).toEqual({ ...all, discover: "done", count: "done" });

    cpSync(join(CORPUS, "folders/math/part-00000.jsonl.gz"), join(folder, "data/math/part-00001.jsonl.gz"));
    const more = await run(same);
    expect(statuses(more)).toMatchObject({ discover: "done", count: "done", tokenize: "done", resample: "done" });
    expect(more.count!.domains.find((domain) => domain.name === "math")!.documents).toBe(
      2 * expectedCounts("folders.counts.json").domains.math!.documents,
    );
  });

  it("gives the same bytes with 1, 2 and 4 workers", async () => {
    const folder = temporaryFolder();
    const runs = [];
    for (const workers of [1, 2, 4]) {
      // The same name of the output folder's parent would be the same path: keep the depth, so that roots agree.
      const output = join(folder, `w${workers}`);
      await runPipeline(smallPipeline(output, { workers, cache: false })); // each counts by itself
      runs.push(fingerprints(join(output)));
    }
    const withoutDiscover = (run: Record<string, string>) =>
      Object.fromEntries(Object.entries(run).filter(([path]) => !path.includes("done.json")));
    expect(withoutDiscover(runs[1]!)).toEqual(withoutDiscover(runs[0]!));
    expect(withoutDiscover(runs[2]!)).toEqual(withoutDiscover(runs[0]!));
    expect(Object.keys(runs[0]!)).toContain("/resample/selection.parquet");
  });

  it("goes on after an interruption to the same bytes", async () => {
    const folder = temporaryFolder();
    const whole = join(folder, "whole");
    await runPipeline(smallPipeline(whole));
    const stopped = join(folder, "again");
    for (const [stage, at] of [
      ["reference", 7],
      ["proxy", 3],
      ["proxy", 8],
      ["proxy", 12], // the last step: the evaluation after it is interrupted
    ] as const) {
      const stop = new AbortController();
      const run = runPipeline(smallPipeline(stopped), {
        signal: stop.signal,
        onEvent: (event) => {
          if (event.type === "progress" && event.stage === stage && event.done >= at) stop.abort();
        },
      });
      await expect(run).rejects.toMatchObject({ kind: "interrupted" });
    }
    await runPipeline(smallPipeline(stopped));
    const withoutMarks = (run: Record<string, string>) =>
      Object.fromEntries(Object.entries(run).filter(([path]) => !path.endsWith("done.json")));
    expect(withoutMarks(fingerprints(stopped))).toEqual(withoutMarks(fingerprints(whole)));
    expect(Object.keys(fingerprints(stopped)).filter((path) => path.endsWith(".tmp"))).toEqual([]);
  });

  it("records a trajectory whose average is the result", async () => {
    const output = join(temporaryFolder(), "out");
    const result = await runPipeline(smallPipeline(output));
    const table = arrow.tableFromIPC(readFileSync(join(output, "proxy", "trajectory.arrow")));
    const names = JSON.parse(table.schema.metadata.get("doremi.domains")!) as string[];
    expect(table.numRows).toBe(12);
    const last = Array.from(table.getChild("average")!.get(11) as Iterable<number>);
    // Normalising takes away what float32 left: at most 1e-7 of a weight.
    for (const [i, name] of names.entries()) expect(result.proxy!.weights[name]).toBeCloseTo(last[i]!, 6);
    const alphas = Array.from({ length: 12 }, (_, step) =>
      Array.from(table.getChild("alpha")!.get(step) as Iterable<number>),
    );
    for (const [i, average] of last.entries()) {
      expect(average).toBeCloseTo(alphas.reduce((sum, alpha) => sum + alpha[i]!, 0) / 12, 12);
    }
  });
});

describe("a pipeline over one data set whose domain is a nested column", () => {
  const mixed = (output: string, more: Record<string, unknown> = {}): Pipeline =>
    smallPipeline(output, {
      data: {
        files: join(CORPUS, "mixed/part-*"),
        domainColumn: "meta.pile_set_name",
        heldOut: { fraction: 0.1, minDocuments: 1 },
        ...more,
      },
      resample: { budgetTokens: 30_000 },
    });

  it("counts exactly and writes a manifest that verifies", async () => {
    const output = join(temporaryFolder(), "out");
    const result = await runPipeline(mixed(output));
    expect(countsOf(result)).toEqual(expectedCounts("mixed.counts.json").domains);
    expect(await verify(result.paths.manifest!)).toMatchObject({ ok: true });
  });

  it("takes the listed domains in their order, and refuses or drops the others", async () => {
    const output = join(temporaryFolder(), "out");
    const listed = { domains: ["宋词", "Gutenberg (PD)"] };
    await expect(runPipeline(mixed(output, listed), { until: "count" })).rejects.toMatchObject({
      code: "unlisted-domain",
      message: expect.stringContaining("PEPs & RFCs"),
    });
    const result = await runPipeline(mixed(output, { ...listed, onUnlistedDomain: "drop" }));
    expect(result.count!.domains.map((domain) => domain.name)).toEqual(["宋词", "Gutenberg (PD)"]);
    expect(await verify(result.paths.manifest!)).toMatchObject({ ok: true });
  });
});

describe("reading a manifest", () => {
  it("gives the selected documents, which hold the tokens that it says", async () => {
    const output = join(temporaryFolder(), "out");
    const result = await runPipeline(smallPipeline(output));
    const tokenizer = await openTokenizer(await resolveTokenizer(TOKENIZER, "/"));
    const found: Record<string, { documents: number; tokens: number }> = {};
    for await (const document of readManifest(result.paths.manifest!)) {
      found[document.domain] ??= { documents: 0, tokens: 0 };
      const domain = found[document.domain]!;
      domain.documents++;
      domain.tokens += tokenizer.encode(document.text).length;
    }
    const expected = result.resample!.domains.map(({ name, selectedDocuments, achievedTokens }) => [
      name,
      { documents: selectedDocuments, tokens: achievedTokens },
    ]);
    expect(found).toEqual(Object.fromEntries(expected));
  });

  it("is refused a changed shard by verify, which names it", async () => {
    const folder = temporaryFolder();
    cpSync(join(CORPUS, "folders"), join(folder, "data"), { recursive: true });
    const data = { files: join(folder, "data/{domain}/part-*") };
    const result = await runPipeline(smallPipeline(join(folder, "out"), { data }));
    const shard = join(folder, "data/math/part-00000.jsonl.gz");
    const intact = readFileSync(shard);
    appendFileSync(shard, readFileSync(join(CORPUS, "folders/math/part-00000.jsonl.gz")));
    const verdict = await verify(result.paths.manifest!);
    expect(verdict.ok).toBe(false);
    expect(verdict.problems.map((problem) => problem.file)).toContain("math/part-00000.jsonl.gz");
    writeFileSync(shard, intact);
    expect(await verify(result.paths.manifest!)).toMatchObject({ ok: true });
  });

  it("leaves out folders of domains that are not listed, and says so", async () => {
    const notes: string[] = [];
    const data = { files: join(CORPUS, "folders/{domain}/part-*"), domains: ["math", "factbook"] };
    const { count } = await runPipeline(smallPipeline(join(temporaryFolder(), "out"), { data }), {
      until: "count",
      onEvent: (event) => void (event.type === "note" && notes.push(event.message)),
    });
    expect(count!.domains.map((domain) => domain.name)).toEqual(["math", "factbook"]);
    expect(notes.join()).toMatch(/2 files are of domains that data.domains does not list: csource/);
  });

  it.each([
    ["by {domain} in data.files", { files: join(CORPUS, "folders/{domain}/part-*") }],
    [
      "by a table",
      {
        domains: {
          code: join(CORPUS, "folders/csource/*"),
          factbook: join(CORPUS, "folders/factbook/*"),
          math: join(CORPUS, "folders/math/*"),
        },
      },
    ],
  ])("holds out a file whose domain is known %s", async (_how, data) => {
    const heldOut = { files: join(CORPUS, "folders/csource/part-00001.parquet") };
    const { count } = await runPipeline(smallPipeline(join(temporaryFolder(), "out"), { data: { ...data, heldOut } }), {
      until: "count",
    });
    const expected = expectedCounts("folders.counts.json").domains.csource!.documents;
    const [first, ...others] = count!.domains;
    expect(first!.heldOut.documents).toBeGreaterThan(0);
    expect(first!.documents + first!.heldOut.documents).toBe(expected);
    for (const domain of others) expect(domain.heldOut.documents).toBe(0);
  });

  it("takes a reference from outside, and refuses one of another shape", async () => {
    const folder = temporaryFolder();
    const first = await runPipeline(smallPipeline(join(folder, "first")), { until: "reference" });
    const training = { ...smallTraining(), reference: { model: join(folder, "first", "reference", "model") } };
    const second = await runPipeline(smallPipeline(join(folder, "second"), { train: training }));
    expect(second.reference).toMatchObject({ steps: 0, model: { sha256: first.reference!.model.sha256 } });
    expect(second.reference!.evaluation).toEqual(first.reference!.evaluation);
    expect(await verify(second.paths.manifest!)).toMatchObject({ ok: true });

    // The same weights with one head instead of two are another model, so what hangs on it is done again.
    const config = join(folder, "first", "reference", "model", "config.json");
    writeFileSync(config, readFileSync(config, "utf8").replace('"n_head": 2', '"n_head": 1'));
    const changed = await runPipeline(smallPipeline(join(folder, "second"), { train: training }));
    expect(statuses(changed)).toMatchObject({ tokenize: "unchanged", reference: "done", proxy: "done" });

    const wider = { ...training, model: { layers: 1, width: 32, heads: 2, sequenceLength: 32 } };
    const other = { ...wider, tokenizer: "r50k" };
    await expect(runPipeline(smallPipeline(join(folder, "third"), { train: other }))).rejects.toMatchObject({
      kind: expect.stringMatching(/bad-/),
    });
  });

  it("takes a reference of another architecture and size, in shards", async () => {
    const folder = temporaryFolder();
    const model = join(folder, "model");
    const config: ModelConfig = {
      architecture: "llama",
      vocabularySize: 4096 + 64, // padded
      sequenceLength: 48,
      width: 24,
      layers: 2,
      heads: 4,
      keyValueHeads: 2,
      tied: false,
    };
    await saveModel(model, initializeWeights(config, 1));
    renameSync(join(model, "model.safetensors"), join(model, "all.safetensors"));
    const files = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"] as const;
    const fileOf: Record<string, string> = {};
    {
      await using all = await openSafetensors(join(model, "all.safetensors"));
      for (const [i, file] of files.entries()) {
        const names = [...all.tensors.keys()].filter((_, at) => at % 2 === i);
        const part: Record<string, NamedArray> = {};
        for (const name of names) {
          part[name] = { shape: all.tensors.get(name)!.shape, data: await all.readFloat32(name) };
          fileOf[name] = file;
        }
        await writeSafetensors(join(model, file), part);
      }
    }
    writeFileSync(join(model, "model.safetensors.index.json"), JSON.stringify({ weight_map: fileOf }));

    const output = join(folder, "out");
    const train = { ...smallTraining(), reference: { model } };
    const result = await runPipeline(smallPipeline(output, { train }), { until: "proxy" });
    expect(readdirSync(join(output, "reference", "model")).sort()).toEqual([
      "config.json",
      ...files,
      "model.safetensors.index.json",
    ]);
    // Random weights of deviation 0.02: hardly better than any token being as likely as another.
    for (const loss of result.reference!.evaluation.loss) expect(loss).toBeCloseTo(Math.log(4160), 1);
    expect(Object.keys(result.proxy!.weights)).toEqual(["csource", "factbook", "math"]);
  });

  it("needs no training when the weights are given", async () => {
    const output = join(temporaryFolder(), "out");
    const resample = { weights: { csource: 0.5, factbook: 0.25, math: 0.25 }, budgetTokens: 40_000 };
    const result = await runPipeline(smallPipeline(output, { resample }));
    expect(result.stages.map(({ stage }) => stage)).toEqual(["discover", "count", "resample"]);
    expect(result.resample!.domains.map((domain) => domain.targetTokens)).toEqual([20_000, 10_000, 10_000]);
  });
});
