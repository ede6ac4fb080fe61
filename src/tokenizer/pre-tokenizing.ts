/** A tokenizer.json's pre-tokenizer as parts of a plan. */
import type { Normalizing } from "./normalizing.ts";
import { partsOf } from "./normalizing.ts";
import { GPT2_REGEX, patternOfRegex } from "./patterns.ts";
import type { PrefixPlan, SpacesPlan, SplitPlan } from "./plan.ts";
import type { Part } from "./tokenizer-json.ts";

export interface PreTokenizing {
  readonly split: SplitPlan;
  readonly spaces: SpacesPlan;
  readonly prefix: PrefixPlan | null;
  /** the model gets bytes, each written as a character of GPT-2's alphabet */
  readonly bytes: boolean;
}

/** undefined where a step has no exact equal. @param normalized what the normalizer does before */
export function preTokenizing(preTokenizer: Part | null, normalized: Normalizing): PreTokenizing | undefined {
  const parts = partsOf(preTokenizer, "pretokenizers");
  const { spaces } = normalized;
  if (spaces === "marked-by-normalizer" && parts.every(splitsAtSpaces)) {
    return { split: { kind: "whole", words: false }, spaces, prefix: normalized.prefix, bytes: false };
  }
  const [first, second, ...more] = parts;
  if (first === undefined) return { split: { kind: "whole", words: false }, spaces, prefix: null, bytes: false };
  if (more.length > 0) return undefined;
  if (first.type === "Metaspace") return second === undefined ? metaspace(first, normalized) : undefined;
  if (normalized.prefix !== null) return undefined;
  const byteLevel = second ?? first;
  if (byteLevel.type !== "ByteLevel") return undefined;
  const regex = second === undefined ? (byteLevel.use_regex === false ? undefined : GPT2_REGEX) : isolatedRegex(first);
  if (second !== undefined && (second.use_regex !== false || second.add_prefix_space !== false)) return undefined;
  const pattern = regex === undefined ? undefined : patternOfRegex(regex);
  if (pattern === undefined) return undefined;
  const prefix: PrefixPlan | null =
    byteLevel.add_prefix_space === false ? null : { by: "pre-tokenizer", before: "text", unlessThere: true };
  return { split: { kind: "pattern", ...pattern }, spaces, prefix, bytes: true };
}

function metaspace(part: Part, normalized: Normalizing): PreTokenizing | undefined {
  const { replacement, prepend_scheme: scheme, split } = part;
  if (replacement !== "\u2581" || typeof scheme !== "string" || !["first", "always", "never"].includes(scheme)) {
    return undefined;
  }
  const own: PrefixPlan | null =
    scheme === "never"
      ? null
      : { by: "pre-tokenizer", before: scheme === "first" ? "document" : "text", unlessThere: true };
  if (own !== null && normalized.prefix !== null) return undefined;
  // a step that drops text may move the document's beginning, and with it what is first
  if (scheme === "first" && normalized.normalizer.some(({ kind }) => kind !== "normal-form")) return undefined;
  return {
    split: { kind: "whole", words: split !== false },
    spaces: normalized.spaces === "kept" ? "marked-by-pre-tokenizer" : normalized.spaces,
    prefix: normalized.prefix ?? own,
    bytes: false,
  };
}

/** A Split at U+0020, which the normalizer has left none of (Gemma). */
function splitsAtSpaces({ type, pattern }: Part): boolean {
  return (
    type === "Split" && typeof pattern === "object" && pattern !== null && "String" in pattern && pattern.String === " "
  );
}

/** The regular expression of a Split whose matches are the pieces. */
export function isolatedRegex(part: Part): string | undefined {
  if (part.type !== "Split" || part.behavior !== "Isolated" || part.invert === true) return undefined;
  const { pattern } = part;
  return typeof pattern === "object" && pattern !== null && "Regex" in pattern && typeof pattern.Regex === "string"
    ? pattern.Regex
    : undefined;
}
