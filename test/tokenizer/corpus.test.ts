/** The wider corpora with stored counts, document by document, where they lie beside the repository. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { asyncBufferFromFile, parquetReadObjects } from "hyparquet";
import { compressors } from "hyparquet-compressors";
import { describe, expect, it } from "vitest";
import { openTokenizer } from "../../src/tokenizer/open.ts";
import { resolveTokenizer } from "../../src/tokenizer/resolve.ts";
import { batch, REPOSITORY, SMALL_TOKENIZER } from "./vectors.ts";

const SHARED = resolve(REPOSITORY, process.env.DOREMI_SHARED ?? "../shared");
const missing = !existsSync(SHARED);
const title = (what: string) => (missing ? `${what} (left out: ${SHARED} is not there)` : what);
const NAMES = ["r50k", "cl100k", "o200k"] as const;

/** Text comes as bytes: a decoder would drop a byte-order mark. */
async function read(file: string, columns: string[]): Promise<Record<string, unknown>[]> {
  return parquetReadObjects({
    file: await asyncBufferFromFile(file),
    compressors,
    columns,
    parsers: { stringFromBytes: (bytes: Uint8Array) => bytes } as never,
  });
}

async function count(name: string, texts: readonly Uint8Array[]): Promise<Uint32Array> {
  const tokenizer = await openTokenizer(await resolveTokenizer(name, REPOSITORY));
  const { bytes, offsets, counts } = batch(texts);
  tokenizer.count(bytes, offsets, counts);
  return counts;
}

describe.skipIf(missing)(title("adversarial documents"), () => {
  it.each(NAMES)("%s", async (name) => {
    const rows = await read(`${SHARED}/edge/edge.parquet`, ["text", name]);
    const counts = await count(
      name,
      rows.map(({ text }) => text as Uint8Array),
    );
    expect([...counts]).toEqual(rows.map((row) => Number(row[name])));
  });
});

describe.skipIf(missing)(title("real documents"), () => {
  const domains = ["books", "csource", "python", "law_de", "techdocs", "factbook", "poetry_zh", "math"];
  const shards = missing
    ? []
    : domains.flatMap((domain) =>
        readdirSync(`${SHARED}/corpus/${domain}`)
          .filter((file) => file.endsWith(".parquet"))
          .map((file) => ({ domain, file, path: `${SHARED}/corpus/${domain}/${file}` })),
      );

  it("doc by doc with each named vocabulary", async () => {
    const golden = new Map<string, Record<string, unknown>>();
    for (const row of await read(`${SHARED}/corpus/golden_docs.parquet`, [
      "id",
      "r50k_base",
      "cl100k_base",
      "o200k_base",
    ])) {
      golden.set(Buffer.from(row.id as Uint8Array).toString(), row);
    }
    const rows: Record<string, unknown>[] = [];
    for (const { path } of shards) rows.push(...(await read(path, ["id", "text"])));
    expect(rows.length).toBeGreaterThan(4000);
    for (const name of NAMES) {
      const counts = await count(
        name,
        rows.map(({ text }) => text as Uint8Array),
      );
      const expected = rows.map(({ id }) =>
        Number(golden.get(Buffer.from(id as Uint8Array).toString())?.[`${name}_base`]),
      );
      expect([...counts]).toEqual(expected);
    }
  });

  it("per shard with the small tokenizer", async () => {
    const golden = JSON.parse(readFileSync(`${SHARED}/corpus/tokenizer-4096.golden.json`, "utf8"));
    for (const { domain, file, path } of shards) {
      const rows = await read(path, ["text"]);
      const counts = await count(
        SMALL_TOKENIZER,
        rows.map(({ text }) => text as Uint8Array),
      );
      const tokens = counts.reduce((sum, n) => sum + n, 0);
      expect({ domain, file, documents: rows.length, tokens }).toEqual({
        domain,
        file,
        ...golden.shards[domain][file],
      });
    }
  });
});
