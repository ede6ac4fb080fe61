/** Plain empirical risk: every unmasked token of the batch counts the same. */
import type { ObjectiveFacts } from "../../mixture/objective.ts";
import { domainsOf, positive, vector } from "./domains.ts";
import type { GraphRule } from "./graph-objective.ts";

export function ermRule(facts: ObjectiveFacts): GraphRule {
  return {
    step(tf, _state, batch) {
      const { tokens } = domainsOf(tf, batch, facts.domains); // [K]
      const total = tf.sum(tokens);
      const atLeastOne = tf.maximum(total, 1);
      // The shares of sampling where there is no token at all.
      const none = tf.cast(tf.equal(total, 0), "float32");
      return {
        state: {},
        alpha: tf.add(tf.div(tokens, atLeastOne), tf.mul(vector(tf, facts.sampling), none)), // [K]
        tokenWeight: tf.div(positive(tf, batch.tokens), atLeastOne), // [B]
      };
    },
  };
}
