/** Whole drafts of folders that are written here, each read again by the real loader and discovered by the real stage. */
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { parquetWriteBuffer } from "hyparquet-writer";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseDocument } from "yaml";
import { type Ask, draftPipeline, type Question } from "../../../src/pipeline/init/draft.ts";
import { definePipeline, loadPipeline } from "../../../src/pipeline/load.ts";
import { planPipeline } from "../../../src/pipeline/plan.ts";
import { settingText } from "../../../src/pipeline/setting-text.ts";

const CORPUS = join(import.meta.dirname, "..", "..", "files", "corpus");
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "doremi-init-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

let made = 0;
/** A folder of JSON Lines files. */
function corpus(files: Record<string, readonly object[]>): string {
  const root = join(folder, `corpus [${made++}]`); // with characters that globs would take as their own
  for (const [name, rows] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
  }
  return root;
}

const text = (row: number) => `${"A document of some words. ".repeat(8)}${row}`;
const rows = (count: number, more: (row: number) => object = () => ({})) =>
  Array.from({ length: count }, (_, row) => ({ id: `doc-${row}`, text: text(row), ...more(row) }));

const draft = (source: string, options: object = {}, ask: Ask = null) =>
  draftPipeline({ source, path: join(folder, "p.yaml"), machine: { cores: 2 }, takeLikeliest: false, ...options }, ask);

/** What the run would find: shards by domain, of the file as it is written. */
async function found(written: string) {
  const path = join(folder, `p${made++}.yaml`);
  writeFileSync(path, written);
  const plan = await planPipeline(await loadPipeline(path));
  expect(plan.missing).toEqual([]);
  return plan;
}

describe("guesses", () => {
  it("a folder for each domain, in every format, beside what is no shard", async () => {
    const root = join(folder, "mixed formats");
    cpSync(join(CORPUS, "folders"), join(root, "data"), { recursive: true });
    writeFileSync(join(root, "README.md"), "# A corpus\n");
    writeFileSync(join(root, "dataset_info.json"), JSON.stringify({ rows: 3 }, null, 2));
    const result = await draft(root);
    expect(result).toMatchObject({
      domains: ["csource", "factbook", "math"],
      shards: 5,
      formats: ["arrow-file", "jsonl (gzip)", "parquet"],
      textColumn: "text",
      domainColumn: null,
    });
    expect(result.notes).toHaveLength(2);
    await found(result.text);
  });

  it("a column, by name and values, with documents that name none and a split that is held out", async () => {
    const set = (row: number) => ({ meta: { pile_set_name: ["web", "code", null][row % 3] } });
    const root = corpus({ "data/train-0.jsonl": rows(60, set), "data/validation-0.jsonl": rows(12, set) });
    const result = await draft(root);
    expect(result).toMatchObject({ domains: ["code", "web", "other"], domainColumn: "meta.pile_set_name" });
    expect(result).toMatchObject({ shards: 1, heldOutShards: 1, allDomains: false });
    expect(parseDocument(result.text).toJS().data).toMatchObject({ onUnlistedDomain: { domain: "other" } });
    await found(result.text);
  });

  it("a pattern, as it was given", async () => {
    const root = corpus({ "x-a/1.jsonl": rows(9), "x-b/1.jsonl": rows(9), "y/1.jsonl": rows(9) });
    const result = await draft(`${root.replace(/[[\]]/g, "\\$&")}/x-{domain}/*`);
    expect(result.domains).toEqual(["a", "b"]);
    await found(result.text);
  });

  it("one file of several, with its domains in a column", async () => {
    const root = corpus({ "b.jsonl": rows(3), "all.jsonl": rows(40, (row) => ({ source: row % 2 ? "a" : "b" })) });
    const result = await draft(join(root, "all.jsonl"));
    expect(result).toMatchObject({ domains: ["a", "b"], domainColumn: "source", shards: 1 });
    await found(result.text);
  });

  it("names columns that may be the text as well", async () => {
    const both = (row: number) => ({ content: text(row).toUpperCase() });
    const { textColumn, notes } = await draft(corpus({ "a/1.jsonl": rows(9, both), "b/1.jsonl": rows(9, both) }));
    expect(textColumn).toBe("text");
    expect(notes).toEqual([expect.stringMatching(/the text is taken from text; content may be it.*--text-column/)]);
  });

  it("thousands of files are listed, and few of them opened", async () => {
    const files = Object.fromEntries(Array.from({ length: 2400 }, (_, i) => [`d${i % 3}x/f${i}.jsonl`, rows(1)]));
    const root = corpus(files);
    // Not the first, the middle or the last of its kind: nothing would be left of the draft if it were opened.
    writeFileSync(join(root, "d1x", "f1000.jsonl"), "not JSON\n");
    expect(await draft(root)).toMatchObject({ shards: 2400, domains: ["d0x", "d1x", "d2x"] });
  });
});

