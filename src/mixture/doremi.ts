/**
 * DoReMi's domain reweighting, Algorithm 1 of Xie et al. 2023 (arXiv 2305.10429), in float64: the excess loss of each
 * domain in a batch, the multiplicative update of the weights, their average. The reference for what the trainer
 * computes on its graph. No tensors and no gradients of a model here.
 */
import { DoremiError } from "../lib/errors.ts";

export interface DoReMiStep {
  /** step size η of the multiplicative update; the paper's 1 */
  readonly eta: number;
  /** smoothing c toward uniform, 0..1; the paper's 1e-3 */
  readonly smoothing: number;
}

/** All that the update carries from step to step. */
export interface DoReMiState {
  /** updates done */
  readonly step: number;
  /** α_step; uniform before the first update */
  readonly alpha: Float64Array; // [K]
  /** mean of α_1 .. α_step, without the uniform α_0; uniform before the first update */
  readonly average: Float64Array; // [K]
}

/** One batch as the update sees it. Rows are sequences of one domain. */
export interface DoReMiBatch {
  /** per-token loss of the proxy */
  readonly loss: ArrayLike<number>; // [B, T]
  /** per-token loss of the reference */
  readonly reference: ArrayLike<number>; // [B, T]
  /** 1 = counts, 0 = padding; what lies under a 0 is never looked at */
  readonly mask: ArrayLike<number>; // [B, T]
  readonly domains: ArrayLike<number>; // [B], 0..K−1
}

/** Per-domain statistics of one batch; all 0 for a domain without an unmasked token. */
export interface DomainExcess {
  /** λ: mean over the domain's tokens of max(loss − reference, 0) */
  readonly clipped: Float64Array; // [K]
  /** mean of loss − reference */
  readonly signed: Float64Array; // [K]
  /** mean of loss */
  readonly loss: Float64Array; // [K]
  /** unmasked tokens */
  readonly tokens: Float64Array; // [K]
}

export function initDoReMi(domains: number): DoReMiState {
  return {
    step: 0,
    alpha: new Float64Array(domains).fill(1 / domains),
    average: new Float64Array(domains).fill(1 / domains),
  };
}

/** λ and its companions for one batch (Algorithm 1, line 6). */
export function domainExcess(batch: DoReMiBatch, domains: number): DomainExcess {
  const clipped = new Float64Array(domains);
  const signed = new Float64Array(domains);
  const loss = new Float64Array(domains);
  const tokens = new Float64Array(domains);
  const rows = batch.domains.length; // B
  const length = rows === 0 ? 0 : batch.loss.length / rows; // T
  for (let row = 0; row < rows; row++) {
    const domain = batch.domains[row]!;
    for (let at = row * length; at < (row + 1) * length; at++) {
      if (!(batch.mask[at]! > 0)) continue;
      const excess = batch.loss[at]! - batch.reference[at]!;
      clipped[domain]! += Math.max(excess, 0); // clipped token by token, before the mean
      signed[domain]! += excess;
      loss[domain]! += batch.loss[at]!;
      tokens[domain]! += 1;
    }
  }
  for (let domain = 0; domain < domains; domain++) {
    const count = tokens[domain]!;
    if (count === 0) continue;
    clipped[domain]! /= count;
    signed[domain]! /= count;
    loss[domain]! /= count;
  }
  return { clipped, signed, loss, tokens };
}

/**
 * α_t ∝ α_{t−1}·exp(η·λ), then (1 − c)·α_t + c/K (Algorithm 1, lines 7 and 8). Leaves `state` as it is.
 *
 * @param excess λ of the step [K], 0 for a domain that is not in the batch
 * @throws DoremiError non-finite-excess: a NaN would otherwise stay in all weights for ever
 */
export function updateDoReMi(state: DoReMiState, excess: ArrayLike<number>, config: DoReMiStep): DoReMiState {
  const domains = state.alpha.length; // K
  let largest = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < domains; i++) {
    const value = excess[i]!;
    if (!Number.isFinite(value)) {
      throw new DoremiError(
        "bad-data",
        "non-finite-excess",
        `domain weights, step ${state.step + 1}: the excess loss of domain ${i} must be finite, got ${value}; ` +
          "the proxy or the reference has diverged, lower the learning rate or check the reference's losses",
      );
    }
    largest = Math.max(largest, value);
  }
  const alpha = new Float64Array(domains);
  let sum = 0;
  for (let i = 0; i < domains; i++) {
    // Shifted by the largest λ, so that no exponential overflows; the shift cancels in the division.
    alpha[i] = state.alpha[i]! * Math.exp(config.eta * (excess[i]! - largest));
    sum += alpha[i]!;
  }
  const step = state.step + 1;
  const average = new Float64Array(domains);
  for (let i = 0; i < domains; i++) {
    alpha[i] = (1 - config.smoothing) * (alpha[i]! / sum) + config.smoothing / domains;
    average[i] = state.step === 0 ? alpha[i]! : state.average[i]! + (alpha[i]! - state.average[i]!) / step;
  }
  return { step, alpha, average };
}

export interface DoReMiLoss {
  /** Σ α_i · mean_i(loss − reference), not clipped, over the domains in the batch */
  readonly loss: number;
  /** the same without the reference term, which has no gradient */
  readonly lossWithoutReference: number;
  /** d loss / d loss[row, token] for every unmasked token of a domain: α_i / tokens_i; 0 for an absent domain */
  readonly gradientPerToken: Float64Array; // [K]
}

/** The proxy's objective under weights α (Algorithm 1, line 9). */
export function doremiLoss(alpha: ArrayLike<number>, excess: DomainExcess): DoReMiLoss {
  const domains = excess.tokens.length;
  const gradientPerToken = new Float64Array(domains);
  let loss = 0;
  let lossWithoutReference = 0;
  for (let i = 0; i < domains; i++) {
    if (excess.tokens[i] === 0) continue;
    loss += alpha[i]! * excess.signed[i]!;
    lossWithoutReference += alpha[i]! * excess.loss[i]!;
    gradientPerToken[i] = alpha[i]! / excess.tokens[i]!;
  }
  return { loss, lossWithoutReference, gradientPerToken };
}
