/** doremi materialize on the small corpus: what it writes is what readManifest reads, whatever happens on the way. */
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { zstdStream } from "../../../src/formats/codecs/zstd.ts";
import { openTokenStore } from "../../../src/formats/token-store.ts";
import { sha256 } from "../../../src/lib/hash.ts";
import { loadManifest } from "../../../src/manifest/load.ts";
import { loadMaterialized } from "../../../src/manifest/materialized.ts";
import { type MaterializeOptions, materialize } from "../../../src/pipeline/materialize.ts";
import { readManifest } from "../../../src/pipeline/read-manifest.ts";
import { runPipeline } from "../../../src/pipeline/run.ts";
import { WorkerPool } from "../../../src/stages/pool.ts";
import { openTokenizer } from "../../../src/tokenizer/open.ts";
import { resolveTokenizer } from "../../../src/tokenizer/resolve.ts";
import { CORPUS, smallPipeline, TOKENIZER } from "../../e2e/small.ts";

/** One for the file: the manifest is made once. */
let folder: string;
let corpus: string;
const pool = new WorkerPool({ workers: 2 });
let manifest: string;
/** Documents as readManifest gives them. */
let expected: { domain: string; epoch: number; file: string; row: number; text: string; ids: number[] }[];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "doremi-materialize-"));
  corpus = join(folder, "corpus");
  cpSync(CORPUS, corpus, { recursive: true });
  const pipeline = smallPipeline(join(folder, "out"), {
    data: { files: join(corpus, "folders/{domain}/part-*"), heldOut: { fraction: 0.1, minDocuments: 1 } },
    resample: { weights: { csource: 0.2, factbook: 0.2, math: 0.6 }, budgetTokens: 60_000, maxEpochs: 4 },
  });
  manifest = (await runPipeline(pipeline, { until: "resample" })).paths.manifest!;
  const tokenizer = await openTokenizer(await resolveTokenizer(TOKENIZER, "."));
  expected = [];
  for await (const { text, ...document } of readManifest(manifest)) {
    expected.push({ ...document, text: Buffer.from(text).toString(), ids: [...tokenizer.encode(text)] });
  }
});
afterAll(async () => {
  await pool.close();
  rmSync(folder, { recursive: true, force: true });
});

let outputs = 0;
function output(): string {
  return join(folder, `set-${outputs++}`);
}

function make(options: Partial<MaterializeOptions> & Pick<MaterializeOptions, "output">) {
  // Threads take long to start from source: they are shared where nothing is interrupted.
  return materialize(manifest, {
    format: "megatron",
    workers: 2,
    ...(!options.signal && !options.workers && { pool }),
    ...options,
  });
}

/** Ids of every document, shard after shard. */
async function storedIds(set: string): Promise<number[][]> {
  const documents: number[][] = [];
  for (const shard of (await loadMaterialized(set)).groups.flatMap((group) => group.shards)) {
    const store = await openTokenStore(join(set, shard.files[0]!.path.replace(/\.bin$/, "")));
    let start = 0;
    for (const length of store.lengths) {
      documents.push([...store.read(start, start + length)]);
      start += length;
    }
    store.close();
  }
  return documents;
}