describe("asks, or takes what it was told", () => {
  const two = (row: number) => ({
    text: undefined,
    question: text(row),
    answer: text(row + 1),
    shelf: "abcd"[row % 4],
  });

  it("which column is the text, and which the domain", async () => {
    const root = corpus({ "all.jsonl": rows(80, two) });
    const asked: Question[] = [];
    const answers = ["answer", "shelf", "cl100k"];
    const result = await draft(root, {}, async (question) => {
      asked.push(question);
      return answers[asked.length - 1]!;
    });
    expect(result).toMatchObject({ textColumn: "answer", domainColumn: "shelf", tokenizer: "cl100k" });
    expect(asked.map(({ choices }) => choices?.map(({ value }) => value))).toEqual([
      expect.arrayContaining(["question", "answer"]),
      ["shelf"],
      undefined,
    ]);
    await found(result.text);
  });

  it("nobody is there to be asked: refused with the candidates, or the likeliest where that is wanted", async () => {
    const root = corpus({ "all.jsonl": rows(80, two) });
    await expect(draft(root)).rejects.toMatchObject({ code: "ambiguous-text-column", exitStatus: 2 });
    await expect(draft(root, { textColumn: "answer" })).rejects.toMatchObject({
      code: "no-domain",
      message: expect.stringContaining("shelf (a, b, c, d)"),
    });
    expect(await draft(root, { takeLikeliest: true })).toMatchObject({ domainColumn: "shelf" });
  });

  it("by flags, which are checked", async () => {
    const root = corpus({ "all.jsonl": rows(80, two) });
    const flags = { textColumn: "question", domainColumn: "shelf", budgetTokens: 5_000_000 };
    const result = await draft(root, flags);
    expect(parseDocument(result.text).toJS().resample.budgetTokens).toBe(5_000_000);
    await expect(draft(root, { textColumn: "questoin" })).rejects.toMatchObject({
      code: "missing-column",
      message: expect.stringContaining("question"),
    });
    await expect(draft(root, { ...flags, tokenizer: "r51k" })).rejects.toMatchObject({ code: "unknown-tokenizer" });
  });
});

describe("refuses", () => {
  it.each([
    [
      "shards without text, with their columns",
      { "a/1.jsonl": [{ id: 1, n: 2 }], "b/1.jsonl": [{ id: 2, n: 3 }] },
      "no-text-column",
      /id, n/,
    ],
    ["files that are no shards", { "a.csv": [{}] }, "no-shard", /JSON/],
  ])("%s", async (_, files, code, message) => {
    const root = corpus(files as Record<string, object[]>);
    if (code === "no-shard") writeFileSync(join(root, "a.csv"), "a,b\n1,2\n");
    await expect(draft(root)).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
  });

  it("an empty folder, one that is missing, and a pattern without a file", async () => {
    mkdirSync(join(folder, "empty"));
    await expect(draft(join(folder, "empty"))).rejects.toMatchObject({ code: "empty-folder", exitStatus: 66 });
    await expect(draft(join(folder, "gone"))).rejects.toThrow(/gone/);
    await expect(draft(join(folder, "{domain}/*.nothing"))).rejects.toMatchObject({ code: "no-match" });
  });
});

