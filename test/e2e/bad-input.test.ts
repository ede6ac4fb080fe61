/** Each kind of bad input ends in an error that says who, the rule, what was found and what to do. */
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parquetWriteBuffer } from "hyparquet-writer";
import { describe, expect, it } from "vitest";
import type { DoremiError } from "../../src/lib/errors.ts";
import { planPipeline } from "../../src/pipeline/plan.ts";
import { runPipeline } from "../../src/pipeline/run.ts";
import { CORPUS, FILES, smallPipeline, smallTraining, temporaryFolder } from "./small.ts";

type Overrides = Parameters<typeof smallPipeline>[1];

async function failure(overrides: Overrides, output = join(temporaryFolder(), "out")): Promise<DoremiError> {
  try {
    await runPipeline(smallPipeline(output, overrides));
  } catch (error) {
    return error as DoremiError;
  }
  throw new Error("the run succeeded");
}

const files = (pattern: string) => ({ files: join(CORPUS, pattern) });

/** A copy of the small corpus that a test may damage. */
function ownCorpus(): string {
  const folder = temporaryFolder();
  cpSync(join(CORPUS, "folders"), folder, { recursive: true });
  return folder;
}

function writeParquet(path: string, columns: { name: string; data: unknown[]; type: "STRING" | "INT32" }[]): void {
  mkdirSync(join(path, ".."), { recursive: true });
  writeFileSync(path, new Uint8Array(parquetWriteBuffer({ columnData: columns as never })));
}

