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
/** Less than the logarithm of any scale. */
const NEVER = -1e30;

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
 * argmax Σ p_i ℓ_i − τ KL(p ‖ u) with 0 ≤ p_i ≤ cap, Σ p = 1: p_i = min(cap, s · exp(ℓ_i ÷ τ)).
 *
 * If exactly the k items before item i were at the cap, the rest would be a softmax with
 * s = (1 − k cap) ÷ Σ_{ℓ_j ≤ ℓ_i} exp(ℓ_j ÷ τ). Σ min(cap, s · exp) is the least over all sets at the cap of what that
 * set makes of it, and each of these grows with s: so the s where it is 1 is the largest of theirs.
 * @param cap a scalar
 */
export function cappedSoftmax(tf: TensorFlow, { losses, present }: Items, cap: Tensor, temperature: number): Tensor {
  const powers = tf.div(losses, temperature); // [m], ≤ 0
  const [larger, rest] = besideAll(tf, powers, (own) => {
    const difference = tf.sub(powers, own); // [rows, m]
    const isLarger = tf.mul(tf.cast(tf.greater(difference, 0), "float32"), present);
    const others = tf.mul(tf.exp(tf.minimum(difference, 0)), tf.sub(present, isLarger));
    return [tf.sum(isLarger, 1), tf.sum(others, 1)];
  }) as [Tensor, Tensor]; // [m]
  const left = tf.mul(tf.sub(1, tf.mul(larger, cap)), present); // [m]
  const logarithm = tf.sub(tf.log(tf.maximum(left, TINY)), tf.add(powers, tf.log(tf.maximum(rest, 1)))); // [m]
  const scale = tf.max(select(tf, left, logarithm, tf.fill(left.shape, NEVER)));
  return tf.mul(tf.exp(tf.minimum(tf.add(powers, scale), tf.log(cap))), present);
}
