/**
 * The vocabularies as files that the peers read: a tokenizer.json for each, and the rank files of those that tiktoken
 * has. A byte-level tokenizer.json from ranks needs the merges that the ranks imply.
 */
import { copyFile, readFile, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { BYTE_CHARACTERS } from "../../src/tokenizer/byte-level.ts";
import { writeVocabularies } from "../../test/tokenizer/vocabularies.ts";
import type { VocabularyName } from "./options.ts";

const CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
const UPPER = String.raw`[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]`;
const LOWER = String.raw`[\p{Ll}\p{Lm}\p{Lo}\p{M}]`;
const PREFIX = String.raw`[^\r\n\p{L}\p{N}]?`;
const TAIL = String.raw`\s*[\r\n]+|\s+(?!\S)|\s+`;

/** tiktoken's patterns in terms that Hugging Face's regular expressions have; null: ByteLevel's own, which is GPT-2's. */
const RANKED = {
  r50k: null,
  cl100k: String.raw`${CONTRACTIONS}|${PREFIX}\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|${TAIL}`,
  o200k: String.raw`${PREFIX}${UPPER}*${LOWER}+${CONTRACTIONS}?|${PREFIX}${UPPER}+${LOWER}*${CONTRACTIONS}?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|${TAIL}`,
} as const;
type RankedName = keyof typeof RANKED;
const isRanked = (name: VocabularyName): name is RankedName => Object.hasOwn(RANKED, name);

/** Writes NAME.json for every name, and NAME.tiktoken where there are ranks. */
export async function writePeerVocabularies(folder: string, names: readonly VocabularyName[]): Promise<void> {
  for (const name of names) {
    if (!isRanked(name)) {
      await writeVocabularies(folder, [name]);
      continue;
    }
    const file = createRequire(import.meta.url).resolve(`gpt-tokenizer/data/${name}_base.tiktoken`);
    await copyFile(file, join(folder, `${name}.tiktoken`));
    const json = tokenizerJson(parseRanks(await readFile(file, "utf8")), RANKED[name]);
    await writeFile(join(folder, `${name}.json`), JSON.stringify(json));
  }
}

/** What `doremi count --tokenizer` and `resolveTokenizer` take. */
export function tokenizerArgument(folder: string, name: VocabularyName): string {
  return isRanked(name) ? name : join(folder, `${name}.json`);
}

/** Ranks by token; a character of a token is a byte. */
function parseRanks(text: string): Map<string, number> {
  const lines = text.split("\n").filter((line) => line !== "");
  return new Map(
    lines.map((line) => {
      const [token, rank] = line.split(" ");
      return [Buffer.from(token!, "base64").toString("latin1"), Number(rank)];
    }),
  );
}

function tokenizerJson(ranks: ReadonlyMap<string, number>, regex: string | null): object {
  const written = (token: string) => Array.from(token, (byte) => BYTE_CHARACTERS[byte.charCodeAt(0)]).join("");
  const byteLevel = (useRegex: boolean) => ({
    type: "ByteLevel",
    add_prefix_space: false,
    trim_offsets: true,
    use_regex: useRegex,
  });
  const split = { type: "Split", pattern: { Regex: regex }, behavior: "Isolated", invert: false };
  const merges = [...ranks].flatMap(([token, rank]) => (token.length === 1 ? [] : [mergeInto(token, rank, ranks)]));
  return {
    version: "1.0",
    added_tokens: [],
    normalizer: null,
    pre_tokenizer: regex === null ? byteLevel(true) : { type: "Sequence", pretokenizers: [split, byteLevel(false)] },
    post_processor: null,
    decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: true,
      vocab: Object.fromEntries([...ranks].map(([token, rank]) => [written(token), rank])),
      merges: merges.map((pair) => pair.map(written)),
    },
  };
}

/** The two tokens that merge into this one: what the merges of lower rank leave of it. */
function mergeInto(token: string, rank: number, ranks: ReadonlyMap<string, number>): [string, string] {
  const parts = token.split("");
  while (parts.length > 2) {
    let lowest = Number.POSITIVE_INFINITY;
    let at = -1;
    for (let i = 0; i + 1 < parts.length; i++) {
      const pair = ranks.get(parts[i]! + parts[i + 1]!) ?? Number.POSITIVE_INFINITY;
      if (pair < lowest) [lowest, at] = [pair, i];
    }
    if (lowest >= rank) throw new Error(`the token of rank ${rank} is not made by merges of lower rank`);
    parts.splice(at, 2, parts[at]! + parts[at + 1]!);
  }
  return parts as [string, string];
}