it("comments of the written file are the schema's own words", async () => {
  const { text: written } = await draft(join(CORPUS, "folders"));
  const comments = written.replace(/\n *# /g, " ");
  for (const path of ["tokenizer", "data.files", "data.heldOut", "train.vocabulary", "resample.maxEpochs"])
    expect(comments).toContain(settingText(path));
});

describe("a shard that is sorted by domain", () => {
  const sorted = (count: number) =>
    Array.from({ length: count }, (_, row) => ({ text: text(row), source: row < count / 2 ? "man" : "py" }));

  it.each([300, 30_000])("names them all, of %i rows of JSON lines", async (count) => {
    const root = corpus({ "all.jsonl": sorted(count) });
    expect(await draft(root)).toMatchObject({ domains: ["man", "py"], domainColumn: "source" });
  });

  it("and of one row group", async () => {
    const root = join(folder, "one group");
    mkdirSync(root);
    const table = sorted(4000);
    const columnData = (["text", "source"] as const).map((name) => ({ name, data: table.map((row) => row[name]) }));
    writeFileSync(join(root, "all.parquet"), new Uint8Array(parquetWriteBuffer({ columnData, rowGroupSize: 4000 })));
    expect(await draft(root)).toMatchObject({ domains: ["man", "py"], domainColumn: "source" });
  });

  it("takes a column of known name although one value alone was seen", async () => {
    const result = await draft(corpus({ "all.jsonl": rows(300, () => ({ domain: "web" })) }));
    expect(result).toMatchObject({ domains: ["web"], domainColumn: "domain", allDomains: false });
    expect(result.domainsFrom).toContain("web throughout");
  });
});

describe("a pipeline file in its corpus", () => {
  it.each(["", "deep/er/"])("names domains from its own folder, with shards in {domain}/%s", async (below) => {
    const root = corpus({ [`a/${below}1.jsonl`]: rows(40), [`b/${below}1.jsonl`]: rows(40) });
    const { text: written } = await draft(root, { path: join(root, "p.yaml") });
    expect(parseDocument(written).toJS().data.files).toMatch(/^\{domain\}\//);
    const path = join(root, "p.yaml");
    writeFileSync(path, written);
    expect((await planPipeline(await loadPipeline(path))).files.found).toBe(2);
  });

  it("has no shards in what doremi wrote there, unless that is named", async () => {
    const root = corpus({
      "a/1.jsonl": rows(40),
      "b/1.jsonl": rows(40),
      "runs/x/count/1.jsonl": rows(9),
      "set/a/1.jsonl": rows(9),
      "set/b/1.jsonl": rows(9),
    });
    mkdirSync(join(root, "runs/x/.doremi"));
    writeFileSync(join(root, "runs/x/.doremi/run.json"), "{}");
    writeFileSync(join(root, "set/materialized.json"), "{}");
    const { domains, notes, text: written } = await draft(root);
    expect(domains).toEqual(["a", "b"]);
    expect(notes).toEqual(["passed over what doremi wrote: runs/x, set"]);
    await found(written);
    expect(await draft(join(root, "set"))).toMatchObject({ domains: ["a", "b"], shards: 2 });
    const escaped = root.replace(/[[\]]/g, "\\$&");
    const settings = { version: 1, name: "p", output: "runs/p", tokenizer: "r50k" } as const;
    const planned = (files: string) =>
      planPipeline(definePipeline({ ...settings, data: { files } }, { output: folder }));
    expect((await planned(join(escaped, "{domain}/**/*.jsonl"))).files.found).toBe(2);
    expect((await planned(join(escaped, "set/{domain}/*"))).files.found).toBe(2);
    expect((await planned(join(escaped, "*/{domain}/*"))).missing).toMatchObject([
      { message: expect.stringMatching(/no file matches .* lies in .*set, which doremi wrote: spell its path/) },
    ]);
  });
});

it("the size is in tokens of the tokenizer, each format by itself", async () => {
  const counts = JSON.parse(readFileSync(join(CORPUS, "folders.counts.json"), "utf8")) as {
    domains: Record<string, { documents: number; tokens: Record<string, number> }>;
  };
  const total = (name: string) => Object.values(counts.domains).reduce((sum, { tokens }) => sum + tokens[name]!, 0);
  const tokenizer = join(import.meta.dirname, "../../../pipelines/quickstart/tokenizer-4096.json");
  for (const [name, given] of Object.entries({ r50k: "r50k", "tokenizer-4096": tokenizer })) {
    const { estimate } = await draft(join(CORPUS, "folders"), { tokenizer: given });
    // Of each shard three parts are looked at, and these have more.
    expect(Math.abs(estimate.tokens / total(name) - 1), name).toBeLessThan(0.15);
    expect(estimate.documents, name).toBe(92);
  }
});

describe("shards that a run could not read", () => {
  it("are named beside those that it can, with what to do", async () => {
    const root = corpus({ "a/1.jsonl": rows(40), "b/1.jsonl": rows(40), "b/2.jsonl": [{ content: text(1) }] });
    writeFileSync(join(root, "b/3.jsonl"), "");
    const { notes, domains } = await draft(root);
    expect(domains).toEqual(["a", "b"]);
    expect(notes).toEqual([
      expect.stringContaining("content may be it as well"),
      expect.stringMatching(/^cannot be read: b\/3\.jsonl: .*0 bytes.*onBadShard: skip passes it over$/),
      expect.stringMatching(
        /^cannot be read: b\/2\.jsonl: has no text in a column text, but in content; .*stops there$/,
      ),
    ]);
  });

  it("are the reason where a domain has no others", async () => {
    const root = corpus({ "a/1.jsonl": rows(40), "b/1.jsonl.gz": [{ x: 1 }] });
    writeFileSync(join(root, "b/2.parquet"), "PAR1 and no more");
    await expect(draft(root)).rejects.toMatchObject({
      code: "no-shard",
      exitStatus: 65,
      message: expect.stringMatching(
        /the folder that a file lies in would name a, b, but .*left out 1 file \.parquet: b\/2/,
      ),
    });
  });
});
