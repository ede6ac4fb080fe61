/**
 * From a batch's sequences to its domains and back, inside a graph. Sums are of products with the membership matrix,
 * element by element and not as a product of matrices, which an engine may compute in 16 bits.
 */
import type { Tensor } from "@tensorflow/tfjs-core";
import type { TensorFlow } from "../../engine/tensorflow.ts";
import type { SequenceSums } from "./graph-objective.ts";

export interface DomainsOfBatch {
  /** unmasked tokens, [K] */
  readonly tokens: Tensor;
  /** 1 = has any, [K] */
  readonly present: Tensor;
  /** Sums over sequences of what each has [B], [K] */
  sum(x: Tensor): Tensor;
  /** Sums of sequences [B] to means over each domain's unmasked tokens, [K]; 0 for a domain without any. */
  mean(sums: Tensor): Tensor;
  /** A number of each domain [K] for each of its sequences, [B]; 0 for a sequence without unmasked tokens. */
  spread(values: Tensor): Tensor;
}

export function domainsOf(
  tf: TensorFlow,
  batch: Pick<SequenceSums, "domains" | "tokens">,
  domains: number, // K
): DomainsOfBatch {
  // Not a oneHot, which TensorFlow.js refuses for a single domain.
  const all = tf.tensor1d(Int32Array.from({ length: domains }, (_, i) => i)); // [K]
  const member = tf.cast(tf.equal(tf.expandDims(batch.domains, 1), all), "float32") as Tensor; // [B, K]
  const sum = (x: Tensor): Tensor => tf.sum(tf.mul(member, tf.expandDims(x, 1)), 0); // [K]
  const tokens = sum(batch.tokens); // [K]
  const atLeastOne = tf.maximum(tokens, 1); // [K]
  return {
    tokens,
    present: positive(tf, tokens),
    sum,
    mean: (sums) => tf.div(sum(sums), atLeastOne),
    spread: (values) => tf.mul(tf.gather(values, batch.domains as never), positive(tf, batch.tokens)),
  };
}

/** Token weights under which each domain's mean loss counts with its weight: alpha ÷ tokens of the domain, [B]. */
export function domainMeanWeights(tf: TensorFlow, domains: DomainsOfBatch, alpha: Tensor): Tensor {
  return domains.spread(tf.div(alpha, tf.maximum(domains.tokens, 1)));
}

/** 1 where x > 0, else 0. */
export function positive(tf: TensorFlow, x: Tensor): Tensor {
  return tf.cast(tf.greater(x, 0), "float32");
}

/** x where the flag is 1, y where it is 0. */
export function select(tf: TensorFlow, flag: Tensor, x: Tensor, y: Tensor): Tensor {
  return tf.where(tf.greater(flag, 0), x, y);
}

/** The weights, or those of the start where nothing takes part, [K]. */
export function orWhereNone(tf: TensorFlow, weights: Tensor, present: Tensor, start: readonly number[]): Tensor {
  const none = tf.cast(tf.equal(tf.sum(present), 0), "float32");
  return tf.add(weights, tf.mul(vector(tf, start), none));
}

/** A vector of numbers that are known before the graph is traced. */
export function vector(tf: TensorFlow, values: ArrayLike<number>): Tensor {
  return tf.tensor1d(Float32Array.from(values));
}
