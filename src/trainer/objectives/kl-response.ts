/** Best responses in a Kullback-Leibler ball in a graph: a softmax of the losses, p ∝ exp(β ℓ), with β by search. */
import type { Tensor } from "@tensorflow/tfjs-core";
import type { TensorFlow } from "../../engine/tensorflow.ts";
import { type Items, scaled } from "./items.ts";

/** β at which float32 tells the next smaller loss from the largest on a range of 1: e^(−2³⁰ · 2⁻²⁴) is 0. */
const LARGEST_BETA = 2 ** 30;
/** Every round tries so many β at once, which costs a graph fewer operations than so many bisections after each other. */
const TRIED = 64;
/** 64⁵ = 2³⁰ parts of the 30 to 50 octaves: past float32's 24 bits of β */
const ROUNDS = 5;

/** argmax Σ p_i ℓ_i − λ KL(p ‖ u) with KL(p ‖ u) ≤ κ, p on the simplex, [m]. */
export function klResponse(tf: TensorFlow, items: Items, radius: number, penalty: number): Tensor {
  const { present, range } = items;
  const x = scaled(tf, items); // [m]
  const onBall = radius > 0 ? largestBeta(tf, items, x, radius) : tf.scalar(0);
  const beta = penalty > 0 ? tf.minimum(onBall, tf.div(range, penalty)) : onBall;
  const powers = tf.mul(tf.exp(tf.mul(x, beta)), present); // [m]
  return tf.div(powers, tf.maximum(tf.sum(powers), 1));
}

/** KL grows with β, and no faster than β² ÷ 8 on a range of 1 (Hoeffding's lemma), from where the search starts. */
function largestBeta(tf: TensorFlow, { present, count }: Items, x: Tensor, radius: number): Tensor {
  const least = Math.min(Math.sqrt(8 * radius), LARGEST_BETA);
  let octaves = Math.log2(LARGEST_BETA / least);
  let beta: Tensor = tf.scalar(least);
  for (let round = 0; round < ROUNDS; round++, octaves /= TRIED) {
    const factors = Array.from({ length: TRIED }, (_, i) => [2 ** ((octaves * i) / TRIED)]);
    const tried = tf.mul(tf.tensor2d(factors), beta); // [TRIED, 1]
    const powers = tf.mul(tf.exp(tf.mul(tried, x)), present); // [TRIED, m]
    const total = tf.maximum(tf.sum(powers, 1, true), 1); // [TRIED, 1]
    const mean = tf.div(tf.sum(tf.mul(powers, x), 1, true), total); // of x under p
    const divergence = tf.sub(tf.mul(tried, mean), tf.log(tf.div(total, count)));
    const inside = tf.cast(tf.lessEqual(divergence, radius), "float32");
    beta = tf.maximum(beta, tf.max(tf.mul(tried, inside)));
  }
  return beta;
}
