/** Every kind of file that the program writes, written here by its own writers, and users' shards from test/files. */
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { inspectManifest } from "../../src/cli/inspect/manifest.ts";
import { inspectPath } from "../../src/cli/inspect/recognise.ts";
import { writeSafetensors } from "../../src/formats/safetensors.ts";
import { TokenStoreWriter } from "../../src/formats/token-store.ts";
import type { Manifest, ManifestDomain } from "../../src/manifest/contract.ts";
import { writeSelection } from "../../src/manifest/selection-file.ts";
import { DOREMI_PRESETS } from "../../src/mixture/objective-settings.ts";
import { writeCountsFile } from "../../src/stages/count/counts-file.ts";
import { combine } from "../../src/stages/mixture/run.ts";
import { TrajectoryLog } from "../../src/stages/trajectory.ts";
import { CheckpointFiles } from "../../src/trainer/checkpoint-files.ts";
import { readGolden } from "../mixture/golden.ts";
import { type GoldenInputs, recordedProxy, recordsOf, writeRun } from "../stages/recorded.ts";

const CORPUS = join(import.meta.dirname, "..", "files", "corpus");

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "doremi-inspect-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

const at = (name: string) => join(folder, name);
const write = (name: string, value: unknown, space?: number) =>
  writeFileSync(at(name), `${JSON.stringify(value, null, space)}\n`);

