/** A real corpus of eight domains, 90 MB of text, in the layouts of many writers: exact counts and a verified manifest. */
import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { definePipeline, runPipeline, verify } from "../../src/index.ts";
import { temporaryFolder } from "./small.ts";

const shared = process.env.DOREMI_SHARED ?? resolve(fileURLToPath(new URL("../../../shared", import.meta.url)));
const corpus = join(shared, "corpus");
const there = existsSync(join(corpus, "golden.json"));
const readJson = (name: string) => JSON.parse(readFileSync(join(corpus, name), "utf8"));

interface GoldenTotals {
  documents: number;
  bytes: number;
  tokens: Record<string, number>;
}

const expectedTotals = ({ documents, bytes, tokens }: GoldenTotals) => ({
  documents,
  bytes,
  tokens: { r50k: tokens.r50k_base, cl100k: tokens.cl100k_base, o200k: tokens.o200k_base },
});

describe.skipIf(!there)(`the whole corpus${there ? "" : ` (left out: ${corpus} is not there)`}`, () => {
  it("by folder: every domain and shard as counted by tiktoken, held-out files apart, and a manifest that verifies", async () => {
    const output = join(temporaryFolder(), "out");
    const pipeline = definePipeline({
      version: 1,
      name: "whole",
      output,
      tokenizer: "r50k",
      data: {
        // books/valid.parquet and its like must not be taken for a shard of training text
        files: join(corpus, "{domain}/*.{parquet,arrow,arrows,feather,jsonl.gz,jsonl.zst}"),
        domains: ["books", "csource", "python", "law_de", "techdocs", "factbook", "poetry_zh", "math"],
        heldOut: { files: join(corpus, "{domain}/valid.parquet") },
      },
      count: { tokenizers: ["cl100k", "o200k", join(corpus, "tokenizer-4096.json")] },
      resample: { weights: "uniform", budgetTokens: 4_000_000, maxEpochs: 10 },
    });
    const { count, paths } = await runPipeline(pipeline);
    const golden = readJson("golden.json");
    const small = readJson("tokenizer-4096.golden.json");
    for (const domain of count!.domains) {
      const { "tokenizer-4096": smallTokens, ...tokens } = domain.tokens;
      expect({ documents: domain.documents, bytes: domain.bytes, tokens }).toEqual(
        expectedTotals(golden.domains[domain.name].train),
      );
      const shards = Object.entries(small.shards[domain.name] as Record<string, { tokens: number }>);
      expect(smallTokens).toBe(
        shards.reduce((sum, [name, shard]) => sum + (name === "valid.parquet" ? 0 : shard.tokens), 0),
      );
      expect(domain.heldOut.tokens["tokenizer-4096"]).toBe(small.shards[domain.name]["valid.parquet"].tokens);
    }
    for (const shard of count!.shards) {
      const [domain, name] = shard.path.split("/");
      const { "tokenizer-4096": _, ...tokens } = shard.totals[domain!]!.tokens;
      expect({ ...shard.totals[domain!], tokens }).toEqual(expectedTotals(golden.domains[domain!].shards[name!]));
    }
    expect(await verify(paths.manifest!)).toEqual({ ok: true, problems: [], omitted: 0 });
  }, 300_000);

  it("as one data set whose domain is a nested column, over every row group of five formats", async () => {
    const output = join(temporaryFolder(), "out");
    const pipeline = definePipeline({
      version: 1,
      name: "mixed",
      output,
      tokenizer: "r50k",
      data: { files: join(corpus, "mixed/*"), domainColumn: "meta.pile_set_name", heldOut: { fraction: 0.05 } },
      count: { tokenizers: ["cl100k", "o200k"] },
      resample: { weights: "natural", budgetTokens: 1_000_000 },
    });
    const { count, paths } = await runPipeline(pipeline);
    const expected = Object.entries(readJson("golden.json").mixed.domains as Record<string, GoldenTotals>);
    expect(
      Object.fromEntries(
        count!.domains.map(({ name, documents, bytes, tokens }) => [name, { documents, bytes, tokens }]),
      ),
    ).toEqual(Object.fromEntries(expected.map(([name, totals]) => [name, expectedTotals(totals)])));
    expect(await verify(paths.manifest!)).toEqual({ ok: true, problems: [], omitted: 0 });
  }, 120_000);
});
