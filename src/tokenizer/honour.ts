/**
 * Decides how a tokenizer.json can be honoured exactly: by the counter, by @huggingface/tokenizers, or not at all. Only
 * settings whose effect on both sides is known to be equal to the reference implementation's are let through.
 */
import { addedTokenPlans } from "./added-token-plan.ts";
import { hasAllBytes } from "./byte-level.ts";
import { libraryPlan } from "./library-plan.ts";
import { normalizerSteps } from "./normalizers/normalizer.ts";
import { normalizing, normalizingWithMarks, partsOf } from "./normalizing.ts";
import type { CounterPlan, ModelPlan, TokenizerPlan } from "./plan.ts";
import { preTokenizing } from "./pre-tokenizing.ts";
import { normalizedText } from "./text-steps.ts";
import type { SpecialTokens } from "./tokenizer.ts";
import type { BpeModel, TokenizerJson } from "./tokenizer-json.ts";
import { unsupported } from "./tokenizer-json.ts";

/** Ids, merges and bytes of a token must fit the counter's tables (vocabulary.ts of the assembly). */
const COUNTER_TOKENS = 1 << 21;

/** @throws DoremiError unsupported-tokenizer */
export function honour(json: TokenizerJson, special: SpecialTokens): TokenizerPlan {
  const { model } = json;
  switch (model.type) {
    case "BPE":
      return honourBpe(json, model, special);
    case "Unigram":
      return byCounter(json, special, { kind: "unigram" });
    case "WordPiece":
      return byCounter(json, special, { kind: "word-piece" });
    case "WordLevel":
      return byCounter(json, special, { kind: "word-level" });
    default:
      return model satisfies never;
  }
}

function honourBpe(json: TokenizerJson, model: BpeModel, special: SpecialTokens): TokenizerPlan {
  const { path } = json;
  if (model.dropout) throw unsupported(path, `model.dropout is ${model.dropout}`);
  if (model.continuing_subword_prefix) throw unsupported(path, "model.continuing_subword_prefix is set");
  if (model.end_of_word_suffix) throw unsupported(path, "model.end_of_word_suffix is set");
  if (model.merges.ends.length >= 2 * COUNTER_TOKENS) throw unsupported(path, "it has more than two million merges");
  const plan = counterPlan(json, special, (bytes) => {
    if (bytes) return hasAllBytes(model.vocab) ? { kind: "byte-level" } : undefined;
    // the counter cuts a text into pieces of its own, which are no texts for ignore_merges
    return model.ignore_merges ? undefined : { kind: "characters" };
  });
  return plan ?? libraryPlan(json, model, special);
}

/** A model of characters that only the counter has. */
function byCounter(json: TokenizerJson, special: SpecialTokens, model: ModelPlan): CounterPlan {
  const plan = counterPlan(json, special, (bytes) => (bytes ? undefined : model));
  if (plan === undefined) throw unsupported(json.path, notInCounter(json));
  return plan;
}

function notInCounter({ normalizer, preTokenizer }: TokenizerJson): string {
  const step = partsOf(normalizer, "normalizers").find((part) => normalizerSteps(part) === undefined);
  if (step !== undefined) return `its normalizer has this step: ${JSON.stringify(step).slice(0, 200)}`;
  const types = partsOf(preTokenizer, "pretokenizers").map(({ type }) => type);
  return `its pre-tokenizer is ${types.join(", ") || "none"} behind its normalizer`;
}

/** undefined where a part has no equal in the counter. @param modelOf the model of bytes, or of characters */
function counterPlan(
  json: TokenizerJson,
  special: SpecialTokens,
  modelOf: (bytes: boolean) => ModelPlan | undefined,
): CounterPlan | undefined {
  const { path } = json;
  if (json.model.vocab.idEnd >= COUNTER_TOKENS) throw unsupported(path, "it has ids of more than two million");
  for (const normalized of [normalizingWithMarks(json.normalizer), normalizing(json.normalizer)]) {
    const preTokenized = normalized && preTokenizing(json.preTokenizer, normalized);
    if (normalized === undefined || preTokenized === undefined) continue;
    const model = modelOf(preTokenized.bytes);
    if (model === undefined) continue;
    const { split, spaces, prefix } = preTokenized;
    const added = addedTokenPlans(json, special);
    const plan: CounterPlan = { path: "fast", added, normalizer: normalized.normalizer, spaces, prefix, split, model };
    checkNormalizedTokens(plan, path);
    return plan;
  }
  return undefined;
}

/** Which of two tokens is found whose normalized text is the same is by chance in the reference implementation. */
function checkNormalizedTokens(plan: CounterPlan, path: string): void {
  const seen = new Map<string, string>();
  for (const { content, normalized } of plan.added) {
    if (!normalized) continue;
    const text = Buffer.from(normalizedText(plan, Buffer.from(content, "utf8"))).toString("latin1");
    const name = `its added token ${JSON.stringify(content)}`;
    if (text === "") throw unsupported(path, `${name} is nothing after normalizing`);
    if (seen.has(text)) {
      throw unsupported(path, `${name} is the same as ${JSON.stringify(seen.get(text))} after normalizing`);
    }
    seen.set(text, content);
  }
}
