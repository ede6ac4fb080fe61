/**
 * Best response to a batch inside a ball (CVaR, χ², KL) around the uniform distribution over its domains or over its
 * sequences. Nothing goes from step to step.
 */
import type { Objective, ObjectiveFacts, SequenceStatistics } from "../objective.ts";
import type { BallSettings } from "../objective-settings.ts";
import { domainMeanWeights, finiteDomainStatistics } from "./batch.ts";
import { bestResponse } from "./best-response.ts";

/** No state. */
export function createBall(settings: BallSettings, facts: ObjectiveFacts): Objective {
  const K = facts.domains;
  return {
    settings,
    init: () => ({}),
    step(state, batch) {
      const statistics = finiteDomainStatistics(batch, K);
      const overDomains = settings.over === "domains";
      const items = overDomains ? indicesOf(statistics.tokens) : indicesOf(batch.tokens);
      if (items.length === 0) {
        const tokenWeight = new Float64Array(batch.domains.length);
        return { state, alpha: Float64Array.from(facts.start), tokenWeight, value: 0 };
      }
      const losses = overDomains
        ? items.map((domain) => statistics[settings.losses][domain]!)
        : items.map((row) => batch[settings.losses][row]! / batch.tokens[row]!);
      const { weights, value } = bestResponse(losses, settings);
      const alpha = new Float64Array(K);
      for (const [at, item] of items.entries()) alpha[overDomains ? item : batch.domains[item]!]! += weights[at]!;
      const tokenWeight = overDomains
        ? domainMeanWeights(alpha, statistics.tokens, batch)
        : sequenceMeanWeights(weights, items, batch);
      return { state, alpha, tokenWeight, value };
    },
  };
}

/** Of those with a token: the others take part in nothing. */
function indicesOf(tokens: Float64Array): number[] {
  return [...tokens.keys()].filter((i) => tokens[i]! > 0);
}

/** Each sequence's weight over its tokens. */
function sequenceMeanWeights(weights: Float64Array, rows: readonly number[], batch: SequenceStatistics): Float64Array {
  const tokenWeight = new Float64Array(batch.domains.length); // [B]
  for (const [at, row] of rows.entries()) tokenWeight[row] = weights[at]! / batch.tokens[row]!;
  return tokenWeight;
}
