/** Plain empirical risk: every unmasked token of the batch counts the same. */
import type { ObjectiveFacts } from "../../mixture/objective.ts";
import { domainsOf, orWhereNone, positive } from "./domains.ts";
import type { GraphRule } from "./graph-objective.ts";

export function ermRule(facts: ObjectiveFacts): GraphRule {
  return {
    step(tf, _state, batch) {
      const { tokens, present } = domainsOf(tf, batch, facts.domains); // [K]
      const atLeastOne = tf.maximum(tf.sum(tokens), 1);
      return {
        state: {},
        alpha: orWhereNone(tf, tf.div(tokens, atLeastOne), present, facts.sampling), // [K]
        tokenWeight: tf.div(positive(tf, batch.tokens), atLeastOne), // [B]
      };
    },
  };
}
