/** DoReMi's update and objective (Algorithm 1, arXiv 2305.10429) in a graph, with every switch of the float64 twin. */
import type { Tensor } from "@tensorflow/tfjs-core";
import type { TensorFlow } from "../../engine/tensorflow.ts";
import type { ObjectiveFacts } from "../../mixture/objective.ts";
import type { DoReMiSettings } from "../../mixture/objective-settings.ts";
import { type DomainsOfBatch, domainMeanWeights, domainsOf, select, vector } from "./domains.ts";
import { exponentiatedGradient } from "./exponentiated-gradient.ts";
import type { GraphRule } from "./graph-objective.ts";

export function doremiRule(settings: DoReMiSettings, facts: ObjectiveFacts): GraphRule {
  const { eta, smoothing, clip, missing, smoothToward, loss } = settings;
  const K = facts.domains;
  const toward = facts.reference.map((share) => smoothing * (smoothToward === "reference" ? share : 1 / K)); // [K]
  return {
    step(tf, state, batch) {
      const domains = domainsOf(tf, batch, K);
      // λ of the domains in the batch, 0 of the others
      const found = clip === "token" ? domains.mean(batch.clipped) : tf.relu(domains.mean(batch.excess)); // [K]
      const excess = missing === "carry" ? select(tf, domains.present, found, state.carried!) : found; // [K]
      const takesPart = missing === "skip" ? domains.present : undefined;
      const moved = exponentiatedGradient(tf, state.alpha!, tf.mul(excess, eta), takesPart); // [K]
      const alpha = tf.add(tf.mul(moved, 1 - smoothing), vector(tf, toward)); // [K]
      return {
        state: missing === "carry" ? { alpha, carried: excess } : { alpha },
        alpha,
        tokenWeight: weigh(tf, alpha, domains), // [B]
      };
    },
    weigh: (tf, alpha, batch) => weigh(tf, alpha, domainsOf(tf, batch, K)),
  };

  function weigh(tf: TensorFlow, alpha: Tensor, domains: DomainsOfBatch): Tensor {
    return loss === "domain-mean"
      ? domainMeanWeights(tf, domains, alpha)
      : tokenMeanWeights(tf, domains, alpha, facts.sampling);
  }
}

/** Mean over the tokens, each weighted by weight ÷ sampling share of its domain: that ÷ their sum, [B]. */
function tokenMeanWeights(tf: TensorFlow, domains: DomainsOfBatch, alpha: Tensor, sampling: readonly number[]): Tensor {
  const inverse = sampling.map((share) => (share > 0 ? 1 / share : 0));
  const importance = tf.mul(alpha, vector(tf, inverse)); // [K]
  const total = tf.sum(tf.mul(importance, domains.tokens));
  // Without a weighted token the sum is 0, and so is every weight.
  return domains.spread(tf.div(importance, tf.add(total, tf.cast(tf.equal(total, 0), "float32"))));
}
