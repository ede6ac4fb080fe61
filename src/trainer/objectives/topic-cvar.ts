/** Topic CVaR (Oren et al. 2019, arXiv 1909.02060) in a graph. */
import type { ObjectiveFacts } from "../../mixture/objective.ts";
import type { TopicCvarSettings } from "../../mixture/objective-settings.ts";
import { shareOfData } from "../../mixture/objectives/running-losses.ts";
import { cappedResponse } from "./capped-response.ts";
import { domainMeanWeights, domainsOf, orWhereNone, vector } from "./domains.ts";
import type { GraphRule } from "./graph-objective.ts";
import { follow } from "./running-losses.ts";

/** Below α times every share. */
const TINY = 1e-37;

export function topicCvarRule({ baseline, decay, fraction }: TopicCvarSettings, facts: ObjectiveFacts): GraphRule {
  const shares = shareOfData(facts); // [K]
  const losses = baseline === "reference" ? "excess" : "loss";
  return {
    step(tf, state, batch) {
      const domains = domainsOf(tf, batch, facts.domains);
      const { running, seen } = follow(tf, state, domains.mean(batch[losses]), domains.present, decay); // [K]
      // Shares among the domains seen so far: theirs of all the data may add up to less than α.
      const known = tf.mul(seen, vector(tf, shares)); // [K]
      const caps = tf.div(known, tf.maximum(tf.mul(tf.sum(known), fraction), TINY));
      const alpha = orWhereNone(tf, cappedResponse(tf, running, caps), seen, facts.start); // [K]
      return { state: { running, seen }, alpha, tokenWeight: domainMeanWeights(tf, domains, alpha) };
    },
  };
}
