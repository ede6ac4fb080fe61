/**
 * Empirical risk minimization: every token of a batch counts the same, so that the weights are what sampling makes of
 * them. What the other objectives are compared with.
 */
import type { Objective, ObjectiveFacts } from "../objective.ts";
import type { ErmSettings } from "../objective-settings.ts";
import { finiteDomainStatistics, weightedLoss } from "./batch.ts";

/** No state. */
export function createErm(settings: ErmSettings, facts: ObjectiveFacts): Objective {
  return {
    settings,
    init: () => ({}),
    step(state, batch) {
      const { tokens } = finiteDomainStatistics(batch, facts.domains);
      const total = tokens.reduce((a, b) => a + b, 0);
      const tokenWeight = batch.tokens.map((count) => (count > 0 ? 1 / total : 0));
      return {
        state,
        alpha: total > 0 ? tokens.map((count) => count / total) : Float64Array.from(facts.sampling),
        tokenWeight,
        value: weightedLoss(tokenWeight, batch.loss),
      };
    },
  };
}
