/**
 * DoReMi's domain-weight update and objective (Algorithm 1, arXiv 2305.10429) as TensorFlow.js ops on a batch's token
 * losses, so that it can stand inside a traced training step. Float32, in the log domain where it matters.
 */
import type { Tensor } from "@tensorflow/tfjs-core";
import type { TensorFlow } from "../engine/tensorflow.ts";
import type { DoReMiConfig } from "./contract.ts";

export interface DomainUpdateInputs {
  /** proxy's loss per token, [B, T] */
  readonly loss: Tensor;
  /** reference's, [B, T] */
  readonly reference: Tensor;
  /** 1 = counts, [B, T] */
  readonly mask: Tensor;
  /** int32 [B] */
  readonly domains: Tensor;
  /** before the update, [K] */
  readonly alpha: Tensor;
  /** what earlier parts of the same batch add up to: clipped excess and unmasked tokens, each [K] */
  readonly prior?: { readonly excess: Tensor; readonly tokens: Tensor };
}

export interface DomainUpdate {
  /** after the update, [K] */
  readonly alpha: Tensor;
  /** λ: mean over a domain's unmasked tokens of max(loss − reference, 0); 0 without such a token, [K] */
  readonly excess: Tensor;
  /** unmasked tokens, [K] */
  readonly tokens: Tensor;
  /** d objective / d loss: alpha of the row's domain ÷ its tokens, [B, T] */
  readonly tokenWeight: Tensor;
  /** Σ_i alpha_i · mean_i(loss − reference), not clipped; a scalar */
  readonly objective: Tensor;
}

export function domainUpdate(
  tf: TensorFlow,
  inputs: DomainUpdateInputs,
  { eta, smoothing }: Readonly<Record<keyof DoReMiConfig, number | Tensor>>,
): DomainUpdate {
  const { loss, reference, mask, domains, alpha, prior } = inputs;
  const K = alpha.shape[0]!;
  const [B = 0] = loss.shape;
  const counts = tf.greater(mask, 0); // [B, T]
  // Selected, not multiplied: whatever is under the mask, NaN included, stays out.
  const masked = (x: Tensor): Tensor => tf.where(counts, x, tf.zerosLike(x));
  const difference = masked(tf.sub(loss, reference)); // [B, T]
  const rows = tf.stack([tf.sum(tf.relu(difference), 1), tf.sum(tf.cast(counts, "float32"), 1)], 1); // [B, 2]
  const member = tf.oneHot(domains as never, K) as Tensor; // [B, K]
  const [excessSum, tokens] = tf
    .split(tf.matMul(tf.cast(member, "float32"), rows, true, false), 2, 1)
    .map((column) => tf.reshape(column, [K])); // [K] each
  const atLeastOne = tf.maximum(tokens!, 1); // [K]
  const excess = prior
    ? tf.div(tf.add(excessSum!, prior.excess), tf.maximum(tf.add(tokens!, prior.tokens), 1)) // [K]
    : tf.div(excessSum!, atLeastOne); // [K]
  // alpha·exp(eta·λ), normalised: a softmax, which takes the largest exponent out first.
  const moved = tf.softmax(tf.add(tf.log(alpha), tf.mul(excess, eta))); // [K]
  const updated = tf.add(tf.mul(moved, tf.sub(1, smoothing)), tf.div(smoothing, K)); // [K]
  const perToken = tf.gather(tf.div(updated, atLeastOne), domains as never); // [B]
  const tokenWeight = masked(tf.tile(tf.reshape(perToken, [B, 1]), [1, loss.shape[1]!])); // [B, T]
  return {
    alpha: updated,
    excess,
    tokens: tokens!,
    tokenWeight,
    objective: tf.sum(tf.mul(tokenWeight, difference)),
  };
}
