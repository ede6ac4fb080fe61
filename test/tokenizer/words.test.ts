/** Unigram, WordPiece and WordLevel tokenizers against Hugging Face's, with the settings of published ones. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { decimal } from "../../src/tokenizer/decimal.ts";
import { openTokenizer } from "../../src/tokenizer/open.ts";
import { resolveTokenizer } from "../../src/tokenizer/resolve.ts";
import type { Tokenizer } from "../../src/tokenizer/tokenizer.ts";
import { CONTEXTS, everyScalar, GROUPS, scalarBlocks } from "./adversarial.ts";
import { batch, FILES } from "./vectors.ts";

interface Variant {
  readonly model: string;
  readonly changes?: object;
  /** the vocabulary has tokens of the bytes from there on, for unknown text */
  readonly first_byte?: number;
  readonly added_tokens?: readonly object[];
  readonly normalizer: object | null;
  readonly pre_tokenizer: object | null;
}

const expected: {
  /** a number as written in a tokenizer.json, and what Hugging Face's reads */
  readonly decimals: readonly (readonly [string, number])[];
  readonly models: Record<string, { readonly type: string; readonly vocab: unknown }>;
  readonly variants: Record<string, Variant>;
  readonly groups: Record<string, Record<string, string[]>>;
  readonly scalars: Record<string, string[]>;
} = JSON.parse(readFileSync(`${FILES}words.json`, "utf8"));

const PER_CHECKSUM = 64;
const PER_SCALAR_CHECKSUM = 1024;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "doremi-words-"));
});
afterAll(() => rm(folder, { recursive: true }));

function spec({ model, changes, first_byte, added_tokens = [], normalizer, pre_tokenizer }: Variant): object {
  const base = expected.models[model]!;
  if (first_byte === undefined) return { added_tokens, normalizer, pre_tokenizer, model: { ...base, ...changes } };
  const bytes = Array.from({ length: 256 - first_byte }, (_, i) => [`<0x${hex(first_byte + i)}>`, -20]);
  const vocab = [...(base.vocab as unknown[]), ...bytes];
  return { added_tokens, normalizer, pre_tokenizer, model: { ...base, byte_fallback: true, vocab } };
}

function hex(byte: number): string {
  return byte.toString(16).toUpperCase().padStart(2, "0");
}

async function open(json: object, name = "tokenizer"): Promise<Tokenizer> {
  const path = join(folder, `${name}.json`);
  await writeFile(path, JSON.stringify(json));
  return openTokenizer(await resolveTokenizer(path, "/"));
}

function checksums(tokenizer: Tokenizer, documents: readonly Buffer[], perChecksum: number): string[] {
  const { bytes, offsets, counts } = batch(documents);
  tokenizer.count(bytes, offsets, counts);
  const lines = documents.map((document, i) => {
    const ids = tokenizer.encode(document);
    if (ids.length !== counts[i]) throw new Error(`${ids.length} ids and a count of ${counts[i]}: ${document}`);
    return ids.join(",");
  });
  return Array.from({ length: Math.ceil(lines.length / perChecksum) }, (_, i) => {
    const part = lines.slice(i * perChecksum, (i + 1) * perChecksum).join("\n");
    return createHash("sha256").update(part).digest("hex").slice(0, 12);
  });
}

const documents = Object.fromEntries(Object.entries(GROUPS).map(([group, make]) => [group, make()]));
const scalars = everyScalar(CONTEXTS.doubled!);

describe.each(Object.entries(expected.variants))("%s", (name, variant) => {
  let tokenizer: Tokenizer;
  beforeAll(async () => {
    tokenizer = await open(spec(variant), name);
  });

  it("is counted by the counter", () => expect(tokenizer.descriptor.path).toBe("fast"));

  it.each(Object.keys(expected.groups[name]!))("has Hugging Face's ids: %s", (group) => {
    expect(checksums(tokenizer, documents[group]!, PER_CHECKSUM)).toEqual(expected.groups[name]![group]);
  });

  // of one variant for each model and way of splitting: the others differ in what no single character shows
  if (name in expected.scalars) {
    it("has Hugging Face's ids of every scalar value", () => {
      for (const i of scalarBlocks(PER_SCALAR_CHECKSUM)) {
        const block = scalars.slice(i * PER_SCALAR_CHECKSUM, (i + 1) * PER_SCALAR_CHECKSUM);
        expect(checksums(tokenizer, block, PER_SCALAR_CHECKSUM)).toEqual([expected.scalars[name]![i]]);
      }
    });
  }
});

it("reads scores as the reference implementation does, which is not always the nearest number", () => {
  const found = expected.decimals.map(([written]) => [written, decimal(written)]);
  expect(found).toEqual(expected.decimals);
  expect(expected.decimals.some(([written, read]) => Number(written) !== read)).toBe(true);
});