describe("files of ours, whatever their name", () => {
  it("weights", async () => {
    write("w.anything", { books: 0.75, 宋词: 0.25 }, 2);
    expect(await inspectPath(at("w.anything"))).toEqual({
      kind: "domain weights",
      facts: { weights: { books: 0.75, 宋词: 0.25 }, sum: 1 },
      lines: [
        "domain    weight",
        "──────  ────────",
        "books   0.750000",
        "宋词    0.250000",
        "──────  ────────",
        "sum            1",
      ],
    });
  });

  it("weights as DoReMi publishes them", async () => {
    write("published.json", { train_domain_weights: { a: 0.5, b: 0.5001 } });
    expect(await inspectPath(at("published.json"))).toMatchObject({
      kind: "domain weights",
      facts: { weights: { a: 0.5, b: 0.5001 } },
    });
  });

  it("a manifest, with what decided each target and not what it equals by chance", () => {
    const boundOf = (budgetTokens: number, domains: readonly Partial<ManifestDomain>[]) => {
      const manifest = {
        ...{
          ...{ name: "p", generator: "g", weightsFrom: "given", seed: 1, rng: "r", root: "." },
          budgetTokens,
          unit: { kind: "tokens" },
          tokenizer: { name: "t", vocabularySize: 9 },
          heldOut: { kind: "none" },
        },
        ...{
          files: [],
          notes: [],
          selection: { path: "s", documents: 1, rows: 1 },
          achievedTokens: 1,
          granularity: "document",
          order: "mixed",
          shuffle: "document",
        },
        domains: domains.map((domain, i) => ({ name: `d${i}`, minShare: 0, maxEpochs: null, ...domain })),
      } as unknown as Manifest;
      const numbers = {
        documents: 1,
        weight: 0.5,
        achievedWeight: 0.5,
        achievedTokens: 1,
        selectedDocuments: 1,
        epochs: 1,
      };
      const whole = { ...manifest, domains: manifest.domains.map((domain) => ({ ...numbers, ...domain })) };
      const { lines } = inspectManifest(whole);
      return lines.filter((line) => /^d\d/.test(line)).map((line) => /(epochs|least share)?$/.exec(line.trim())![0]);
    };
    const half = { tokenWeight: 0.5, tokens: 100 };
    // The cap and the least share are where the weights put the targets.
    const chance = [
      { ...half, targetTokens: 100, maxEpochs: 1 },
      { ...half, targetTokens: 100, minShare: 0.5 },
    ];
    expect(boundOf(200, chance)).toEqual(["", ""]);
    expect(
      boundOf(400, [
        { ...half, targetTokens: 100, maxEpochs: 1 },
        { ...half, targetTokens: 300 },
      ]),
    ).toEqual(["epochs", ""]);
    const raised = [
      { ...half, targetTokens: 120, minShare: 0.6 },
      { ...half, targetTokens: 80 },
    ];
    expect(boundOf(200, raised)).toEqual(["least share", ""]);
    // not what any allocation gives: nothing is said
    expect(boundOf(-1, chance)).toEqual(["", ""]);
  });

  it("row counts", async () => {
    const unit = {
      rows: 4,
      domain: Int32Array.of(0, -1, 1, -2),
      bytes: Uint32Array.of(10, 0, 7, 5),
      tokens: [Uint32Array.of(4, 0, 2, 1)],
    };
    await writeCountsFile(at("c"), [unit, unit], ["a", "b"], ["r50k"]);
    expect(await inspectPath(at("c"))).toMatchObject({
      kind: "token counts of shards' rows",
      facts: {
        rows: 8,
        units: [4, 4],
        notDocuments: 2,
        withoutDomain: 2,
        domains: {
          a: { documents: 2, bytes: 20, tokens: { r50k: 8 } },
          b: { documents: 2, bytes: 14, tokens: { r50k: 4 } },
        },
      },
    });
  });

  it("trajectories", async () => {
    const proxy = recordedProxy({ k: 2, seq_len: 64, vocab_size: 100 });
    const vector = Float64Array.of(0.25, 0.75);
    const sums = { tokens: vector, loss: vector, excess: vector, clipped: vector };
    const log = new TrajectoryLog(at("t.log"), ["a", "b"], proxy);
    for (let step = 1; step <= 30; step++) {
      log.add({
        step,
        loss: 8 - step / 10,
        learningRate: 1e-3,
        gradientNorm: 1,
        tokens: 64,
        durationMs: 1,
        waitMs: 0,
        proxy: { sequences: { ...sums, domains: new Int32Array(2) }, domains: sums, alpha: vector, average: vector },
      });
    }
    await log.write(at("t"));
    log.drop();
    const { kind, facts, lines } = await inspectPath(at("t"));
    expect(kind).toBe("trajectory of a proxy's training");
    expect(facts).toMatchObject({
      steps: 30,
      domains: ["a", "b"],
      firstLoss: 7.9,
      lastLoss: 5,
      weights: { a: 0.25, b: 0.75 },
    });
    expect(lines.filter((line) => /^ +\d+ {2}\d/.test(line))).toHaveLength(10);
  });

  it("traces", async () => {
    const inputs = readGolden<GoldenInputs>("doremi/inputs_k3_missing.json");
    const proxy = recordedProxy(inputs, { ...DOREMI_PRESETS.official, eta: 0.5 });
    renameSync(await writeRun(folder, proxy, recordsOf(inputs, proxy)), at("tr"));
    const { kind, facts, lines } = await inspectPath(at("tr"));
    expect(kind).toBe("trace of a proxy's training");
    expect(facts).toMatchObject({ steps: 50, sequences: 4, objective: proxy.objective, reference: true });
    expect(lines.slice(0, 4)).toEqual([
      "steps             50",
      "sequences a step  4",
      "objective         doremi, preset=official, eta=0.5",
      "losses            of the proxy, and over the reference",
    ]);
    expect(lines.at(-3)).toBe("domain-3       3,000    33.33%     0.3333    0.3333");
  });

  it("token stores, and a hint at one from its .bin", async () => {
    const store = await TokenStoreWriter.create(at("store"), { vocabularySize: 100 });
    await store.write(Uint32Array.of(1, 2, 3));
    await store.write(Uint32Array.of(4));
    await store.commit();
    expect(await inspectPath(at("store.idx"))).toMatchObject({
      facts: { documents: 2, tokens: 4, tokensPerDocument: { least: 1, median: 1, most: 3 }, firstIds: [1, 2, 3, 4] },
    });
    await expect(inspectPath(at("store.bin"))).rejects.toThrow(/inspect .*store\.idx/);
  });

  it("selections", async () => {
    const row = { file: "a/x", rowGroup: 0, rowStart: 0, rowEnd: 5, domain: "a", epoch: 0, tokens: 50 };
    await writeSelection(at("s"), [row, { ...row, epoch: 1, rowEnd: 2, tokens: 20 }]);
    expect(await inspectPath(at("s"))).toMatchObject({
      kind: "selection of a resampled set",
      facts: { runs: 2, files: 1, domains: [{ name: "a", runs: 2, documents: 7, tokens: 70, epochs: 2 }] },
    });
  });

  it("models, by their folder, their configuration or their tensors", async () => {
    mkdirSync(at("model"));
    await writeSafetensors(at("model/model.safetensors"), { wte: { shape: [2, 3], data: new Float32Array(6) } });
    write("model/config.json", { model_type: "gpt2", n_layer: 2 }, 2);
    for (const name of ["model", "model/config.json"]) {
      expect(await inspectPath(at(name))).toMatchObject({
        kind: "model (gpt2)",
        facts: { parameters: 6, config: { n_layer: 2 } },
      });
    }
    renameSync(at("model/model.safetensors"), at("tensors"));
    expect(await inspectPath(at("tensors"))).toMatchObject({
      kind: "safetensors file",
      facts: { parameters: 6, tensors: [{ name: "wte", dtype: "F32", shape: [2, 3] }] },
    });
    expect((await inspectPath(at("model"))).lines[0]).toMatch(/model.safetensors is missing/);
  });

  it("models in shards, and which shard is missing", async () => {
    mkdirSync(at("sharded"));
    write("sharded/config.json", { model_type: "llama", num_key_value_heads: 2, tie_word_embeddings: false }, 2);
    const tensor = { shape: [2, 3], data: new Float32Array(6) };
    await writeSafetensors(at("sharded/model-1.safetensors"), { a: tensor });
    await writeSafetensors(at("sharded/model-2.safetensors"), { b: tensor });
    const index = { weight_map: { a: "model-1.safetensors", b: "model-2.safetensors" } };
    write("sharded/model.safetensors.index.json", index, 2);
    const { facts, lines } = await inspectPath(at("sharded"));
    expect(facts).toMatchObject({ parameters: 12, tensors: [{ name: "a" }, { name: "b" }] });
    expect(lines.join("\n")).toMatch(/files +2 shards[\s\S]*key and value heads +2[\s\S]*tied embeddings +false/);
    rmSync(at("sharded/model-2.safetensors"));
    expect((await inspectPath(at("sharded"))).lines[0]).toMatch(/model-2.safetensors is missing/);
  });

  it("checkpoints, by their folder", async () => {
    mkdirSync(at("checkpoints"));
    const tensors = { alpha: { shape: [2], data: Float32Array.of(0.5, 0.5) } };
    const store = new CheckpointFiles({ folder: at("checkpoints"), keep: 2 }, { steps: 10 });
    await store.save({ step: 5, tensors, state: { average: [0.5, 0.5] } });
    await store.idle();
    const facts = { step: 5, state: { average: [0.5, 0.5] }, configuration: { steps: 10 } };
    for (const name of ["checkpoints", "checkpoints/step-5.json"])
      expect(await inspectPath(at(name))).toMatchObject({ kind: "training checkpoint", facts });
  });

  it("stages and runs", async () => {
    mkdirSync(at("run/.doremi"), { recursive: true });
    for (const stage of ["proxy", "proxy-round-2", "mixture", "count", "mine"]) mkdirSync(at(`run/${stage}`));
    write("run/.doremi/run.json", { doremi: 1, pipeline: "mine" });
    for (const stage of ["mine", "proxy", "proxy-round-2", "mixture", "count"]) {
      write(`run/${stage}/done.json`, { stage, key: "abc", output: {}, files: [{ path: "f", size: 7, sha256: "00" }] });
    }
    expect(await inspectPath(at("run/count"))).toMatchObject({
      kind: "done-mark of the stage count",
      facts: { key: "abc" },
    });
    const run = await inspectPath(at("run"));
    expect(run).toMatchObject({
      kind: "output folder of a run",
      facts: { pipeline: "mine", stages: [{ stage: "count", files: 1, bytes: 7 }, { stage: "proxy" }, {}, {}, {}] },
    });
    const { stages } = run.facts as { stages: { stage: string }[] };
    expect(stages.map(({ stage }) => stage)).toEqual(["count", "proxy", "proxy-round-2", "mixture", "mine"]);
  });

  it("rounds and seeds", async () => {
    const seed = (stage: string, weight: number) => ({ stage, seed: 1, weights: [weight, 1 - weight] });
    const rounds = combine({
      domains: ["books", "code"],
      reference: [0.5, 0.5],
      tolerance: null,
      rounds: [[seed("proxy", 0.25), seed("proxy-seed-2", 0.75)]],
    });
    write("rounds.json", rounds);
    const { kind, facts, lines } = await inspectPath(at("rounds.json"));
    expect(kind).toBe("domain weights of several trainings");
    expect(facts).toEqual(rounds);
    expect(lines.slice(0, 4)).toEqual([
      "        reference of  round 1  round 1          round 1",
      "domain       round 1   seed 1   seed 2             mean",
      "──────  ────────────  ───────  ───────  ───────────────",
      "books         0.5000   0.2500   0.7500  0.5000 ± 0.3536",
    ]);
    expect(lines.at(-1)).toMatch(/^note: the weights are the mean of 2 seeds/);
  });
});