describe("bad input", () => {
  it("a file that is not there", async () => {
    const error = await failure({ data: { domains: { books: join(CORPUS, "folders/books/part-00000.parquet") } } });
    expect(error).toMatchObject({ code: "no-match", exitStatus: 66 });
    expect(error.message).toMatch(/domain “books”: no file matches .*books\/part-00000.parquet/);
  });

  it("a tokenizer that is not there, with the names that there are", async () => {
    expect(await failure({ tokenizer: "r50" })).toMatchObject({
      exitStatus: expect.toSatisfy((status) => [66, 78].includes(status)),
      message: expect.stringContaining("r50k"),
    });
  });

  it("a glob without a match", async () => {
    expect(await failure({ data: files("folders/{domain}/*.csv") })).toMatchObject({
      code: "no-match",
      exitStatus: 66,
    });
  });

  it("a text column that is missing, with the columns that there are", async () => {
    const error = await failure({
      data: { domains: { csource: join(CORPUS, "folders/csource/part-*") }, textColumn: "txt" },
    });
    expect(error).toMatchObject({
      code: "missing-column",
      exitStatus: 65,
      file: expect.stringContaining("part-00000.parquet"),
    });
    expect(error.message).toMatch(/text/);
  });

  it("a text column of another type", async () => {
    const folder = temporaryFolder();
    writeParquet(join(folder, "a/part.parquet"), [{ name: "text", data: [1, 2, 3], type: "INT32" }]);
    const error = await failure({ data: { files: join(folder, "{domain}/*.parquet") } });
    expect(error).toMatchObject({ code: "wrong-column-type", exitStatus: 65, file: join(folder, "a/part.parquet") });
  });

  it("a shard that is cut", async () => {
    const folder = ownCorpus();
    const path = join(folder, "csource/part-00001.parquet");
    truncateSync(path, readFileSync(path).length - 5);
    expect(await failure({ data: { files: join(folder, "{domain}/*") } })).toMatchObject({
      code: "truncated",
      exitStatus: 65,
      file: path,
      message: expect.stringContaining("pass it over with data.onBadShard: skip"),
    });
  });

  it("a shard that is damaged inside names its row group; onBadShard: skip leaves it out and says so in the manifest", async () => {
    const folder = ownCorpus();
    const path = join(folder, "csource/part-00001.parquet");
    const bytes = readFileSync(path);
    bytes.fill(0xa5, 40, 4000);
    writeFileSync(path, bytes);
    const data = { files: join(folder, "{domain}/*") };
    expect(await failure({ data })).toMatchObject({ exitStatus: 65, file: path, rowGroup: 0 });
    const result = await runPipeline(
      smallPipeline(join(temporaryFolder(), "out"), {
        data: { ...data, onBadShard: "skip", maxSkipped: 1 },
        resample: { budgetTokens: 40_000 },
      }),
    );
    expect(result.count!.skipped).toMatchObject([{ path: "csource/part-00001.parquet" }]);
    const manifest = JSON.parse(readFileSync(result.paths.manifest!, "utf8"));
    expect(manifest.notes.join("\n")).toContain("left out csource/part-00001.parquet");
    expect(manifest.files.map((file: { path: string }) => file.path)).not.toContain("csource/part-00001.parquet");
  });

  it("a line of JSONL that is broken, by its number", async () => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, "a"));
    const path = join(folder, "a/part.jsonl");
    writeFileSync(path, '{"text":"one"}\n{"text":"two"}\n{"text":\n');
    expect(await failure({ data: { files: join(folder, "{domain}/*") } })).toMatchObject({
      code: "bad-json",
      exitStatus: 65,
      file: path,
      line: 3,
    });
  });

  it("a domain without documents", async () => {
    const folder = ownCorpus();
    writeParquet(join(folder, "empty/part.parquet"), [{ name: "text", data: [null, null], type: "STRING" }]);
    const error = await failure({ data: { files: join(folder, "{domain}/*") } });
    expect(error).toMatchObject({ code: "empty-domain", exitStatus: 65 });
    expect(error.message).toContain("“empty”");
  });

  it("a domain that is listed and has no file, with the nearest name", async () => {
    const error = await failure({ data: { ...files("folders/{domain}/part-*"), domains: ["csource", "factbok"] } });
    expect(error).toMatchObject({ code: "empty-domain", exitStatus: 66 });
    expect(error.message).toContain("did you mean “factbook”?");
  });

  it("a domain smaller than one sequence", async () => {
    const folder = ownCorpus();
    writeParquet(join(folder, "tiny/part.parquet"), [{ name: "text", data: ["Three short words."], type: "STRING" }]);
    const error = await failure({ data: { files: join(folder, "{domain}/*") } });
    expect(error).toMatchObject({ code: "domain-too-small", exitStatus: 65 });
    expect(error.message).toMatch(/“tiny”.*sequenceLength: 32/);
  });

  it("a budget that the epoch caps do not allow, with the largest that they do", async () => {
    const error = await failure({ resample: { weights: "uniform", budgetTokens: 10 ** 9, maxEpochs: 2 } });
    expect(error).toMatchObject({ code: "budget-exceeds-caps", exitStatus: 78 });
    const largest = Number(/largest possible budget is (\d+)/.exec(error.message)![1]);
    await runPipeline(
      smallPipeline(join(temporaryFolder(), "out"), {
        resample: { weights: "uniform", budgetTokens: largest, maxEpochs: 2 },
      }),
    );
  });

  it("a weight above its epoch cap, where it is not to be redistributed", async () => {
    const resample = { weights: "uniform" as const, budgetTokens: 100_000, maxEpochs: { math: 0.5 } };
    const error = await failure({ resample: { ...resample, onCap: "fail" } });
    expect(error).toMatchObject({ exitStatus: 78, message: expect.stringContaining("math") });
    const result = await runPipeline(smallPipeline(join(temporaryFolder(), "out"), { resample }));
    expect(result.resample!.notes.join()).toMatch(/“math”: capped at 0.5 epochs/);
  });

  it("a budget above what all epoch caps allow, before models are trained for it", async () => {
    const output = join(temporaryFolder(), "out");
    const counted = await runPipeline(smallPipeline(output), { until: "count" });
    const all = counted.count!.domains.reduce((sum, { tokens }) => sum + 2 * tokens["tokenizer-4096"]!, 0);
    // Held-out documents are no part of what can be selected, so all that there is is too much already.
    const resample = { budgetTokens: all, maxEpochs: 2 };
    const error = await failure({ resample }, output);
    expect(error).toMatchObject({ code: "budget-exceeds-caps", kind: "bad-configuration", exitStatus: 78 });
    expect(readdirSync(output).sort()).toEqual([".doremi", "count", "discover"]);
    expect(readdirSync(join(output, ".doremi", "work"))).toEqual([]);
    await expect(planPipeline(smallPipeline(output, { resample }))).rejects.toMatchObject({ code: error.code });
    // The models can be had without a set to resample.
    await runPipeline(smallPipeline(output, { resample }), { until: "tokenize" });

    const largest = Number(/largest possible budget is (\d+)/.exec(error.message)![1]);
    expect(largest).toBeLessThan(all);
    const fits = { budgetTokens: largest, maxEpochs: 2 };
    expect((await runPipeline(smallPipeline(output, { resample: fits }))).resample!.budgetTokens).toBe(largest);
    expect(await failure({ resample: { ...fits, budgetTokens: largest + 1 } }, output)).toMatchObject({
      code: "budget-exceeds-caps",
    });
  });

  it.each<[string, Overrides, string]>([
    ["epoch caps", { resample: { maxEpochs: { csource: 2, factbok: 2 } } }, "resample.maxEpochs"],
    ["weights to resample by", { resample: { weights: { csource: 1, factbok: 1, math: 1 } } }, "resample.weights"],
    [
      "weights of the reference",
      { train: { ...smallTraining(), reference: { weights: { csource: 1, factbok: 1, math: 1 } } } },
      "train.reference.weights",
    ],
  ])("%s for a domain that there is not, before anything is counted", async (_what, overrides, setting) => {
    const byPath = { output: join(temporaryFolder(), "out"), data: {} };
    const listed = { ...files("folders/{domain}/part-*"), domains: ["csource", "factbook", "math"] };
    for (const change of [byPath, { output: join(temporaryFolder(), "out"), data: { data: listed } }]) {
      const all = { ...overrides, ...change.data };
      const error = await failure(all, change.output);
      expect(error).toMatchObject({ code: "unknown-domain", kind: "bad-configuration", exitStatus: 78 });
      expect(error.message).toContain(setting);
      expect(error.file).toBeUndefined(); // a setting is no file
      expect(error.message).toContain("“factbok”");
      expect(error.message).toContain("did you mean “factbook”?");
      expect(existsSync(join(change.output, "count"))).toBe(false);
      await expect(planPipeline(smallPipeline(change.output, all))).rejects.toMatchObject({ message: error.message });
    }
  });

  it("adjustments for more domains than there are, before anything is counted", async () => {
    const output = join(temporaryFolder(), "out");
    const objective = { name: "group-dro" as const, adjustments: [1, null, 2, 3] };
    const overrides: Overrides = { train: { ...smallTraining(), proxy: { objective } } };
    const error = await failure(overrides, output);
    expect(error).toMatchObject({ code: "bad-setting", kind: "bad-configuration", exitStatus: 78 });
    expect(error.message).toBe(
      "train.proxy.objective.adjustments: must have a number or null for each of the 3 domains " +
        "(csource, factbook, math), found 4",
    );
    expect(existsSync(join(output, "count"))).toBe(false);
    await expect(planPipeline(smallPipeline(output, overrides))).rejects.toMatchObject({ message: error.message });
  });

  it("epoch caps for a domain that no row is of, before anything is trained", async () => {
    const output = join(temporaryFolder(), "out");
    const data = { ...files("mixed/part-*"), domainColumn: "meta.pile_set_name" };
    const error = await failure({ data, resample: { maxEpochs: { nowhere: 1 } } }, output);
    expect(error).toMatchObject({ code: "unknown-domain", exitStatus: 78 });
    expect(readdirSync(output).sort()).toEqual([".doremi", "count", "discover"]);
  });

  it("a reference from outside that is none, before anything is counted", async () => {
    const folder = temporaryFolder();
    cpSync(join(FILES, "trainer/gpt2"), folder, { recursive: true });
    const output = join(temporaryFolder(), "out");
    const error = await failure({ train: { ...smallTraining(), reference: { model: folder } } }, output);
    expect(error).toMatchObject({ code: "model-folder", exitStatus: 65, file: join(folder, "config.json") });
    expect(error.message).toMatch(/vocab_size must be 4096, as that of the tokens is .* found 61/);
    expect(existsSync(output)).toBe(false);
  });

  it("a weights file that is no JSON, before anything is read", async () => {
    const path = join(temporaryFolder(), "weights.json");
    writeFileSync(path, "{");
    const output = join(temporaryFolder(), "out");
    expect(await failure({ resample: { weights: path } }, output)).toMatchObject({ code: "bad-json", file: path });
    expect(existsSync(output)).toBe(false);
  });

  it("an output folder of another pipeline, which stays as it is", async () => {
    const output = join(temporaryFolder(), "out");
    await runPipeline(smallPipeline(output), { until: "count" });
    const before = readdirSync(output, { recursive: true }).sort();
    expect(await failure({ name: "other" }, output)).toMatchObject({ code: "other-pipeline", exitStatus: 78 });
    expect(readdirSync(output, { recursive: true }).sort()).toEqual(before);
  });

  it("an output that is a file", async () => {
    const path = join(temporaryFolder(), "out");
    writeFileSync(path, "mine");
    expect(await failure({}, path)).toMatchObject({ exitStatus: 78 });
    expect(readFileSync(path, "utf8")).toBe("mine");
  });

  it("nothing that says the domain", async () => {
    expect(await failure({ data: files("folders/csource/part-*") })).toMatchObject({
      code: "no-domain",
      exitStatus: 78,
    });
  });

  it("a held-out file of no domain", async () => {
    const heldOut = { files: join(CORPUS, "mixed/part-00000.parquet") };
    const error = await failure({ data: { ...files("folders/{domain}/part-*"), heldOut } });
    expect(error).toMatchObject({
      code: "no-domain",
      exitStatus: 78,
      message: expect.stringContaining("data.heldOut.files"),
    });
  });

  it("a learning rate that makes the loss infinite, by its step", async () => {
    const training = { ...smallTraining(), optimizer: { learningRate: 1e30, warmup: 0, clipNorm: 0 } };
    const error = await failure({ train: training });
    expect(error).toMatchObject({ code: "diverged", exitStatus: 78 });
    expect(error.message).toMatch(/step \d+/);
  });
});
