/**
 * The splitting patterns that the counter knows, by the exact text under which they are published. Two texts that mean
 * the same have two entries; a text that is not here is never guessed at.
 */
import type { SplitPlan } from "./plan.ts";

export type SplitPattern = Omit<Extract<SplitPlan, { kind: "pattern" }>, "kind">;

const R50K: SplitPattern = { family: 0, maxDigits: 0, bareWords: false };
/** Differs from LLAMA3 in white space at the end of the text, which is one piece. */
const CL100K: SplitPattern = { family: 1, maxDigits: 3, bareWords: false };
const LLAMA3: SplitPattern = { family: 2, maxDigits: 3, bareWords: false };
const QWEN2: SplitPattern = { family: 2, maxDigits: 1, bareWords: false };
const O200K: SplitPattern = { family: 3, maxDigits: 3, bareWords: false };
const TEKKEN: SplitPattern = { family: 3, maxDigits: 1, bareWords: true };

export const TIKTOKEN_PATTERNS = { r50k: R50K, p50k: R50K, cl100k: CL100K, o200k: O200K } as const;

export const GPT2_REGEX = String.raw`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`;

const CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
const UPPER = String.raw`[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]`;
const LOWER = String.raw`[\p{Ll}\p{Lm}\p{Lo}\p{M}]`;
const PREFIX = String.raw`[^\r\n\p{L}\p{N}]?`;

const KNOWN: ReadonlyMap<string, SplitPattern> = new Map([
  [GPT2_REGEX, R50K],
  [
    String.raw`${CONTRACTIONS}|${PREFIX}\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
    LLAMA3, // and cl100k as first published
  ],
  [String.raw`${CONTRACTIONS}|${PREFIX}\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`, QWEN2],
  [
    String.raw`${PREFIX}${UPPER}*${LOWER}+${CONTRACTIONS}?|${PREFIX}${UPPER}+${LOWER}*${CONTRACTIONS}?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
    O200K,
  ],
  [
    String.raw`${PREFIX}${UPPER}*${LOWER}+|${PREFIX}${UPPER}+${LOWER}*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
    TEKKEN,
  ],
]);

/** The pattern of a Split pre-tokenizer's regular expression, if it is one that the counter implements. */
export function patternOfRegex(regex: string): SplitPattern | undefined {
  return KNOWN.get(regex);
}
