/** A wider set of adversarial documents with stored counts, one by one, where it lies beside the repository. */
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { asyncBufferFromFile, parquetReadObjects } from "hyparquet";
import { compressors } from "hyparquet-compressors";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openTokenizer } from "../../src/tokenizer/open.ts";
import { resolveTokenizer } from "../../src/tokenizer/resolve.ts";
import { batch, REPOSITORY } from "./vectors.ts";
import { writeVocabularies } from "./vocabularies.ts";

const EDGE = resolve(REPOSITORY, process.env.DOREMI_SHARED ?? "../shared", "edge/edge.parquet");
const missing = !existsSync(EDGE);

/** A vocabulary is called by its column. */
const VOCABULARIES = { r50k: "r50k", cl100k: "cl100k", o200k: "o200k", llama3: "llama3.json", llama2: "llama2.json" };

describe.skipIf(missing)(`adversarial documents${missing ? ` (left out: ${EDGE} is not there)` : ""}`, () => {
  let folder: string;
  let rows: Record<string, unknown>[];
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "doremi-edge-"));
    await writeVocabularies(folder, ["llama3", "llama2"]);
    rows = await parquetReadObjects({
      file: await asyncBufferFromFile(EDGE),
      compressors,
      // text comes as bytes: a decoder would drop a byte-order mark
      parsers: { stringFromBytes: (bytes: Uint8Array) => bytes } as never,
    });
  });
  afterAll(() => rm(folder, { recursive: true }));

  it.each(Object.entries(VOCABULARIES))("%s", async (column, vocabulary) => {
    const tokenizer = await openTokenizer(await resolveTokenizer(vocabulary, folder));
    const { bytes, offsets, counts } = batch(rows.map(({ text }) => text as Uint8Array));
    tokenizer.count(bytes, offsets, counts);
    expect([...counts]).toEqual(rows.map((row) => Number(row[column])));
  });
});