describe("users' shards", () => {
  it.each([
    ["folders/csource/part-00000.parquet", "Parquet shard"],
    ["folders/factbook/part-00000.arrow", "Arrow"],
    ["folders/math/part-00000.jsonl.gz", "JSON Lines shard"],
    ["mixed/part-00001.jsonl.zst", "JSON Lines shard"],
  ])("%s", async (name, kind) => {
    const found = await inspectPath(join(CORPUS, name));
    expect(found.kind).toContain(kind);
    const { columns } = found.facts as { columns: { path: string }[] };
    expect(columns.map((column) => column.path)).toEqual(expect.arrayContaining([expect.stringMatching(/text/)]));
  });

  it("takes a JSON Lines file of one row, and of rows that look like weights, for what it is", async () => {
    write("one.jsonl", { text: "a", n: 1 });
    writeFileSync(at("numbers.jsonl"), '{"a": 1}\n{"a": NaN}\n');
    for (const name of ["one.jsonl", "numbers.jsonl"])
      expect((await inspectPath(at(name))).kind).toBe("JSON Lines shard");
  });
});

describe("what is none of these", () => {
  it("a JSON document, text, a folder, nothing", async () => {
    write("other.json", { hello: ["world"], nested: {} }, 2);
    await expect(inspectPath(at("other.json"))).rejects.toMatchObject({ code: "unknown-json" });
    writeFileSync(at("pipeline.yaml"), "version: 1\nname: x\n");
    await expect(inspectPath(at("pipeline.yaml"))).rejects.toThrow(/doremi plan/);
    mkdirSync(at("empty"));
    await expect(inspectPath(at("empty"))).rejects.toMatchObject({ code: "unknown-folder" });
    await expect(inspectPath(at("nowhere"))).rejects.toMatchObject({ kind: "missing-input", code: "missing-file" });
  });
});
