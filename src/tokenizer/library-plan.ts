/**
 * What @huggingface/tokenizers honours exactly of what the counter does not: the same checks on it, in terms in which its
 * results are the reference implementation's.
 */
import { addedTokenPlans, isNormalized } from "./added-token-plan.ts";
import { hasByteFallback } from "./characters.ts";
import { partsOf } from "./normalizing.ts";
import type { LibraryPlan } from "./plan.ts";
import type { SpecialTokens } from "./tokenizer.ts";
import type { AddedToken, BpeModel, Part, TokenizerJson } from "./tokenizer-json.ts";
import { unsupported } from "./tokenizer-json.ts";

/** Unicode's normal forms, which JavaScript has too. */
const NORMAL_FORMS = new Set(["NFC", "NFD", "NFKC", "NFKD"]);

/** @throws DoremiError unsupported-tokenizer */
export function libraryPlan(json: TokenizerJson, model: BpeModel, special: SpecialTokens): LibraryPlan {
  const { path } = json;
  for (const normalizer of partsOf(json.normalizer, "normalizers")) checkNormalizer(normalizer, path);
  return { path: "library", added: addedTokens(json, special), preTokenizer: preTokenizer(json, model) };
}

/** Special tokens that are text are left out; the library finds the others where the reference implementation does. */
function addedTokens(json: TokenizerJson, special: SpecialTokens): AddedToken[] {
  const { path } = json;
  const sought = addedTokenPlans(json, special);
  for (const token of sought) {
    const name = `its added token ${JSON.stringify(token.content)}`;
    if (token.singleWord || token.lstrip || token.rstrip) {
      throw unsupported(path, `${name} has single_word, lstrip or rstrip where the counter can't be used`);
    }
    const inItsWay = sought.find((other) => other.asText && !token.asText && mayOverlap(other.content, token.content));
    if (inItsWay !== undefined) {
      throw unsupported(path, `${name} may overlap ${JSON.stringify(inItsWay.content)}, which is text`);
    }
  }
  const added = json.addedTokens.filter((token) => special === "parse" || !token.special);
  if (new Set(added.map(isNormalized)).size > 1) {
    throw unsupported(path, "its added tokens are partly normalized and partly not");
  }
  return added;
}

/** Whether one text can begin inside the other. */
function mayOverlap(a: string, b: string): boolean {
  if (a.includes(b) || b.includes(a)) return true;
  for (let length = 1; length < Math.min(a.length, b.length); length++) {
    if (a.endsWith(b.slice(0, length)) || b.endsWith(a.slice(0, length))) return true;
  }
  return false;
}

function checkNormalizer(normalizer: Part, path: string): void {
  if (NORMAL_FORMS.has(normalizer.type) || normalizer.type === "Prepend") return;
  if (normalizer.type === "Replace") {
    const { pattern, content } = normalizer;
    const literal = typeof pattern === "object" && pattern !== null && "String" in pattern;
    // JavaScript's replaceAll gives $ in the replacement a meaning
    if (literal && typeof content === "string" && !content.includes("$")) return;
    throw unsupported(path, "its normalizer replaces by a regular expression or with a $");
  }
  throw unsupported(path, `its normalizer is ${normalizer.type}`);
}

/** The pre-tokenizer to give to the library: what splits is the counter's, the library follows the running Unicode. */
function preTokenizer({ preTokenizer, path }: TokenizerJson, model: BpeModel): Part | null {
  const parts = partsOf(preTokenizer, "pretokenizers");
  for (const part of parts) {
    if (part.type === "Metaspace" && part.split === false && typeof part.prepend_scheme === "string") continue;
    throw unsupported(path, `its pre-tokenizer has a ${part.type} step ${settingsOf(part)}`);
  }
  if (parts.length > 1) throw unsupported(path, "its pre-tokenizer has several Metaspace steps");
  if (!hasByteFallback(model)) throw unsupported(path, "some text would become unknown tokens in it");
  return parts[0] ?? null;
}

function settingsOf({ type: _, ...settings }: Part): string {
  const written = JSON.stringify(settings);
  return written.length > 300 ? `${written.slice(0, 300)}…` : written;
}
