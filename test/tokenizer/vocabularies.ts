/**
 * Published vocabularies beyond tiktoken's, from npm packages, written as the tokenizer.json that the counter reads:
 * Llama 1 and 2, Mistral 7B (SentencePiece-style BPE with byte fallback), and Llama 3 (byte-level BPE).
 */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import llama2 from "llama-tokenizer-js";
import llama3 from "llama3-tokenizer-js";
// @ts-expect-error the package has no declarations
import mistral from "mistral-tokenizer-js";

interface Published {
  /** by id */
  readonly vocabById: readonly string[];
  /** "left right" in the order in which pairs merge */
  readonly merges: ReadonlyMap<string, number>;
}

/** Ids from here on are special tokens. */
const LLAMA3_RANKS = 128_000;

const LLAMA3_REGEX = String.raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`;

export const PUBLISHED_NAMES = ["llama3", "llama2", "mistral"] as const;
export type PublishedName = (typeof PUBLISHED_NAMES)[number];

/** Writes NAME.json for every name into a folder. */
export async function writeVocabularies(folder: string, names: readonly PublishedName[] = PUBLISHED_NAMES) {
  for (const name of names) await writeFile(join(folder, `${name}.json`), JSON.stringify(tokenizerJson(name)));
}

function tokenizerJson(name: PublishedName): object {
  switch (name) {
    case "llama3":
      return byteLevel(llama3);
    case "llama2":
      return sentencePiece(llama2);
    case "mistral":
      return sentencePiece(mistral);
    default:
      return name satisfies never;
  }
}

function byteLevel({ vocabById, merges }: Published): object {
  return {
    version: "1.0",
    added_tokens: vocabById.slice(LLAMA3_RANKS).map((content, i) => special(content, LLAMA3_RANKS + i)),
    normalizer: null,
    pre_tokenizer: {
      type: "Sequence",
      pretokenizers: [
        { type: "Split", pattern: { Regex: LLAMA3_REGEX }, behavior: "Isolated", invert: false },
        { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: false },
      ],
    },
    post_processor: null,
    decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: { ...model(vocabById.slice(0, LLAMA3_RANKS), merges), ignore_merges: true },
  };
}

function sentencePiece({ vocabById, merges }: Published): object {
  return {
    version: "1.0",
    added_tokens: vocabById.slice(0, 3).map(special), // <unk>, <s>, </s>
    normalizer: {
      type: "Sequence",
      normalizers: [
        { type: "Prepend", prepend: "\u2581" },
        { type: "Replace", pattern: { String: " " }, content: "\u2581" },
      ],
    },
    pre_tokenizer: null,
    post_processor: null,
    decoder: null,
    model: { ...model(vocabById, merges), unk_token: "<unk>", fuse_unk: true, byte_fallback: true },
  };
}

function model(vocabById: readonly string[], merges: ReadonlyMap<string, number>): object {
  return bpeModel(
    vocabById.map((token, id) => [token, id]),
    [...merges.keys()].map((pair) => pair.split(" ")),
  );
}

/** The model of a tokenizer.json with plain settings. */
export function bpeModel(
  vocab: readonly (readonly [string, number])[],
  merges: readonly (readonly string[])[],
): object {
  return {
    type: "BPE",
    dropout: null,
    unk_token: null,
    continuing_subword_prefix: null,
    end_of_word_suffix: null,
    fuse_unk: false,
    byte_fallback: false,
    ignore_merges: false,
    vocab: Object.fromEntries(vocab),
    merges,
  };
}

function special(content: string, id: number): object {
  return { id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
}
