/**
 * Topic CVaR, Oren et al. 2019 (arXiv 1909.02060): the worst weights over domains of which none exceeds its
 * share of the training data ÷ α, by running losses less a baseline. With a reference model's losses as the baseline it
 * is the DRO that DoReMi started from.
 */
import type { Objective, ObjectiveFacts, ObjectiveState } from "../objective.ts";
import type { TopicCvarSettings } from "../objective-settings.ts";
import { domainMeanWeights, finiteDomainStatistics, weightedLoss } from "./batch.ts";
import { cappedResponse } from "./capped-response.ts";
import { follow, type RunningLosses, shareOfData } from "./running-losses.ts";

type TopicCvarState = ObjectiveState & RunningLosses;

/** State: `running` and `seen` [K]. */
export function createTopicCvar(settings: TopicCvarSettings, facts: ObjectiveFacts): Objective {
  const K = facts.domains;
  const shares = shareOfData(facts); // p_train
  const losses = settings.baseline === "reference" ? "excess" : "loss";
  return {
    settings,
    init: () => ({ running: new Float64Array(K), seen: new Float64Array(K) }),
    step(state, batch) {
      const statistics = finiteDomainStatistics(batch, K);
      const { running, seen } = follow(state as TopicCvarState, statistics[losses], statistics.tokens, settings.decay);
      const known = [...seen.keys()].filter((i) => seen[i] === 1);
      const alpha = known.length === 0 ? Float64Array.from(facts.start) : new Float64Array(K);
      if (known.length > 0) {
        // Shares among the domains seen so far: theirs of all the data may add up to less than α.
        const total = known.reduce((sum, i) => sum + shares[i]!, 0);
        const caps = known.map((i) => shares[i]! / total / settings.fraction);
        const weights = cappedResponse(
          known.map((i) => running[i]!),
          caps,
        );
        for (const [at, i] of known.entries()) alpha[i] = weights[at]!;
      }
      const tokenWeight = domainMeanWeights(alpha, statistics.tokens, batch);
      return { state: { running, seen }, alpha, tokenWeight, value: weightedLoss(tokenWeight, batch[losses]) };
    },
  };
}
