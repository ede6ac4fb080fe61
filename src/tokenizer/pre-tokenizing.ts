/** A tokenizer.json's pre-tokenizer as parts of a plan. */

import { keepsStart } from "./normalizers/normalizer.ts";
import type { Normalizing } from "./normalizing.ts";
import { partsOf } from "./normalizing.ts";
import { GPT2_REGEX, patternOfRegex } from "./patterns.ts";
import type { PrefixPlan, SpacesPlan, SplitPlan, SplitStep } from "./plan.ts";
import type { Regex } from "./regex.ts";
import { parseRegex, RegexError } from "./regex.ts";
import { compileRegex } from "./regex-program.ts";
import type { Part } from "./tokenizer-json.ts";
import { wordSplit } from "./word-splitting.ts";

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
  const [first, second] = parts;
  if (first === undefined) return { split: { kind: "whole", words: false }, spaces, prefix: null, bytes: false };
  if (first.type === "Metaspace") return second === undefined ? metaspace(first, normalized) : undefined;
  if (normalized.prefix !== null || spaces !== "kept") return undefined;
  if (first.type === "WhitespaceSplit" && second?.type === "Metaspace" && parts.length === 2) {
    return markedWords(second);
  }
  return usual(parts) ?? stepwise(parts) ?? byKind(parts);
}

/** Each word between white space gets the mark. */
function markedWords(part: Part): PreTokenizing | undefined {
  if (metaspaceScheme(part) !== "always") return undefined;
  return { split: { kind: "whole", words: part.split !== false }, spaces: "words-marked", prefix: null, bytes: false };
}

function byKind(parts: readonly Part[]): PreTokenizing | undefined {
  const split = wordSplit(parts);
  return split && { split, spaces: "kept", prefix: null, bytes: false };
}

/** A ByteLevel, alone or behind a Split, with a pattern that the counter has by hand. */
function usual([first, second, ...more]: readonly Part[]): PreTokenizing | undefined {
  const byteLevel = second ?? first;
  if (first === undefined || byteLevel?.type !== "ByteLevel" || more.length > 0) return undefined;
  if (second !== undefined && (second.use_regex !== false || second.add_prefix_space !== false)) return undefined;
  const regex = second === undefined ? (byteLevel.use_regex === false ? undefined : GPT2_REGEX) : isolatedRegex(first);
  const pattern = regex === undefined ? undefined : patternOfRegex(regex);
  if (pattern === undefined) return undefined;
  return { split: { kind: "pattern", ...pattern }, spaces: "kept", prefix: bytePrefix(byteLevel), bytes: true };
}

function bytePrefix(byteLevel: Part): PrefixPlan | null {
  return byteLevel.add_prefix_space === false ? null : { by: "pre-tokenizer", before: "text", unlessThere: true };
}

/** Any Splits, Digits, Punctuation and ByteLevel, one after the other. */
function stepwise(parts: readonly Part[]): PreTokenizing | undefined {
  const steps: SplitStep[] = [];
  let prefix: PrefixPlan | null = null;
  let bytes = false;
  for (const [i, part] of parts.entries()) {
    if (part.type === "ByteLevel") {
      if (bytes || (i > 0 && part.add_prefix_space !== false)) return undefined;
      prefix = bytePrefix(part);
      if (part.use_regex !== false) steps.push({ kind: "pattern", ...patternOfRegex(GPT2_REGEX)! });
      bytes = true;
    } else {
      const pattern = bytes ? undefined : patternOfRegex(isolatedRegex(part) ?? "");
      const regex = pattern ?? stepRegex(part);
      if (regex === undefined) return undefined;
      steps.push("family" in regex ? { kind: "pattern", ...regex } : { kind: "regex", regex, onBytes: bytes });
    }
  }
  return { split: { kind: "steps", steps }, spaces: "kept", prefix, bytes };
}

/** What a part's pieces match; what is between is pieces too. */
function stepRegex(part: Part): Regex | undefined {
  switch (part.type) {
    case "Split":
      return splitRegex(part);
    case "Digits":
      return characters("numeric", part.individual_digits === true);
    case "Punctuation":
      if (part.behavior === "Isolated") return characters("punctuation", true);
      return part.behavior === "Contiguous" ? characters("punctuation", false) : undefined;
    default:
      return undefined;
  }
}

function characters(name: string, individual: boolean): Regex {
  const body: Regex = { kind: "set", set: { kind: "property", name } };
  return individual ? body : { kind: "repeat", body, min: 1, max: Number.POSITIVE_INFINITY, mode: "greedy" };
}

function splitRegex(part: Part): Regex | undefined {
  const regex = isolatedRegex(part);
  if (regex === undefined) return undefined;
  try {
    const parsed = parseRegex(regex);
    compileRegex(parsed, { numberOf: () => 0 });
    return parsed;
  } catch (error) {
    if (error instanceof RegexError) return undefined;
    throw error;
  }
}

function metaspace(part: Part, normalized: Normalizing): PreTokenizing | undefined {
  const { split } = part;
  const scheme = metaspaceScheme(part);
  if (scheme === undefined) return undefined;
  const own: PrefixPlan | null =
    scheme === "never"
      ? null
      : { by: "pre-tokenizer", before: scheme === "first" ? "document" : "text", unlessThere: true };
  if (own !== null && normalized.prefix !== null) return undefined;
  // a step that drops text may move the document's beginning, and with it what is first
  if (scheme === "first" && !normalized.normalizer.every(keepsStart)) return undefined;
  return {
    split: { kind: "whole", words: split !== false },
    spaces: normalized.spaces === "kept" ? "marked-by-pre-tokenizer" : normalized.spaces,
    prefix: normalized.prefix ?? own,
    bytes: false,
  };
}

/** undefined where the reference implementation has another mark, or takes the part for wrong. */
function metaspaceScheme(part: Part): "first" | "always" | "never" | undefined {
  const { replacement, add_prefix_space: prefix } = part;
  const scheme = part.prepend_scheme ?? "always";
  if (replacement !== "\u2581" || (prefix === false && scheme !== "never")) return undefined;
  return scheme === "first" || scheme === "always" || scheme === "never" ? scheme : undefined;
}

/** A Split at U+0020, which the normalizer has left none of (Gemma). */
function splitsAtSpaces({ type, pattern }: Part): boolean {
  return (
    type === "Split" && typeof pattern === "object" && pattern !== null && "String" in pattern && pattern.String === " "
  );
}

/** The regular expression of a Split whose matches are pieces. */
function isolatedRegex({ type, behavior, pattern }: Part): string | undefined {
  if (type !== "Split" || behavior !== "Isolated" || typeof pattern !== "object" || pattern === null) return undefined;
  if ("Regex" in pattern && typeof pattern.Regex === "string") return pattern.Regex;
  if ("String" in pattern && typeof pattern.String === "string" && pattern.String !== "") {
    return pattern.String.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");
  }
  return undefined;
}
