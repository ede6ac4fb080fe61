/**
 * A real corpus of eight domains, 90 MB of text, in the layouts of many writers: exact counts under six published
 * vocabularies in one pass, by domain, by shard and by document, and a verified manifest.
 */
import { existsSync, readFileSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { asyncBufferFromFile, parquetReadObjects } from "hyparquet";
import { compressors } from "hyparquet-compressors";
import { describe, expect, it } from "vitest";
import { definePipeline, readCorpus, runPipeline, verify } from "../../src/index.ts";
import { readCountedShards } from "../../src/stages/count/counted-shards.ts";
import { readCountsFile } from "../../src/stages/count/counts-file.ts";
import { writeVocabularies } from "../tokenizer/vocabularies.ts";
import { temporaryFolder } from "./small.ts";

/** Nothing is wrong, nothing was left out. */
const VERIFIED = { ok: true, problems: [], omitted: 0, notes: [], checked: { notChecked: [] } };

const shared = process.env.DOREMI_SHARED ?? resolve(fileURLToPath(new URL("../../../shared", import.meta.url)));
const corpus = join(shared, "corpus");
const there = existsSync(join(corpus, "golden.json"));
const readJson = (name: string) => JSON.parse(readFileSync(join(corpus, name), "utf8"));

interface GoldenTotals {
  documents: number;
  bytes: number;
  tokens: Record<string, number>;
}

/** The vocabularies by the names of golden.json: what the pipeline is given, and what its results call them. */
const vocabularies = (folder: string): Record<string, string> => ({
  r50k_base: "r50k",
  cl100k_base: "cl100k",
  o200k_base: "o200k",
  llama: join(folder, "llama2.json"),
  mistral: join(folder, "mistral.json"),
  llama3: join(folder, "llama3.json"),
});
const resultName = (tokenizer: string) => basename(tokenizer, ".json");
const byResultName = (tokens: Record<string, number>) =>
  Object.fromEntries(Object.entries(vocabularies("")).map(([golden, given]) => [resultName(given), tokens[golden]]));
const expectedTotals = ({ documents, bytes, tokens }: GoldenTotals) => ({
  documents,
  bytes,
  tokens: byResultName(tokens),
});

/** Counts of every document by its id. */
async function goldenDocuments(): Promise<Map<string, Record<string, number>>> {
  const rows = await parquetReadObjects({
    file: await asyncBufferFromFile(join(corpus, "golden_docs.parquet")),
    compressors,
  });
  return new Map(rows.map(({ id, ...tokens }) => [id as string, tokens as Record<string, number>]));
}

async function idsOf(shard: string): Promise<string[]> {
  const ids: string[] = [];
  for await (const { text } of readCorpus(shard, { textColumn: "id" })) {
    for (let row = 0; row < text.rows; row++) {
      ids.push(Buffer.from(text.bytes.subarray(text.offsets[row], text.offsets[row + 1])).toString());
    }
  }
  return ids;
}

describe.skipIf(!there)(`the whole corpus${there ? "" : ` (left out: ${corpus} is not there)`}`, () => {
  it("by folder: every domain, shard and document as the references count it, held-out files apart, and a manifest that verifies", async () => {
    const folder = temporaryFolder();
    const output = join(folder, "out");
    await writeVocabularies(folder);
    const [first, ...further] = Object.values(vocabularies(folder));
    const pipeline = definePipeline({
      version: 1,
      name: "whole",
      output,
      tokenizer: first!,
      data: {
        // books/valid.parquet and its like must not be taken for a shard of training text
        files: join(corpus, "{domain}/*.{parquet,arrow,arrows,feather,jsonl.gz,jsonl.zst}"),
        domains: ["books", "csource", "python", "law_de", "techdocs", "factbook", "poetry_zh", "math"],
        heldOut: { files: join(corpus, "{domain}/valid.parquet") },
      },
      count: { tokenizers: [...further, join(corpus, "tokenizer-4096.json")] },
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
    const documents = await goldenDocuments();
    const counts = dirname(paths.counts!);
    for (const shard of await readCountedShards(counts, count!.shards)) {
      const [domain, name] = shard.path.split("/");
      const { "tokenizer-4096": smallTokens, ...tokens } = shard.totals[domain!]!.tokens;
      expect(smallTokens).toBe(small.shards[domain!][name!].tokens);
      expect({ ...shard.totals[domain!], tokens }).toEqual(expectedTotals(golden.domains[domain!].shards[name!]));
      const ids = await idsOf(join(corpus, shard.path));
      for (const [golden, given] of Object.entries(vocabularies(folder))) {
        const file = await readCountsFile(join(counts, shard.counts.path), shard.counts.sha256);
        const tokens = file
          .tokens(resultName(given))
          .subarray(shard.counts.rowStart, shard.counts.rowStart + shard.rows);
        expect([...tokens], `${shard.path} under ${given}`).toEqual(ids.map((id) => documents.get(id)![golden]));
      }
    }
    expect(await verify(paths.manifest!)).toMatchObject(VERIFIED);
  }, 300_000);

  it("as one data set whose domain is a nested column, over every row group of five formats", async () => {
    const folder = temporaryFolder();
    const output = join(folder, "out");
    await writeVocabularies(folder);
    const [first, ...further] = Object.values(vocabularies(folder));
    const pipeline = definePipeline({
      version: 1,
      name: "mixed",
      output,
      tokenizer: first!,
      data: { files: join(corpus, "mixed/*"), domainColumn: "meta.pile_set_name", heldOut: { fraction: 0.05 } },
      count: { tokenizers: further },
      resample: { weights: "natural", budgetTokens: 1_000_000 },
    });
    const { count, paths } = await runPipeline(pipeline);
    const expected = Object.entries(readJson("golden.json").mixed.domains as Record<string, GoldenTotals>);
    expect(
      Object.fromEntries(
        count!.domains.map(({ name, documents, bytes, tokens }) => [name, { documents, bytes, tokens }]),
      ),
    ).toEqual(Object.fromEntries(expected.map(([name, totals]) => [name, expectedTotals(totals)])));
    expect(await verify(paths.manifest!)).toMatchObject(VERIFIED);
  }, 120_000);
});
