/** A tokenizer.json as a descriptor: its sizes, its end-of-text token, and a fingerprint of what decides its counts. */
import { basename } from "node:path";
import { sha256Json } from "../lib/hash.ts";
import { honour } from "./honour.ts";
import { NORMALIZER_TABLES_SHA256 } from "./normalizers/tables.ts";
import type { TokenizerPlan } from "./plan.ts";
import { COUNTER_VERSION } from "./tiktoken.ts";
import type { SpecialTokens, TokenizerDescriptor } from "./tokenizer.ts";
import type { TokenizerJson } from "./tokenizer-json.ts";
import { readTokenizerJson } from "./tokenizer-json.ts";
import { UNICODE_CATEGORIES_SHA256 } from "./unicode-categories-table.ts";
import { UNICODE_CLASSES_SHA256 } from "./unicode-table.ts";

/** Names of the token that ends a document, the first that a vocabulary has. */
const END_OF_TEXT = [
  "<|endoftext|>",
  "<|end_of_text|>",
  "</s>",
  "<eos>",
  "<|eos|>",
  "<EOS>",
  "<\uff5cend\u2581of\u2581sentence\uff5c>",
  "<|endofdocument|>",
];

export interface HuggingFaceTokenizer {
  readonly json: TokenizerJson;
  readonly plan: TokenizerPlan;
  readonly descriptor: TokenizerDescriptor;
}

/** @throws DoremiError missing-file, bad-tokenizer, unsupported-tokenizer */
export async function readHuggingFace(path: string, specialTokens: SpecialTokens): Promise<HuggingFaceTokenizer> {
  const json = await readTokenizerJson(path);
  const plan = honour(json, specialTokens);
  const { vocab } = json.model;
  const added = new Map(json.addedTokens.map(({ content, id }) => [content, id]));
  let vocabularySize = vocab.idEnd;
  for (const id of added.values()) vocabularySize = Math.max(vocabularySize, id + 1);
  const endOfText = END_OF_TEXT.map((name) => added.get(name) ?? vocab.idOf(name)).find((id) => id !== undefined);
  const engine =
    plan.path === "fast"
      ? { counter: COUNTER_VERSION, unicode: UNICODE }
      : { library: LIBRARY, unicode: process.versions.unicode };
  return {
    json,
    plan,
    descriptor: {
      name: basename(path).replace(/\.json$/, ""),
      source: { kind: "huggingface", path },
      fingerprint: sha256Json({ content: json.contentSha256, engine, specialTokens }),
      vocabularySize,
      endOfText: endOfText ?? null,
      path: plan.path,
      specialTokens,
    },
  };
}

/** The frozen tables that plans go by. */
const UNICODE = [UNICODE_CLASSES_SHA256, UNICODE_CATEGORIES_SHA256, NORMALIZER_TABLES_SHA256];

/** Changes when another release of the library counts differently. */
const LIBRARY = "@huggingface/tokenizers 0.2";
