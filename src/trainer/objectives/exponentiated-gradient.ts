/** The multiplicative update that DoReMi and Group DRO share, in float32 and without a number that is not finite. */
import type { Tensor } from "@tensorflow/tfjs-core";
import type { TensorFlow } from "../../engine/tensorflow.ts";
import { select } from "./domains.ts";

/** The logarithm of no weight at all, as a number that sums and differences leave finite. */
const LOG_ZERO = -1e30;
/** Below every weight that float32 tells from 0 on every device. */
const TINY = 1e-37;

/**
 * weight · exp(exponent) among the domains that take part, scaled to what they had together; the others keep theirs.
 * A softmax of logarithms, which takes the largest exponent out first.
 * @param takesPart 1 or 0, [K]; all where absent
 */
export function exponentiatedGradient(tf: TensorFlow, weights: Tensor, exponents: Tensor, takesPart?: Tensor): Tensor {
  const free = takesPart ? tf.mul(weights, takesPart) : weights; // [K]
  const logarithms = select(tf, free, tf.log(tf.maximum(free, TINY)), tf.fill(free.shape, LOG_ZERO)); // [K]
  const shares = tf.softmax(tf.add(logarithms, exponents)); // [K]
  return takesPart ? tf.add(tf.mul(shares, tf.sum(free)), tf.sub(weights, free)) : shares;
}
