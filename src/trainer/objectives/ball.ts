/** Best response to a batch inside a ball around the uniform distribution over its domains or its sequences, in a graph. */
import type { Tensor } from "@tensorflow/tfjs-core";
import type { TensorFlow } from "../../engine/tensorflow.ts";
import type { ObjectiveFacts } from "../../mixture/objective.ts";
import type { BallSettings } from "../../mixture/objective-settings.ts";
import type { Ball } from "../../mixture/objectives/best-response.ts";
import { cappedResponse, cappedSoftmax } from "./capped-response.ts";
import { chiSquareResponse } from "./chi-square-response.ts";
import { domainMeanWeights, domainsOf, orWhereNone, positive } from "./domains.ts";
import type { GraphRule } from "./graph-objective.ts";
import { type Items, itemsOf } from "./items.ts";
import { klResponse } from "./kl-response.ts";

export function ballRule(settings: BallSettings, facts: ObjectiveFacts): GraphRule {
  return {
    step(tf, _state, batch) {
      const domains = domainsOf(tf, batch, facts.domains);
      if (settings.over === "domains") {
        const weights = bestResponse(tf, itemsOf(tf, domains.mean(batch[settings.losses]), domains.present), settings);
        return {
          state: {},
          alpha: orWhereNone(tf, weights, domains.present, facts.start), // [K]
          tokenWeight: domainMeanWeights(tf, domains, weights), // [B]
        };
      }
      const [present, atLeastOne] = [positive(tf, batch.tokens), tf.maximum(batch.tokens, 1)]; // [B]
      const items = itemsOf(tf, tf.div(batch[settings.losses], atLeastOne), present);
      const weights = bestResponse(tf, items, settings); // [B]
      return {
        state: {},
        alpha: orWhereNone(tf, domains.sum(weights), domains.present, facts.start), // [K]
        tokenWeight: tf.div(weights, atLeastOne), // [B]
      };
    },
  };
}

/** The worst weights of the items, 0 for what takes no part, [m]. */
export function bestResponse(tf: TensorFlow, items: Items, { name, size, regularization }: Ball): Tensor {
  switch (name) {
    case "cvar": {
      const cap = tf.minimum(tf.div(1 / size, items.count), 1);
      return regularization > 0
        ? cappedSoftmax(tf, items, cap, regularization)
        : cappedResponse(tf, items.losses, tf.mul(items.present, cap));
    }
    case "chi-square":
      return chiSquareResponse(tf, items, size, regularization);
    case "kl":
      return klResponse(tf, items, size, regularization);
    default:
      return name satisfies never;
  }
}