/** Hash of every file under the folder, by its path there. */
function contents(set: string): Record<string, string> {
  const files = readdirSync(set, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const paths = files.map((entry) => join(entry.parentPath, entry.name)).sort();
  return Object.fromEntries(paths.map((path) => [relative(set, path), sha256(readFileSync(path))]));
}

describe("a materialized set", () => {
  it("holds the manifest's documents in its order, each with a separator, and says so", async () => {
    const set = output();
    const result = await make({ output: set });
    expect(result.status).toBe("done");
    expect(await storedIds(set)).toEqual(expected.map(({ ids }) => [...ids, 0]));
    const { achievedTokens, selection, domains } = await loadManifest(manifest);
    expect(result.set).toMatchObject({
      documents: selection.documents,
      tokens: achievedTokens,
      separators: selection.documents,
      separator: 0,
      idBytes: 2,
      manifest: { path: relative(set, manifest), sha256: sha256(readFileSync(manifest)) },
    });
    expect(domains.some((domain) => domain.epochs > 1)).toBe(true);
    for (const { path, size, sha256: hash } of result.set.groups[0]!.shards[0]!.files) {
      expect(statSync(join(set, path)).size).toBe(size);
      expect(contents(set)[path]).toBe(hash);
    }
    expect(readdirSync(set).sort()).toEqual(["materialized.json", "part-00000.bin", "part-00000.idx"]);
    expect(await make({ output: set })).toEqual({ ...result, status: "unchanged" });
  });

  it("is the same for any number of workers and any memory", async () => {
    const sets = [
      { workers: 1, memoryBytes: 1 << 20, output: output(), shardDocuments: 7 },
      { output: output(), shardDocuments: 7 },
    ] as const;
    for (const options of sets) await make(options);
    expect(contents(sets[0].output)).toEqual(contents(sets[1].output));
    const shards = (await loadMaterialized(sets[0].output)).groups[0]!.shards;
    expect(shards.map((shard) => shard.documents)).toEqual([
      ...new Array(Math.floor(expected.length / 7)).fill(7),
      ...(expected.length % 7 > 0 ? [expected.length % 7] : []),
    ]);
    expect(await storedIds(sets[0].output)).toEqual(expected.map(({ ids }) => [...ids, 0]));
  });

  it("has a folder for each domain, with its documents in the manifest's order", async () => {
    const set = output();
    await make({ output: set, layout: "domain", separator: "none", shardBytes: 20_000 });
    const { groups, separators } = await loadMaterialized(set);
    expect(groups.map((group) => group.folder)).toEqual(["csource", "factbook", "math"]);
    expect(groups.some((group) => group.shards.length > 1)).toBe(true);
    expect(separators).toBe(0);
    const byDomain = groups.flatMap((group) => expected.filter(({ domain }) => domain === group.domain));
    expect(await storedIds(set)).toEqual(byDomain.map(({ ids }) => ids));
    const { domains } = await loadManifest(manifest);
    expect(groups.map((group) => group.tokens)).toEqual(domains.map((domain) => domain.achievedTokens));
  });

  it("holds a document once where the trainer repeats", async () => {
    const set = output();
    await make({ output: set, layout: "domain", repeats: "once" });
    const { groups } = await loadMaterialized(set);
    const once = groups.flatMap(({ domain }) => expected.filter((it) => it.domain === domain && it.epoch === 0));
    expect(once.length).toBeLessThan(expected.length);
    expect(new Set(once.map(({ file, row }) => `${file} ${row}`)).size).toBe(once.length);
    expect(new Set(expected.map(({ file, row }) => `${file} ${row}`)).size).toBe(once.length);
    expect(await storedIds(set)).toEqual(once.map(({ ids }) => [...ids, 0]));
    await expect(make({ output: output(), repeats: "once" })).rejects.toMatchObject({
      code: "bad-materialize-settings",
      message: expect.stringMatching(/domain math is seen more than once.*--layout domain/),
    });
  });
});

describe("texts", () => {
  const lineOf = ({ text, domain, epoch, file, row, ids }: (typeof expected)[number]) =>
    `${JSON.stringify({ text, domain, epoch, source: file, row, tokens: ids.length })}\n`;

  it("are lines of JSON", async () => {
    const set = output();
    await make({ output: set, format: "jsonl", compression: "none", shardBytes: 30_000 });
    const paths = readdirSync(set).filter((name) => name.endsWith(".jsonl"));
    expect(paths.length).toBeGreaterThan(2);
    expect(paths.map((name) => readFileSync(join(set, name), "utf8")).join("")).toBe(expected.map(lineOf).join(""));
  });

  it("are the same lines under zstd", async () => {
    const set = output();
    await make({ output: set, format: "jsonl" });
    let lines = "";
    const decoder = new TextDecoder();
    const stored = readFileSync(join(set, "part-00000.jsonl.zst"));
    for await (const bytes of zstdStream(
      (async function* () {
        yield stored;
      })(),
    )) {
      lines += decoder.decode(bytes, { stream: true });
    }
    expect(lines).toBe(expected.map(lineOf).join(""));
  });
});

describe("an interrupted run", () => {
  const options = { shardDocuments: 9, layout: "domain", format: "jsonl" } as const;

  let whole: string;
  beforeAll(async () => {
    whole = output();
    await make({ ...options, output: whole });
  });

  it("goes on where it was stopped, to the same bytes", async () => {
    const set = output();
    // amid the documents that are read, and amid the shards
    for (const stop of ["progress read", "progress write"]) {
      const abort = new AbortController();
      const onEvent = ({ type, stage }: { type: string; stage: string }) => {
        if (`${type} ${stage}` === stop) abort.abort();
      };
      const run = make({ ...options, output: set, signal: abort.signal, onEvent });
      await expect(run).rejects.toMatchObject({ kind: "interrupted" });
      expect(readdirSync(set)).not.toContain("materialized.json");
    }
    await make({ ...options, output: set });
    expect(contents(set)).toEqual(contents(whole));
  });

  it("makes good what a kill left half done", async () => {
    const set = output();
    const abort = new AbortController();
    // All is read, nothing is written: then part of what was done is damaged as no clean stop leaves it.
    const onEvent = (event: { type: string; stage: string }) => {
      if (event.type === "start" && event.stage === "write") abort.abort();
    };
    await expect(make({ ...options, output: set, signal: abort.signal, onEvent })).rejects.toThrow();
    const state = join(set, ".doremi");
    rmSync(join(state, "read-0.json"));
    truncateSync(join(state, "read-0.spill"), 10);
    writeFileSync(join(set, "math", "part-00000.jsonl.zst.0123456789ab.tmp"), "half");
    writeFileSync(join(state, "write-1.json"), '{"totals":');
    await make({ ...options, output: set });
    expect(contents(set)).toEqual(contents(whole));
  });

  it("is not gone on with by other settings, nor is a set written over", async () => {
    const set = output();
    const abort = new AbortController();
    await make({ ...options, output: set, signal: abort.signal, onEvent: () => abort.abort() }).catch(() => {});
    await expect(make({ ...options, output: set, shardDocuments: 8 })).rejects.toMatchObject({ code: "other-set" });
    await make({ ...options, output: set });
    await expect(make({ ...options, output: set, shardDocuments: 8 })).rejects.toMatchObject({ code: "other-set" });
    const foreign = output();
    mkdirSync(foreign);
    writeFileSync(join(foreign, "thesis.txt"), "irreplaceable");
    await expect(make({ ...options, output: foreign })).rejects.toMatchObject({
      code: "other-set",
      message: expect.stringContaining("thesis.txt"),
    });
    expect(readFileSync(join(foreign, "thesis.txt"), "utf8")).toBe("irreplaceable");
  });

  it("makes a set whole again that lost a shard", async () => {
    const set = output();
    await make({ ...options, output: set });
    const before = contents(set);
    rmSync(join(set, "math", "part-00000.jsonl.zst"));
    expect((await make({ ...options, output: set })).status).toBe("done");
    expect(contents(set)).toEqual(before);
  });
});

describe("documents that a module has transformed, of files whose rows say their domains", () => {
  it("are written as they were counted, and not unasked: the module is code", async () => {
    const out = join(folder, "transformed");
    // Drops the even rows of a batch, hands the others on last first, and shouts.
    const module = join(folder, "shout.mjs");
    writeFileSync(
      module,
      `export default (batch, { arrow }) => {
        const rows = [...batch].map(({ row, text, domain }) => ({ row, text, domain })).filter(({ row }) => row % 2 === 1).reverse();
        const column = (type, name, change = (value) => value) =>
          arrow.vectorFromArray(rows.map((row) => (row[name] === null ? null : change(row[name]))), type);
        return new arrow.Table({
          row: column(new arrow.Uint32(), "row"),
          text: column(new arrow.Utf8(), "text", (text) => text.toUpperCase()),
          domain: column(new arrow.Utf8(), "domain"),
        });
      }`,
    );
    const pipeline = smallPipeline(out, {
      data: { files: join(corpus, "mixed/*"), domainColumn: "meta.pile_set_name", transform: { module } },
      resample: { weights: "uniform", budgetTokens: 30_000, maxEpochs: 8 },
    });
    const path = (await runPipeline(pipeline, { until: "resample" })).paths.manifest!;
    const texts: string[] = [];
    for await (const { text } of readManifest(path, { allowTransform: true })) texts.push(Buffer.from(text).toString());
    expect(texts.length).toBeGreaterThan(20);
    expect(texts.every((text) => text === text.toUpperCase())).toBe(true);
    const set = output();
    const options = { format: "jsonl", compression: "none", pool, output: set } as const;
    await expect(materialize(path, options)).rejects.toMatchObject({ code: "transform-not-allowed" });
    await materialize(path, { ...options, allowTransform: true });
    const lines = readFileSync(join(set, "part-00000.jsonl"), "utf8").trimEnd().split("\n");
    expect(lines.map((line) => (JSON.parse(line) as { text: string }).text)).toEqual(texts);
  });
});

describe("what does not agree with the manifest", () => {
  /** The corpus and the manifest moved to where they can be broken. */
  function moved(): string {
    const place = output();
    cpSync(corpus, join(place, "corpus"), { recursive: true });
    cpSync(dirname(manifest), join(place, "out", "resample"), { recursive: true });
    return join(place, "out", "resample", "manifest.json");
  }
  const options = () => ({ format: "megatron", pool, output: output(), tokenizer: TOKENIZER }) as const;

  it("is a file with other bytes", async () => {
    const path = moved();
    const { root, files } = await loadManifest(path);
    const file = files.find((it) => it.format === "parquet")!;
    const full = join(dirname(path), root, file.path);
    expect(full.startsWith(join(dirname(path), "../.."))).toBe(true);
    const bytes = readFileSync(full);
    bytes[bytes.length >> 1]! ^= 1;
    writeFileSync(full, bytes);
    await expect(materialize(path, options())).rejects.toMatchObject({
      code: expect.stringMatching(/changed-file|corrupt/),
      file: expect.stringContaining(file.path),
    });
  });

  it("is a file of another length, or none", async () => {
    const path = moved();
    const { root, files } = await loadManifest(path);
    const full = join(dirname(path), root, files[0]!.path);
    writeFileSync(full, readFileSync(full).subarray(0, -1));
    await expect(materialize(path, options())).rejects.toMatchObject({
      kind: "bad-data",
      file: expect.stringContaining(files[0]!.path),
    });
    rmSync(full);
    await expect(materialize(path, options())).rejects.toMatchObject({ kind: "missing-input" });
  });

  it("is a selection that was not written with it", async () => {
    const path = moved();
    const selection = join(dirname(path), (await loadManifest(path)).selection.path);
    writeFileSync(selection, readFileSync(selection).subarray(1));
    await expect(materialize(path, options())).rejects.toMatchObject({ code: "changed-selection", file: selection });
  });

  it("is settings that no format or tokenizer can follow", async () => {
    const refused = (wrong: Partial<MaterializeOptions>) =>
      expect(make({ output: output(), ...wrong })).rejects.toMatchObject({
        code: "bad-materialize-settings",
        exitStatus: 2,
      });
    await refused({ separator: 4096 });
    await refused({ format: "jsonl", separator: 3 });
    await refused({ compression: "zstd" });
    await refused({ format: "npy", separator: "none" });
    await refused({ shardBytes: 1000, shardDocuments: 2 });
    await refused({ output: import.meta.filename });
  });
});
