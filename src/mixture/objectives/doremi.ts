/**
 * DoReMi's Group DRO, Algorithm 1 of Xie et al. 2023 (arXiv 2305.10429), with a switch wherever implementations differ
 * from it: domain weights go up with the excess loss of the proxy over the reference, and the proxy is trained under
 * them. The average of the weights, which is the result, is the caller's.
 */
import {
  type DomainStatistics,
  domainStatistics,
  type Objective,
  type ObjectiveFacts,
  type ObjectiveState,
  type SequenceStatistics,
} from "../objective.ts";
import type { DoReMiSettings } from "../objective-settings.ts";
import { domainMeanWeights, finiteDomainStatistics, weightedLoss } from "./batch.ts";
import { exponentiatedGradient } from "./exponentiated-gradient.ts";

interface DoReMiState extends ObjectiveState {
  /** α after the last update; Σ = 1 */
  readonly alpha: Float64Array; // [K]
}

/** State: `alpha` [K]; with `missing: carry` also `carried` [K], the last excess of each domain. */
export function createDoReMi(settings: DoReMiSettings, facts: ObjectiveFacts): Objective {
  const K = facts.domains;
  const toward = Float64Array.from({ length: K }, (_, i) =>
    settings.smoothToward === "uniform" ? 1 / K : facts.reference[i]!,
  );
  const weigh =
    settings.loss === "domain-mean"
      ? (alpha: ArrayLike<number>, batch: SequenceStatistics) =>
          domainMeanWeights(alpha, domainStatistics(batch, K).tokens, batch)
      : (alpha: ArrayLike<number>, batch: SequenceStatistics) => tokenMeanWeights(alpha, facts.sampling, batch);

  return {
    settings,
    init() {
      const alpha = Float64Array.from(facts.start);
      if (settings.missing !== "carry") return { alpha };
      const unknown = settings.carryStart === "ln-vocabulary" ? Math.log(facts.vocabularySize) : 0;
      return { alpha, carried: new Float64Array(K).fill(unknown) };
    },
    step(state, batch) {
      const statistics = finiteDomainStatistics(batch, K);
      const excess = excessOf(statistics, settings, state); // λ, line 6
      const takesPart = (domain: number): boolean => settings.missing !== "skip" || statistics.tokens[domain]! > 0;
      const moved = exponentiatedGradient((state as DoReMiState).alpha, excess, settings.eta, takesPart); // line 7
      const alpha = moved.map((weight, i) => (1 - settings.smoothing) * weight + settings.smoothing * toward[i]!); // 8
      const tokenWeight = weigh(alpha, batch);
      return {
        state: settings.missing === "carry" ? { alpha, carried: excess } : { alpha },
        alpha: alpha.slice(),
        tokenWeight,
        // The constant term of the reference is part of the paper's objective and not of the official code's loss.
        value: weightedLoss(tokenWeight, settings.loss === "domain-mean" ? batch.excess : batch.loss),
      };
    },
    weigh,
  };
}

/** λ of each domain: clipped mean excess of those in the batch, and what stands for it where one is missing. */
function excessOf(statistics: DomainStatistics, settings: DoReMiSettings, state: ObjectiveState): Float64Array {
  return statistics.tokens.map((tokens, i) => {
    if (tokens === 0) return settings.missing === "carry" ? state.carried![i]! : 0;
    return settings.clip === "token" ? statistics.clipped[i]! : Math.max(statistics.excess[i]!, 0);
  });
}

/** Mean over the tokens of the batch, each with w = α ÷ sampling share of its domain: w ÷ Σ w. */
function tokenMeanWeights(
  alpha: ArrayLike<number>,
  sampling: readonly number[],
  batch: SequenceStatistics,
): Float64Array {
  const importance = Float64Array.from(sampling, (share, i) => (share > 0 ? alpha[i]! / share : 0)); // [K]
  let total = 0;
  for (const [row, domain] of batch.domains.entries()) total += importance[domain]! * batch.tokens[row]!;
  const tokenWeight = new Float64Array(batch.domains.length); // [B]
  for (const [row, domain] of batch.domains.entries()) {
    if (batch.tokens[row]! > 0 && total > 0) tokenWeight[row] = importance[domain]! / total;
  }
  return tokenWeight;
}
