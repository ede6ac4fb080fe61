/** Unigram, WordPiece and WordLevel tokenizers against Hugging Face's, with the settings of published ones. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openTokenizer } from "../../src/tokenizer/open.ts";
import { resolveTokenizer } from "../../src/tokenizer/resolve.ts";
import type { Tokenizer } from "../../src/tokenizer/tokenizer.ts";
import { CONTEXTS, everyScalar, GROUPS } from "./adversarial.ts";
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

  it.runIf(name in expected.scalars)("has Hugging Face's ids of every scalar value", () => {
    expect(checksums(tokenizer, scalars, PER_SCALAR_CHECKSUM)).toEqual(expected.scalars[name]);
  });
});