describe("time is linear in a text without a space", () => {
  it.each(["never", "ties-whole", "bert-cased", "word-level"])("%s", async (name) => {
    const tokenizer = await open(spec(expected.variants[name]!), name);
    const count = (times: number): [number, number] => {
      const text = Buffer.from("zqxjab".repeat(times));
      const counts = new Uint32Array(1);
      const before = process.cpuUsage();
      tokenizer.count(text, Uint32Array.of(0, text.length), counts);
      const { user, system } = process.cpuUsage(before);
      return [counts[0]!, user + system];
    };
    const [few, short] = count(200_000);
    const [many, long] = count(2_000_000);
    // a word that is unknown as a whole is one token, of any length
    expect(Math.abs(many - (few === 1 ? 1 : 10 * few))).toBeLessThanOrEqual(10);
    expect(long).toBeLessThan(40 * short + 200_000); // quadratic would be a hundred times as long
  });
});

describe("what can't be exact is refused", () => {
  const change = (name: string, part: object, model: object = {}): object => {
    const json = spec(expected.variants[name]!) as { model: object };
    return { ...json, ...part, model: { ...json.model, ...model } };
  };
  const mark = { type: "Metaspace", replacement: "\u2581", split: true };
  const markedWords = (scheme: string) => ({
    type: "Sequence",
    pretokenizers: [{ type: "WhitespaceSplit" }, { ...mark, prepend_scheme: scheme }],
  });
  const first = { ...mark, prepend_scheme: "first" };
  const bytes = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true };
  const unsupported: Record<string, () => object> = {
    "Unigram without an unknown token": () => change("t5", {}, { unk_id: null }),
    "another mark for spaces": () => change("t5", { pre_tokenizer: { ...mark, replacement: "_" } }),
    "a mark on the first word only": () => change("t5", { pre_tokenizer: markedWords("first") }),
    "a first text that a normalizer moves": () =>
      change("t5", { normalizer: { type: "Strip", strip_left: true, strip_right: false }, pre_tokenizer: first }),
    "settings of the mark that contradict each other": () =>
      change("t5", { pre_tokenizer: { ...mark, prepend_scheme: "always", add_prefix_space: false } }),
    "punctuation that goes with a neighbour": () =>
      change("bert-cased", { pre_tokenizer: { type: "Punctuation", behavior: "MergedWithPrevious" } }),
    "bytes as characters": () => change("t5", { pre_tokenizer: bytes }),
    "a replacement of what only a whole expression tells": () =>
      change("bert-cased", { normalizer: { type: "Replace", pattern: { Regex: "(a|b)+c" }, content: "" } }),
    "an unknown normalizer": () => change("word-level", { normalizer: { type: "Rot13" } }),
    "a charsmap that is none": () =>
      change("t5", { normalizer: { type: "Precompiled", precompiled_charsmap: "AAAA" } }),
  };
  it.each(Object.entries(unsupported))("%s", async (_, json) => {
    await expect(open(json())).rejects.toMatchObject({ code: "unsupported-tokenizer", kind: "bad-configuration" });
  });

  const bad: Record<string, () => object> = {
    "an unknown token that is not in the vocabulary": () => change("bert-cased", {}, { unk_token: "[NONE]" }),
    "the same of whole words": () => change("word-level", {}, { unk_token: "[NONE]" }),
    "no limit for words": () => change("bert-cased", {}, { max_input_chars_per_word: undefined }),
    "an unknown token beyond the vocabulary": () => change("t5", {}, { unk_id: 1e6 }),
    "ids where scores must be": () => change("t5", {}, { vocab: { a: 0 } }),
    "scores where ids must be": () => change("bert-cased", {}, { vocab: [["[UNK]", 0]] }),
  };
  it.each(Object.entries(bad))("%s", async (_, json) => {
    await expect(open(json())).rejects.toMatchObject({ code: "bad-tokenizer", kind: "bad-data" });
  });
});

it("knows the models of files from before they had a type", async () => {
  for (const name of ["t5", "bert-cased", "word-level"]) {
    const json = spec(expected.variants[name]!) as { model: object };
    const typed = await open(json, name);
    const untyped = await open({ ...json, model: { ...json.model, type: undefined } }, name);
    const text = Buffer.from("Data mixtures, learned");
    expect(untyped.encode(text)).toEqual(typed.encode(text));
  }
});

it("has a fingerprint that scores are part of", async () => {
  const json = spec(expected.variants.ties!) as { model: { vocab: [string, number][] } };
  const vocab = json.model.vocab.map(([token, score]) => [token, token === "st" ? score - 1 : score]);
  const [one, other] = [await open(json), await open({ ...json, model: { ...json.model, vocab } })];
  expect(other.descriptor.fingerprint).not.toBe(one.descriptor.fingerprint);
});
