/**
 * How a tokenizer is honoured, as plain data, decided once by honour.ts: repair UTF-8, cut out added tokens, normalize,
 * cut out added tokens of the normalized text, then split into pieces and make tokens of each. Closed unions: a part
 * that is none of these is refused.
 */
import type { NormalizerPlan } from "./normalizers/normalizer.ts";
import type { Regex } from "./regex.ts";
import type { AddedToken, Part } from "./tokenizer-json.ts";
import type { WordSplitPlan } from "./word-splitting.ts";

export type TokenizerPlan = CounterPlan | LibraryPlan;

/** By the counter. */
export interface CounterPlan {
  readonly path: "fast";
  readonly added: readonly AddedTokenPlan[];
  readonly normalizer: NormalizerPlan;
  readonly spaces: SpacesPlan;
  readonly prefix: PrefixPlan | null;
  readonly split: SplitPlan;
  readonly model: ModelPlan;
}

/** By @huggingface/tokenizers. */
export interface LibraryPlan {
  readonly path: "library";
  readonly added: readonly AddedToken[];
  readonly preTokenizer: Part | null;
}

/** A token that is looked for in the text before anything else is. */
export interface AddedTokenPlan {
  readonly id: number;
  readonly content: string;
  /** looked for in the normalized text, in its own normalized form */
  readonly normalized: boolean;
  /** not next to a word character */
  readonly singleWord: boolean;
  /** takes the white space before it */
  readonly lstrip: boolean;
  /** takes the white space behind it */
  readonly rstrip: boolean;
  /** its text is ordinary text: it is found, so that no other token is in its place, and then not cut out */
  readonly asText: boolean;
}

/**
 * "kept", or SentencePiece's: each space is U+2581, and U+2581 in text is the same; marked by the normalizer (before
 * added tokens of the normalized text are looked for) or by the pre-tokenizer. The counter works with spaces for both.
 * "words-marked": white space goes, and each word begins with a mark (T5's and XLM-R's WhitespaceSplit and Metaspace).
 */
export type SpacesPlan = "kept" | "marked-by-normalizer" | "marked-by-pre-tokenizer" | "words-marked";

/** A space before text that is not empty. */
export interface PrefixPlan {
  readonly by: "normalizer" | "pre-tokenizer";
  /** only before the document, or before every text between added tokens too */
  readonly before: "document" | "text";
  /** not before text that begins with one */
  readonly unlessThere: boolean;
}

export type SplitPlan =
  /** a family of patterns that the counter has by hand (assembly/split.ts) */
  | {
      readonly kind: "pattern";
      readonly family: 0 | 1 | 2 | 3;
      /** most digits in a piece; r50k has no limit */
      readonly maxDigits: number;
      /** o200k's words without contractions */
      readonly bareWords: boolean;
    }
  /** the model takes the text whole, or (`words`) cut before every space */
  | { readonly kind: "whole"; readonly words: boolean }
  | WordSplitPlan
  /** what the expressions match, and what is between, each within the pieces of the one before; without any the text */
  | { readonly kind: "steps"; readonly steps: readonly SplitStep[] };

export type SplitStep =
  | Extract<SplitPlan, { kind: "pattern" }>
  | {
      readonly kind: "regex";
      readonly regex: Regex;
      /** it sees each byte as a character of GPT-2's alphabet */
      readonly onBytes: boolean;
    };

export type ModelPlan =
  /** BPE of bytes */
  | { readonly kind: "byte-level" }
  /** BPE of characters, with byte tokens or an unknown token for those that are not in the vocabulary */
  | { readonly kind: "characters" }
  | { readonly kind: "unigram" }
  | { readonly kind: "word-piece" }
  | { readonly kind: "word-level" };
