/**
 * Best responses in a χ² ball in a graph: p ∝ max(ℓ − t, 0) for a threshold t, whose support is found by comparisons,
 * and which has a closed form once that is known.
 */
import type { Tensor } from "@tensorflow/tfjs-core";
import type { TensorFlow } from "../../engine/tensorflow.ts";
import { besideAll, type Items, scaled } from "./items.ts";

/** Below every variance of losses on a range of 1 that are not all equal. */
const TINY = 1e-30;

/** argmax Σ p_i ℓ_i − λ χ²(p) with χ²(p) = ½ mean (m p − 1)² ≤ ρ, p on the simplex, [m]. */
export function chiSquareResponse(tf: TensorFlow, items: Items, radius: number, penalty: number): Tensor {
  const x = scaled(tf, items); // [m]
  const onBall = ballResponse(tf, items, x, radius);
  if (penalty === 0) return onBall;
  const free = penaltyResponse(tf, items, x, tf.div(penalty, items.range)); // not normalised
  const [sum, squares] = [tf.sum(free), tf.sum(tf.square(free))];
  const fits = tf.lessEqual(tf.mul(items.count, squares), tf.mul(1 + 2 * radius, tf.square(sum)));
  const inside = tf.cast(fits, "float32"); // a number, because not every device repeats truth values
  return tf.add(tf.mul(inside, tf.div(free, tf.maximum(sum, 1))), tf.mul(tf.sub(1, inside), onBall));
}

/**
 * 1 + 2 χ² is m Σ (ℓ − t)² ÷ (Σ (ℓ − t))² over the losses above t, which grows with t: so an item has weight where that
 * is above 1 + 2ρ with its own loss as t. On n items of mean μ and variance v, ℓ − t is then ℓ − μ + √(v ÷ c) with
 * c = n (1 + 2ρ) ÷ m − 1. Where the ball reaches past the largest losses, they alone are left, with v = 0.
 */
function ballResponse(tf: TensorFlow, { present, count }: Items, x: Tensor, radius: number): Tensor {
  const [sums, squares] = besideAll(tf, x, (own) => {
    const above = tf.mul(tf.relu(tf.sub(x, own)), present); // [rows, m]
    return [tf.sum(above, 1), tf.sum(tf.square(above), 1)];
  }) as [Tensor, Tensor]; // [m]
  const outside = tf.greaterEqual(tf.mul(count, squares), tf.mul(1 + 2 * radius, tf.square(sums))); // [m]
  const support = tf.mul(tf.cast(outside, "float32"), present); // [m]
  const size = tf.maximum(tf.sum(support), 1); // n
  const fromMean = tf.sub(x, tf.div(tf.sum(tf.mul(x, support)), size)); // [m]
  const variance = tf.div(tf.sum(tf.mul(tf.square(fromMean), support)), size);
  // c, as a sum that is exact for a complete support and a small ball
  const excess = tf.relu(tf.add(tf.div(tf.sub(size, count), count), tf.mul(2 * radius, tf.div(size, count))));
  const slope = tf.sqrt(tf.div(excess, tf.maximum(variance, TINY)));
  const weights = tf.mul(tf.relu(tf.add(1, tf.mul(fromMean, slope))), support); // [m]
  return tf.div(weights, tf.maximum(tf.sum(weights), TINY));
}

/**
 * Without a ball t makes Σ max(ℓ − t, 0) = m λ. That sum is the largest over all sets of what the set's losses make of it,
 * and each of these falls with t: so t is the largest of theirs.
 * @param lambda on the scale of x, a scalar
 * @returns p up to a factor: its share of the largest's, [m]
 */
function penaltyResponse(tf: TensorFlow, { present, count }: Items, x: Tensor, lambda: Tensor): Tensor {
  const own = tf.mul(x, present); // [m]
  const [sizes, sums] = besideAll(tf, x, (row) => {
    const asLarge = tf.mul(tf.cast(tf.greaterEqual(x, row), "float32"), present); // [rows, m]
    return [tf.sum(asLarge, 1), tf.sum(tf.mul(asLarge, own), 1)];
  }) as [Tensor, Tensor]; // [m]
  const thresholds = tf.div(tf.sub(sums, tf.mul(count, lambda)), tf.maximum(sizes, 1)); // [m]
  const depth = tf.maximum(tf.neg(tf.max(thresholds)), TINY); // of t below the largest, whose x is 0
  return tf.mul(tf.relu(tf.add(1, tf.div(x, depth))), present);
}
