/** Group DRO (Sagawa et al. 2020, arXiv 1911.08731) in a graph: online, and the greedy best response of the authors' code. */
import type { Tensor } from "@tensorflow/tfjs-core";
import type { TensorFlow } from "../../engine/tensorflow.ts";
import type { ObjectiveFacts } from "../../mixture/objective.ts";
import type { GroupDroSettings } from "../../mixture/objective-settings.ts";
import { adjustmentsOf } from "../../mixture/objectives/group-dro.ts";
import { shareOfData } from "../../mixture/objectives/running-losses.ts";
import { cappedResponse } from "./capped-response.ts";
import { domainMeanWeights, domainsOf, positive, vector } from "./domains.ts";
import { exponentiatedGradient } from "./exponentiated-gradient.ts";
import type { GraphRule } from "./graph-objective.ts";
import { follow } from "./running-losses.ts";

export function groupDroRule(settings: GroupDroSettings, facts: ObjectiveFacts): GraphRule {
  const { update, stepSize, normalizeLoss, decay, fraction, minWeight } = settings;
  const shares = shareOfData(facts); // [K]
  const adjustments = adjustmentsOf(settings, facts); // [K]
  return {
    step(tf, state, batch) {
      const domains = domainsOf(tf, batch, facts.domains);
      const loss = domains.mean(batch.loss); // [K]
      const { running, seen } = follow(tf, state, loss, domains.present, decay);
      const adjusted = (losses: Tensor): Tensor => adjust(tf, losses, adjustments, state.gap!);
      let alpha: Tensor; // [K]
      if (update === "online") {
        const gains = normalizeLoss ? sharesOfSum(tf, adjusted(loss)) : adjusted(loss);
        alpha = exponentiatedGradient(tf, state.alpha!, tf.mul(gains, stepSize));
      } else {
        const caps = vector(
          tf,
          shares.map((share) => share / fraction),
        );
        const least = shares.map((share) => minWeight * share);
        alpha = tf.add(tf.mul(cappedResponse(tf, adjusted(running), caps), 1 - minWeight), vector(tf, least));
      }
      return {
        state: { alpha, running, seen, gap: state.gap! },
        alpha,
        tokenWeight: domainMeanWeights(tf, domains, alpha), // [B]
      };
    },
  };
}

/** Adds C ÷ √n, or the gap to the held-out loss where that stands for it. */
function adjust(tf: TensorFlow, losses: Tensor, adjustments: readonly (number | null)[], gap: Tensor): Tensor {
  const fixed = tf.add(
    losses,
    vector(
      tf,
      adjustments.map((value) => value ?? 0),
    ),
  ); // [K]
  if (!adjustments.includes(null)) return fixed;
  const measured = vector(
    tf,
    adjustments.map((value) => (value === null ? 1 : 0)),
  ); // [K]
  return tf.add(fixed, tf.mul(gap, measured));
}

/** 0 where the sum is not above 0. */
function sharesOfSum(tf: TensorFlow, losses: Tensor): Tensor {
  const total = tf.sum(losses);
  const isPositive = positive(tf, total);
  return tf.div(tf.mul(losses, isPositive), tf.add(tf.mul(total, isPositive), tf.sub(1, isPositive)));
}
