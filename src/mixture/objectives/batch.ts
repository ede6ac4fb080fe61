/**
 * What every objective does with a batch: refuse losses that are not finite, average them over domains, and spread a
 * domain's weight over its tokens. No weights are decided here.
 */
import { DoremiError } from "../../lib/errors.ts";
import { type DomainStatistics, domainStatistics, type SequenceStatistics } from "../objective.ts";

/**
 * Domain means of a batch whose numbers are all finite.
 *
 * @throws DoremiError non-finite-excess: a NaN would otherwise stay in all weights for ever
 */
export function finiteDomainStatistics(batch: SequenceStatistics, domains: number): DomainStatistics {
  for (let row = 0; row < batch.domains.length; row++) {
    if (batch.tokens[row] === 0) continue;
    const [loss, excess] = [batch.loss[row]!, batch.excess[row]!];
    if (!Number.isFinite(loss) || !Number.isFinite(excess)) {
      const [name, value] = Number.isFinite(loss) ? ["excess loss", excess] : ["loss", loss];
      const domain = batch.domains[row]!;
      throw new DoremiError(
        "bad-data",
        "non-finite-excess",
        `domain weights: the ${name} of domain ${domain} must be finite, got ${value} in sequence ${row} of the batch; ` +
          "the proxy or the reference has diverged, lower the learning rate or check the reference's losses",
      );
    }
  }
  return domainStatistics(batch, domains);
}

/** Σ weight_d · mean_d over the domains in the batch, as the weight of each token: weight_d ÷ tokens_d. */
export function domainMeanWeights(
  weights: ArrayLike<number>, // [K]
  domainTokens: ArrayLike<number>, // [K]
  batch: SequenceStatistics,
): Float64Array {
  const tokenWeight = new Float64Array(batch.domains.length); // [B]
  for (let row = 0; row < tokenWeight.length; row++) {
    const domain = batch.domains[row]!;
    if (batch.tokens[row]! > 0) tokenWeight[row] = weights[domain]! / domainTokens[domain]!;
  }
  return tokenWeight;
}

/** Σ tokenWeight · loss over the tokens, of whichever sums of losses. */
export function weightedLoss(tokenWeight: Float64Array, losses: Float64Array): number {
  let value = 0;
  // Sums of a sequence without tokens are 0, or whatever the caller left there: its weight is what counts.
  for (const [row, weight] of tokenWeight.entries()) if (weight !== 0) value += weight * losses[row]!;
  return value;
}
