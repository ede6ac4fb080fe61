/**
 * Best responses under caps (conditional value at risk) in a graph. The float64 twin goes down the sorted losses; here
 * each item finds its place by what all larger ones may have.
 */
import type { Tensor } from "@tensorflow/tfjs-core";
import type { TensorFlow } from "../../engine/tensorflow.ts";
import { select } from "./domains.ts";
import { besideAll, type Items } from "./items.ts";

/** Below every cap. */
const TINY = 1e-37;
/** Below every loss ÷ temperature. */
const BELOW = -1e37;

/**
 * argmax Σ p_i ℓ_i with 0 ≤ p_i ≤ cap_i, Σ p = 1: what larger losses leave, as far as the cap goes, and shared in
 * proportion to the caps where losses are equal.
 * @param losses [m]
 * @param caps [m], 0 for what takes no part; Σ ≥ 1 up to rounding
 */
export function cappedResponse(tf: TensorFlow, losses: Tensor, caps: Tensor): Tensor {
  const sumCaps = (compared: Tensor): Tensor => tf.sum(tf.mul(tf.cast(compared, "float32"), caps), 1);
  const [before, tied] = besideAll(tf, losses, (own) => [
    sumCaps(tf.greater(losses, own)), // [rows]
    sumCaps(tf.equal(losses, own)),
  ]) as [Tensor, Tensor]; // [m]
  const share = tf.div(tf.sub(1, before), tf.maximum(tied, TINY)); // [m]
  return tf.mul(caps, tf.minimum(tf.relu(share), 1));
}

/**
 * argmax Σ p_i ℓ_i − τ KL(p ‖ u) with 0 ≤ p_i ≤ cap, Σ p = 1: p_i = min(cap, s · exp(ℓ_i ÷ τ)), the largest at the cap and
 * the others a softmax of what is left. With the s at which item i just reaches the cap, the k larger ones are at it too,
 * and all add up to cap · (k + Σ_{ℓ_j ≤ ℓ_i} exp((ℓ_j − ℓ_i) ÷ τ)): where that is 1 or more, s is no larger.
 * @param cap a scalar
 */
export function cappedSoftmax(tf: TensorFlow, { losses, present }: Items, cap: Tensor, temperature: number): Tensor {
  const powers = tf.div(losses, temperature); // [m], ≤ 0
  const [reached] = besideAll(tf, powers, (own) => {
    const atMostOne = tf.exp(tf.minimum(tf.sub(powers, own), 0)); // [rows, m]; 1 for the larger ones
    return [tf.mul(tf.sum(tf.mul(atMostOne, present), 1), cap)];
  }) as [Tensor]; // [m]
  const free = tf.mul(tf.cast(tf.greaterEqual(reached, 1), "float32"), present); // [m]
  const capped = tf.sub(present, free); // [m]
  const largest = tf.max(select(tf, free, powers, tf.fill(powers.shape, BELOW)));
  const softmax = tf.mul(tf.exp(tf.minimum(tf.sub(powers, largest), 0)), free); // [m], not normalised
  const left = tf.relu(tf.sub(1, tf.mul(tf.sum(capped), cap)));
  return tf.add(tf.mul(capped, cap), tf.mul(softmax, tf.div(left, tf.maximum(tf.sum(softmax), 1))));
}
