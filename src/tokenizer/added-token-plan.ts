/** The added tokens of a tokenizer.json as the reference implementation takes them when it reads the file. */
import type { AddedTokenPlan } from "./plan.ts";
import type { SpecialTokens } from "./tokenizer.ts";
import type { AddedToken, TokenizerJson } from "./tokenizer-json.ts";
import { unsupported } from "./tokenizer-json.ts";

export function isNormalized(token: AddedToken): boolean {
  return token.normalized ?? !token.special;
}

/**
 * The tokens that must be looked for. A token has its id in model.vocab or, where it has none, the next id behind all.
 * @throws DoremiError unsupported-tokenizer where the ids are not those, or a token is listed twice
 */
export function addedTokenPlans({ addedTokens, model, path }: TokenizerJson, special: SpecialTokens): AddedTokenPlan[] {
  const seen = new Set<string>();
  let last = -1;
  const plans = addedTokens.map((token): AddedTokenPlan => {
    const name = `its added token ${JSON.stringify(token.content)}`;
    if (seen.has(token.content)) throw unsupported(path, `${name} is listed twice`);
    seen.add(token.content);
    const id = model.vocab.idOf(token.content) ?? Math.max(last + 1, model.vocab.size);
    last = Math.max(last, id);
    if (id !== token.id && (!token.special || special === "parse")) {
      throw unsupported(path, `${name} has id ${token.id} where the reference implementation gives it ${id}`);
    }
    return {
      id,
      content: token.content,
      normalized: isNormalized(token),
      singleWord: token.single_word,
      lstrip: token.lstrip,
      rstrip: token.rstrip,
      asText: token.special && special === "text",
    };
  });
  // a token that is text matters only where it may stand in another's way
  return plans.every(({ asText }) => asText) ? [] : plans;
}
