import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Tokenizer as Library } from "@huggingface/tokenizers";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { BYTE_CHARACTERS, tokenBytes } from "../../src/tokenizer/byte-level.ts";
import { openTokenizer } from "../../src/tokenizer/open.ts";
import { resolveTokenizer } from "../../src/tokenizer/resolve.ts";
import type { Tokenizer } from "../../src/tokenizer/tokenizer.ts";
import { unicodeClasses } from "../../src/tokenizer/unicode-classes.ts";
import { batch, checksum, documents, FILES, SMALL_TOKENIZER, vectors } from "./vectors.ts";

type Json = { [member: string]: unknown; model: Record<string, unknown>; added_tokens: Record<string, unknown>[] };

let folder: string;
let small: Json;
let byteFallback: Json;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "doremi-tokenizer-"));
  small = JSON.parse(await readFile(SMALL_TOKENIZER, "utf8"));
  byteFallback = JSON.parse(await readFile(`${FILES}byte-fallback.json`, "utf8"));
});
afterAll(() => rm(folder, { recursive: true }));

async function open(json: unknown, name = "tokenizer"): Promise<Tokenizer> {
  const path = join(folder, `${name}.json`);
  await writeFile(path, JSON.stringify(json));
  return openTokenizer(await resolveTokenizer(`${name}.json`, folder));
}

function variant(name: string): unknown {
  if (name === "byte-fallback") return byteFallback;
  if (name === "metaspace") return { ...byteFallback, normalizer: null, pre_tokenizer: vectors.metaspace };
  const { model, ...change } = vectors.variants[name]!;
  return { ...small, ...change, model: { ...small.model, ...(model as object | undefined) } };
}

describe("as Hugging Face's tokenizers, text of special tokens as text", () => {
  const paths: Record<string, string> = {
    gpt2: "fast",
    llama3: "fast",
    "llama3-whole": "fast",
    qwen2: "fast",
    o200k: "fast",
    neox: "fast",
    "numbers-first": "fast",
    "gpt2-nfkc": "fast",
    "byte-fallback": "fast",
    metaspace: "fast",
  };
  it("has vectors for every kind", () => expect(Object.keys(vectors.huggingface)).toEqual(Object.keys(paths)));

  it.each(Object.entries(paths))("%s (%s)", async (name, path) => {
    const tokenizer = await open(variant(name), name);
    expect(tokenizer.descriptor.path).toBe(path);
    const { bytes, offsets, counts } = batch(documents);
    tokenizer.count(bytes, offsets, counts);
    const expected = vectors.huggingface[name]!;
    const wrong = documents.flatMap((text, i) => {
      const ids = tokenizer.encode(text);
      const found = [counts[i], ids.length, checksum(ids)];
      const [count, sum] = expected[i]!;
      return found[0] === count && found[1] === count && found[2] === sum
        ? []
        : [{ text: text.toString(), count, found }];
    });
    expect(wrong).toEqual([]);
  });
});

