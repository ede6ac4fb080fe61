import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { openOnce } from "../../src/tokenizer/open.ts";
import { resolveTokenizer } from "../../src/tokenizer/resolve.ts";
import { SMALL_TOKENIZER } from "./vectors.ts";

describe("by name", () => {
  it.each([
    ["r50k", "r50k", 50257, 50256],
    ["r50k_base", "r50k", 50257, 50256],
    ["gpt2", "r50k", 50257, 50256],
    ["p50k", "p50k", 50281, 50256],
    ["cl100k_base", "cl100k", 100277, 100257],
    ["o200k", "o200k", 200019, 199999],
  ])("%s is %s", async (name, encoding, vocabularySize, endOfText) => {
    const descriptor = await resolveTokenizer(name, "/nowhere");
    expect(descriptor).toMatchObject({
      name,
      source: { kind: "tiktoken", encoding },
      vocabularySize,
      endOfText,
      path: "fast",
    });
    expect(structuredClone(descriptor)).toEqual(descriptor);
  });

  it("aliases have one fingerprint, different vocabularies have different ones", async () => {
    const fingerprint = async (name: string) => (await resolveTokenizer(name, ".")).fingerprint;
    expect(await fingerprint("gpt2")).toBe(await fingerprint("r50k"));
    expect(await fingerprint("p50k")).not.toBe(await fingerprint("r50k"));
  });

  it("an unknown name lists the known and the nearest", async () => {
    await expect(resolveTokenizer("cl100", ".")).rejects.toMatchObject({
      code: "unknown-tokenizer",
      kind: "bad-configuration",
    });
    await expect(resolveTokenizer("cl100", ".")).rejects.toThrow(/r50k, p50k, cl100k, o200k.*did you mean “cl100k”\?/);
    await expect(resolveTokenizer("constructor", ".")).rejects.toThrow(/no such file$/);
    await expect(resolveTokenizer("meta-llama/Llama-3.1-8B", ".")).rejects.toThrow(
      /nothing is fetched from a hub: download/,
    );
  });

  it("is one instance for a thread", async () => {
    const descriptor = await resolveTokenizer("p50k", ".");
    expect(await openOnce(descriptor)).toBe(await openOnce(structuredClone(descriptor)));
  });
});

describe("by path", () => {
  it("is relative to the folder given, and may name the folder that holds tokenizer.json", async () => {
    const folder = await mkdtemp(join(tmpdir(), "doremi-resolve-"));
    try {
      await mkdir(join(folder, "model"));
      await writeFile(join(folder, "model/tokenizer.json"), await readFile(SMALL_TOKENIZER));
      const file = await resolveTokenizer("model/tokenizer.json", folder);
      expect(file.source).toEqual({ kind: "huggingface", path: join(folder, "model/tokenizer.json") });
      expect(await resolveTokenizer("model", folder)).toEqual(file);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it.each(["missing.json", "./missing", "some/missing.json"])("%s: a missing file", async (path) => {
    await expect(resolveTokenizer(path, "/nowhere")).rejects.toMatchObject({
      code: "missing-file",
      kind: "missing-input",
    });
  });
});
