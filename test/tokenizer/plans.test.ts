/** Every way of splitting text, marking spaces and cutting out added tokens, against the reference's ids. */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openTokenizer } from "../../src/tokenizer/open.ts";
import { resolveTokenizer } from "../../src/tokenizer/resolve.ts";
import type { SpecialTokens } from "../../src/tokenizer/tokenizer.ts";
import { batch, FILES, SMALL_TOKENIZER } from "./vectors.ts";

interface Plans {
  readonly documents: readonly string[];
  readonly variants: readonly {
    readonly name: string;
    readonly base: "bytes" | "characters";
    /** members that replace the base's; those of `model` are put into it */
    readonly change: Readonly<Record<string, unknown>>;
    readonly specialTokens: SpecialTokens;
    /** of the ids of every eight documents */
    readonly checksums: readonly number[];
  }[];
}

const TOGETHER = 8;
const { documents, variants }: Plans = JSON.parse(await readFile(`${FILES}plans.json`, "utf8"));
const texts = documents.map((text) => Buffer.from(text));

let folder: string;
let bases: Record<string, { model: object }>;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "doremi-plans-"));
  const read = async (path: string) => JSON.parse(await readFile(path, "utf8"));
  bases = { bytes: await read(SMALL_TOKENIZER), characters: await read(`${FILES}byte-fallback.json`) };
});
afterAll(() => rm(folder, { recursive: true }));

function checksumsOf(ids: readonly Uint32Array[]): number[] {
  const sums: number[] = [];
  for (let first = 0; first < ids.length; first += TOGETHER) {
    let sum = 0;
    for (const document of ids.slice(first, first + TOGETHER)) {
      for (const id of [...document, document.length]) sum = (Math.imul(sum, 31) + id + 1) >>> 0;
    }
    sums.push(sum);
  }
  return sums;
}

describe("as Hugging Face's tokenizers", () => {
  it.each(variants)("$name, special tokens: $specialTokens", async (variant) => {
    const base = bases[variant.base]!;
    const { model, ...change } = variant.change;
    const path = join(folder, `${variant.name}.json`);
    await writeFile(path, JSON.stringify({ ...base, ...change, model: { ...base.model, ...(model as object) } }));
    const tokenizer = await openTokenizer(await resolveTokenizer(path, "/", variant.specialTokens));
    expect(tokenizer.descriptor).toMatchObject({
      path: variant.name.endsWith("-library") ? "library" : "fast",
      specialTokens: variant.specialTokens,
    });

    const ids = texts.map((text) => tokenizer.encode(text));
    const sums = checksumsOf(ids);
    const wrong = variant.checksums.flatMap((sum, i) => {
      const first = i * TOGETHER;
      return sum === sums[i] ? [] : [documents.slice(first, first + TOGETHER), ids.slice(first, first + TOGETHER)];
    });
    expect(wrong).toEqual([]);

    const { bytes, offsets, counts } = batch(texts);
    tokenizer.count(bytes, offsets, counts);
    expect([...counts]).toEqual(ids.map(({ length }) => length));
  });
});
