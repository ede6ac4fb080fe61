/** A long piece is merged window by window; where its end decides what its beginning becomes, that must not show. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { openTokenizer } from "../../src/tokenizer/open.ts";
import { resolveTokenizer } from "../../src/tokenizer/resolve.ts";
import type { Tokenizer } from "../../src/tokenizer/tokenizer.ts";

const LETTERS = Array.from({ length: 180 }, (_, i) => String.fromCodePoint(0x4e00 + i));
const FIRST_PAIR = 1 + 256 + LETTERS.length;

/** Letters so that no two neighbours stand side by side a second time. */
const text: string[] = LETTERS.flatMap((letter, i) => [
  letter,
  ...LETTERS.slice(i + 1).flatMap((other) => [letter, other]),
]);
const pairs = text.slice(1).map((letter, i) => text[i]! + letter);

let folder: string;
let tokenizer: Tokenizer;
beforeAll(async () => {
  // every pair of neighbours merges, the later in the text the sooner
  const bytes = Array.from({ length: 256 }, (_, b) => `<0x${b.toString(16).toUpperCase().padStart(2, "0")}>`);
  const tokens = ["<unk>", ...bytes, ...LETTERS, ...pairs];
  const model = {
    type: "BPE",
    ...{ dropout: null, continuing_subword_prefix: null, end_of_word_suffix: null, ignore_merges: false },
    ...{ unk_token: "<unk>", fuse_unk: true, byte_fallback: true },
    vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
    merges: pairs.map((pair) => [...pair]).reverse(),
  };
  const none = { normalizer: null, pre_tokenizer: null, post_processor: null, decoder: null };
  folder = await mkdtemp(join(tmpdir(), "doremi-long-piece-"));
  await writeFile(join(folder, "pairs.json"), JSON.stringify({ version: "1.0", added_tokens: [], ...none, model }));
  tokenizer = await openTokenizer(await resolveTokenizer("pairs.json", folder));
});
afterAll(() => rm(folder, { recursive: true }));

it("is a text of distinct pairs, longer than several windows, in the counter", () => {
  expect(new Set(pairs).size).toBe(pairs.length);
  expect(text.length).toBeGreaterThan(30_000);
  expect(tokenizer.descriptor.path).toBe("fast");
});

it.each([0, 1, 2, 1023, 1024, 1025])("pairs up from the end, %i letters shorter", (shorter) => {
  const letters = text.slice(0, text.length - shorter);
  const alone = letters.length % 2; // what is left over stands first
  const expected = letters.slice(0, alone).map((letter) => 1 + 256 + LETTERS.indexOf(letter));
  for (let at = alone; at < letters.length; at += 2) expected.push(FIRST_PAIR + at);
  expect([...tokenizer.encode(Buffer.from(letters.join("")))]).toEqual(expected);
});
