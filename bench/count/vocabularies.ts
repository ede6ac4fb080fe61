/**
 * The vocabularies as files that the peers read: a tokenizer.json for each, and the rank files of those that tiktoken
 * has.
 */
import { copyFile, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { BYTE_CHARACTERS } from "../../src/tokenizer/byte-level.ts";
import { readTiktoken } from "../../src/tokenizer/tiktoken.ts";
import type { Vocabulary } from "../../src/tokenizer/vocabulary.ts";
import { bpeModel, writeVocabularies } from "../../test/tokenizer/vocabularies.ts";
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
    const ranks = createRequire(import.meta.url).resolve(`gpt-tokenizer/data/${name}_base.tiktoken`);
    await copyFile(ranks, join(folder, `${name}.tiktoken`));
    const { vocabulary } = await readTiktoken(name, "text");
    await writeFile(join(folder, `${name}.json`), JSON.stringify(tokenizerJson(vocabulary, RANKED[name])));
  }
}

/** What `doremi count --tokenizer` and `resolveTokenizer` take. */
export function tokenizerArgument(folder: string, name: VocabularyName): string {
  return isRanked(name) ? name : join(folder, `${name}.json`);
}

function tokenizerJson({ bytes, ends, merges }: Vocabulary, regex: string | null): object {
  const tokens = Array.from({ length: ends.length - 1 }, (_, id) =>
    Array.from(bytes.subarray(ends[id], ends[id + 1]), (byte) => BYTE_CHARACTERS[byte]).join(""),
  );
  const pairs = Array.from({ length: merges.length / 3 }, (_, i) => [
    tokens[merges[3 * i]!]!,
    tokens[merges[3 * i + 1]!]!,
  ]);
  const byteLevel = (useRegex: boolean) => ({
    type: "ByteLevel",
    add_prefix_space: false,
    trim_offsets: true,
    use_regex: useRegex,
  });
  const split = { type: "Split", pattern: { Regex: regex }, behavior: "Isolated", invert: false };
  return {
    version: "1.0",
    added_tokens: [],
    normalizer: null,
    pre_tokenizer: regex === null ? byteLevel(true) : { type: "Sequence", pretokenizers: [split, byteLevel(false)] },
    post_processor: null,
    decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
    // an id without a token is empty
    model: {
      ...bpeModel(
        tokens.flatMap((token, id) => (token === "" ? [] : [[token, id] as const])),
        pairs,
      ),
      ignore_merges: true,
    },
  };
}
