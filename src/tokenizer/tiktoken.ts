/** OpenAI's vocabularies by name: their tables as the build makes them, and what the rank files do not say. */
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { DoremiError } from "../lib/errors.ts";
import { sha256Json } from "../lib/hash.ts";
import { TIKTOKEN_PATTERNS } from "./patterns.ts";
import type { AddedTokenPlan, CounterPlan } from "./plan.ts";
import type { PublishedVocabulary } from "./published-vocabulary.ts";
import { readPublishedVocabulary } from "./published-vocabulary.ts";
import type { SpecialTokens, TokenizerDescriptor } from "./tokenizer.ts";
import { UNICODE_CLASSES_SHA256 } from "./unicode-table.ts";
import type { Vocabulary } from "./vocabulary.ts";

export type TiktokenName = "r50k" | "p50k" | "cl100k" | "o200k";

interface Encoding {
  /** tiktoken's own n_vocab */
  readonly vocabularySize: number;
  /** ids beyond the ranks */
  readonly special: Readonly<Record<string, number>>;
}

const END_OF_TEXT = "<|endoftext|>";
const ENCODINGS: Record<TiktokenName, Encoding> = {
  r50k: { vocabularySize: 50257, special: { [END_OF_TEXT]: 50256 } },
  p50k: { vocabularySize: 50281, special: { [END_OF_TEXT]: 50256 } },
  cl100k: {
    vocabularySize: 100277,
    special: {
      [END_OF_TEXT]: 100257,
      "<|fim_prefix|>": 100258,
      "<|fim_middle|>": 100259,
      "<|fim_suffix|>": 100260,
      "<|endofprompt|>": 100276,
    },
  },
  o200k: { vocabularySize: 200019, special: { [END_OF_TEXT]: 199999, "<|endofprompt|>": 200018 } },
};

const ALIASES: Readonly<Record<string, TiktokenName>> = {
  gpt2: "r50k",
  r50k_base: "r50k",
  p50k_base: "p50k",
  cl100k_base: "cl100k",
  o200k_base: "o200k",
};

/** All names that `tiktokenName` knows, for messages. */
export const TIKTOKEN_NAMES: readonly string[] = [...Object.keys(ENCODINGS), ...Object.keys(ALIASES)];

export function tiktokenName(name: string): TiktokenName | undefined {
  if (Object.hasOwn(ENCODINGS, name)) return name as TiktokenName;
  return Object.hasOwn(ALIASES, name) ? ALIASES[name] : undefined;
}

/** Changes when the counter's rules change in a way that can change a count. */
export const COUNTER_VERSION = 1;

async function readVocabulary(encoding: TiktokenName): Promise<PublishedVocabulary> {
  const path = fileURLToPath(new URL(`./vocabularies/${encoding}.vocabulary`, import.meta.url));
  try {
    return readPublishedVocabulary(await readFile(path));
  } catch (cause) {
    throw new DoremiError(
      "internal",
      "vocabulary-not-built",
      `${path}: the vocabulary of ${encoding} must be here and can't be read; build it with \`npm run build\`, or reinstall doremi`,
      { file: path, cause },
    );
  }
}

function fingerprint(encoding: TiktokenName, ranksSha256: string, specialTokens: SpecialTokens): string {
  return sha256Json({
    counter: COUNTER_VERSION,
    pattern: TIKTOKEN_PATTERNS[encoding],
    ranks: ranksSha256,
    specialTokens,
    unicode: UNICODE_CLASSES_SHA256,
  });
}

/** @param name the name given, which may be an alias */
export async function resolveTiktoken(
  name: string,
  encoding: TiktokenName,
  specialTokens: SpecialTokens,
): Promise<TokenizerDescriptor> {
  const { ranksSha256 } = await readVocabulary(encoding);
  const { vocabularySize, special } = ENCODINGS[encoding];
  return {
    name,
    source: { kind: "tiktoken", encoding },
    fingerprint: fingerprint(encoding, ranksSha256, specialTokens),
    vocabularySize,
    endOfText: special[END_OF_TEXT]!,
    path: "fast",
    specialTokens,
  };
}

export interface TiktokenTokenizer {
  readonly vocabulary: Vocabulary;
  readonly plan: CounterPlan;
  readonly fingerprint: string;
}

export async function readTiktoken(encoding: TiktokenName, specialTokens: SpecialTokens): Promise<TiktokenTokenizer> {
  const { vocabulary, ranksSha256 } = await readVocabulary(encoding);
  const plan: CounterPlan = {
    path: "fast",
    added: specialTokens === "parse" ? specialPlans(encoding) : [],
    normalizer: [],
    spaces: "kept",
    prefix: null,
    split: { kind: "pattern", ...TIKTOKEN_PATTERNS[encoding] },
    model: { kind: "byte-level" },
  };
  return { vocabulary, plan, fingerprint: fingerprint(encoding, ranksSha256, specialTokens) };
}

function specialPlans(encoding: TiktokenName): AddedTokenPlan[] {
  return Object.entries(ENCODINGS[encoding].special).map(([content, id]) => ({
    id,
    content,
    normalized: false,
    singleWord: false,
    lstrip: false,
    rstrip: false,
    asText: false,
  }));
}
