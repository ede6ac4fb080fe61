/** A tokenizer.json as a descriptor: its sizes, its end-of-text token, and a fingerprint of what decides its counts. */
import { basename } from "node:path";
import { sha256Json } from "../lib/hash.ts";
import type { Honour } from "./honour.ts";
import { honour } from "./honour.ts";
import { COUNTER_VERSION } from "./tiktoken.ts";
import type { TokenizerDescriptor } from "./tokenizer.ts";
import type { TokenizerJson } from "./tokenizer-json.ts";
import { readTokenizerJson } from "./tokenizer-json.ts";
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
  readonly honour: Honour;
  readonly descriptor: TokenizerDescriptor;
}

/** @throws DoremiError missing-file, bad-tokenizer, unsupported-tokenizer */
export async function readHuggingFace(path: string): Promise<HuggingFaceTokenizer> {
  const json = await readTokenizerJson(path);
  const honoured = honour(json);
  const ids = new Map(Object.entries(json.model.vocab));
  for (const token of json.addedTokens) ids.set(token.content, token.id);
  let vocabularySize = 0;
  for (const id of ids.values()) vocabularySize = Math.max(vocabularySize, id + 1);
  const endOfText = END_OF_TEXT.map((name) => ids.get(name)).find((id) => id !== undefined) ?? null;
  const engine =
    honoured.path === "fast"
      ? { counter: COUNTER_VERSION, unicode: UNICODE_CLASSES_SHA256 }
      : { library: LIBRARY, unicode: process.versions.unicode };
  return {
    json,
    honour: honoured,
    descriptor: {
      name: basename(path).replace(/\.json$/, ""),
      source: { kind: "huggingface", path },
      fingerprint: sha256Json({ content: json.contentSha256, engine }),
      vocabularySize,
      endOfText,
      path: honoured.path,
    },
  };
}

/** Changes when another release of the library counts differently. */
const LIBRARY = "@huggingface/tokenizers 0.2";