describe("the small tokenizer", () => {
  it("describes itself", async () => {
    const descriptor = await resolveTokenizer(SMALL_TOKENIZER, "/");
    expect(descriptor).toMatchObject({ name: "tokenizer-4096", vocabularySize: 4096, endOfText: 0, path: "fast" });
  });

  it("counts random text as @huggingface/tokenizers does, where this Node's classes are the table's", async () => {
    const tokenizer = await open(small);
    const library = new Library({ ...small, added_tokens: [] }, {});
    const classes = unicodeClasses();
    // the library asks Node for classes, and JavaScript's \s is not Unicode's
    const agrees = (character: string) => {
      const bits = classes[character.codePointAt(0)!]!;
      return (
        /\p{L}/u.test(character) === ((bits & 1) !== 0) &&
        /\p{N}/u.test(character) === ((bits & 2) !== 0) &&
        /\s/u.test(character) === ((bits & 4) !== 0)
      );
    };
    const text = fc
      .array(
        fc.oneof(
          fc.string({ unit: "grapheme" }),
          fc.string({ unit: "binary" }),
          fc.constantFrom("  ", "\n\n", "'s", "42", "ab"),
        ),
      )
      .map((parts) => [...parts.join("")].filter(agrees).join(""));
    fc.assert(
      fc.property(text, (string) => {
        const ids = tokenizer.encode(Buffer.from(string));
        expect([...ids]).toEqual(string === "" ? [] : library.encode(string, { add_special_tokens: false }).ids);
        const back = Buffer.concat([...ids].map((id) => tokenBytes(tokens[id]!)!));
        expect(back.toString()).toBe(string);
      }),
      { numRuns: 400 },
    );
  });
  const tokens: string[] = [];
  beforeAll(() => {
    for (const [token, id] of Object.entries(small.model.vocab as Record<string, number>)) tokens[id] = token;
  });

  it("has a fingerprint of what decides counts, and of nothing else", async () => {
    const fingerprint = async (json: unknown) => (await open(json)).descriptor.fingerprint;
    const original = await fingerprint(small);
    expect(await fingerprint({ ...small, truncation: { max_length: 8 }, padding: { length: 8 }, decoder: null })).toBe(
      original,
    );
    const merges = [...(small.model.merges as unknown[])].reverse();
    expect(await fingerprint({ ...small, model: { ...small.model, merges } })).not.toBe(original);
    expect(await fingerprint({ ...small, normalizer: { type: "NFC" } })).not.toBe(original);
  });

  it("is not opened when the file changed after it was resolved", async () => {
    const path = join(folder, "changing.json");
    await writeFile(path, JSON.stringify(small));
    const descriptor = await resolveTokenizer(path, "/");
    await writeFile(path, JSON.stringify({ ...small, normalizer: { type: "NFC" } }));
    await expect(openTokenizer(descriptor)).rejects.toMatchObject({ code: "tokenizer-changed" });
  });

  it("reads merges written as strings, and merges by their place in the list, not by id", async () => {
    const merges = (small.model.merges as [string, string][]).map((pair) => pair.join(" "));
    const asStrings = await open({ ...small, model: { ...small.model, merges } });
    const asPairs = await open(small, "pairs");
    for (const text of documents) expect(asStrings.encode(text)).toEqual(asPairs.encode(text));

    // only listed pairs merge: a + bc is not, so with "b c" first abc stays a, bc
    const vocab: Record<string, number> = {};
    BYTE_CHARACTERS.forEach((character, byte) => {
      vocab[character] = byte;
    });
    Object.assign(vocab, { ab: 256, bc: 257, abc: 258 });
    const order = (list: string[]) =>
      open({ ...small, added_tokens: [], model: { ...small.model, vocab, merges: list } });
    expect([...(await order(["b c", "a b", "ab c"])).encode(Buffer.from("abc"))]).toEqual([97, 257]);
    expect([...(await order(["a b", "b c", "ab c"])).encode(Buffer.from("abc"))]).toEqual([258]);
  });
});

describe("what can't be exact is refused", () => {
  const change = (part: object, model: object = {}) => ({ ...small, ...part, model: { ...small.model, ...model } });
  const refused: [string, () => unknown][] = [
    ["another model", () => change({}, { type: "Morphemes" })],
    ["dropout", () => change({}, { dropout: 0.1 })],
    ["a subword prefix", () => change({}, { continuing_subword_prefix: "##" })],
    ["a charsmap", () => change({ normalizer: { type: "Sequence", normalizers: [{ type: "Precompiled" }] } })],
    [
      "a split that the matcher does not know",
      () => change({ pre_tokenizer: { type: "Split", pattern: { Regex: "(a)\\1" }, behavior: "Isolated" } }),
    ],
    ["an added token with another id", () => change({ added_tokens: [{ id: 5000, content: "<x>", special: false }] })],
    [
      "added tokens that are the same when normalized",
      () =>
        change({
          normalizer: { type: "Lowercase" },
          added_tokens: ["<x>", "<X>"].map((content, i) => ({ id: 4096 + i, content, special: false })),
        }),
    ],
  ];
  it.each(refused)("%s", async (_, json) => {
    await expect(open(json())).rejects.toMatchObject({ code: "unsupported-tokenizer", kind: "bad-configuration" });
  });

  it("a file that is no tokenizer", async () => {
    await writeFile(join(folder, "broken.json"), "{");
    await expect(resolveTokenizer("broken.json", folder)).rejects.toMatchObject({ code: "bad-tokenizer" });
    await expect(open({ model: { type: "BPE", vocab: { a: "0" }, merges: [] } })).rejects.toThrow(/model\.vocab/);
    await expect(open({ model: { type: "BPE", vocab: {}, merges: ["ab"] } })).rejects.toThrow(
      /merge must be two tokens/,
    );
    const missing = { ...small, model: { ...small.model, merges: [["q", "\u0120\u0120zz"]] } };
    await expect(open(missing)).rejects.toThrow(/merges\[0\] lacks/);
    await expect(open({ model: { type: "BPE", vocab: { b: 1, a: 3, c: 3 }, merges: [] } })).rejects.toThrow(
      /two tokens of id 3/,
    );
    const path = join(folder, "twice.json");
    await writeFile(path, '{"model": {"type": "BPE", "vocab": {"a": 1, "b": 2, "a": 4}, "merges": []}}');
    await expect(resolveTokenizer(path, "/")).rejects.toThrow(/a token twice/);
  });
});
