/**
 * What the best responses of a batch have in common: losses of the domains or sequences that take part, and what each is
 * beside all others. By comparisons rather than by sorting, for which graphs have no operation that every device runs.
 */
import type { Tensor } from "@tensorflow/tfjs-core";
import type { TensorFlow } from "../../engine/tensorflow.ts";
import { select } from "./domains.ts";

/** m of them. */
export interface Items {
  /** 1 = takes part, [m] */
  readonly present: Tensor;
  /** how many do, at least 1; a scalar */
  readonly count: Tensor;
  /** losses less the largest, which changes no response: ≤ 0, and 0 for what takes no part, [m] */
  readonly losses: Tensor;
  /** largest less least loss, above 0; a scalar */
  readonly range: Tensor;
}

/** Beyond every loss, and yet twice it is finite. */
const BEYOND = 1e37;
const LEAST_RANGE = 1e-30;
/** Elements of the largest matrix of comparisons. */
const BLOCK_ELEMENTS = 1 << 20;

export function itemsOf(tf: TensorFlow, losses: Tensor, present: Tensor): Items {
  const beyond = (value: number): Tensor => select(tf, present, losses, tf.fill(losses.shape, value)); // [m]
  const largest = tf.max(beyond(-BEYOND));
  const range = tf.maximum(tf.sub(largest, tf.min(beyond(BEYOND))), LEAST_RANGE);
  return {
    present,
    count: tf.maximum(tf.sum(present), 1),
    losses: select(tf, present, tf.sub(losses, largest), tf.zerosLike(losses)), // [m]
    range,
  };
}

/** Losses on a range of −1..0, [m]: so scaled, no square and no power of them overflows. */
export function scaled(tf: TensorFlow, { losses, range }: Items): Tensor {
  return tf.div(losses, range);
}

/**
 * Sums over all others for each item, from a matrix of comparisons: some rows of it at a time where it would be large.
 * @param x [m]
 * @param sums of rows [rows, 1] of x: vectors [rows]
 * @returns the vectors of all rows, [m]
 */
export function besideAll(tf: TensorFlow, x: Tensor, sums: (own: Tensor) => readonly Tensor[]): readonly Tensor[] {
  const m = x.size;
  const rows = Math.max(1, Math.floor(BLOCK_ELEMENTS / m));
  const blocks: (readonly Tensor[])[] = [];
  for (let from = 0; from < m; from += rows) {
    const own = tf.slice(x, from, Math.min(rows, m - from));
    blocks.push(sums(tf.expandDims(own, 1)));
  }
  return blocks[0]!.map((_, i) => tf.concat(blocks.map((block) => block[i]!)));
}
