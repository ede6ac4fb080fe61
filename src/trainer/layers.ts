/**
 * The layers that the architectures are made of, as TensorFlow.js ops with gradients of their own where those keep less in
 * memory or cost fewer passes than differentiation op by op. Their mathematics is that of Hugging Face's models.
 */
import type { Tensor } from "@tensorflow/tfjs-core";
import type { TensorFlow } from "../engine/tensorflow.ts";

/** Added to attention scores of later tokens: exp of it is 0, and it is far from overflowing. */
const MASKED = -1e9;

/** Queries are taken by so many; each block meets only the keys up to its last query. */
const QUERY_BLOCK = 128;

type Save = (saved: Tensor[]) => void;

/**
 * Causal attention of every head, by blocks of queries: scores of later keys are neither computed nor kept, but for the
 * last block's own. @param q [B, H, T, E] @param k [B, H, T, E] @param v [B, H, T, E] @returns [B, H, T, E]
 */
export function causalAttention(tf: TensorFlow, q: Tensor, k: Tensor, v: Tensor): Tensor {
  const [B = 0, H = 0, T = 0, E = 0] = q.shape;
  const factor = 1 / Math.sqrt(E);
  const blocks = queryBlocks(T);
  const rows = (x: Tensor, from: number, to: number): Tensor =>
    to - from === T ? x : tf.slice(x, [0, 0, from, 0], [B, H, to - from, x.shape[3]!]);
  return tf.customGrad((...args) => {
    const [q, k, v, save] = args as unknown as [Tensor, Tensor, Tensor, Save];
    const shares = blocks.map(([from, to]) => {
      const scores = tf.matMul(rows(q, from, to), rows(k, 0, to), false, true); // [B, H, R, to]
      return tf.softmax(tf.add(tf.mul(scores, factor), causalMask(tf, from, to)));
    });
    const attended = joined(
      tf,
      blocks.map(([, to], i) => tf.matMul(shares[i]!, rows(v, 0, to))),
    ); // [B, H, T, E]
    save([q, k, v, attended, ...shares]);
    return {
      value: attended,
      gradFunc: (dy: Tensor, saved: Tensor[]) => {
        const [q, k, v, attended, ...shares] = saved as [Tensor, Tensor, Tensor, Tensor, ...Tensor[]];
        const along = tf.sum(tf.mul(dy, attended), -1, true); // [B, H, T, 1]: Σ of share · d share, over the keys
        const parts = blocks.map(([from, to], i) => {
          const [dBlock, share] = [rows(dy, from, to), shares[i]!];
          const dShare = tf.matMul(dBlock, rows(v, 0, to), false, true); // [B, H, R, to]
          const dScores = tf.mul(share, tf.sub(dShare, rows(along, from, to)));
          return {
            dq: tf.mul(tf.matMul(dScores, rows(k, 0, to)), factor), // [B, H, R, E]
            dk: tf.mul(tf.matMul(dScores, rows(q, from, to), true), factor), // [B, H, to, E]
            dv: tf.matMul(share, dBlock, true), // [B, H, to, E]
          };
        });
        const dk = parts.map((part) => part.dk).reduce((sum, next) => addToFirstRows(tf, next, sum));
        const dv = parts.map((part) => part.dv).reduce((sum, next) => addToFirstRows(tf, next, sum));
        const dq = parts.map((part) => part.dq);
        return [joined(tf, dq), dk, dv];
      },
    };
  })(q, k, v);
}

/** [from, to) of each block of T queries, of nearly equal sizes. */
function queryBlocks(T: number): [from: number, to: number][] {
  const count = Math.ceil(T / QUERY_BLOCK);
  return Array.from({ length: count }, (_, i) => [Math.floor((i * T) / count), Math.floor(((i + 1) * T) / count)]);
}

/** @param parts [B, H, R, E] each @returns [B, H, T, E] */
function joined(tf: TensorFlow, parts: Tensor[]): Tensor {
  return parts.length === 1 ? parts[0]! : tf.concat(parts, 2);
}

/** @param x [B, H, T, E] @param first [B, H, R, E], R ≤ T */
function addToFirstRows(tf: TensorFlow, x: Tensor, first: Tensor): Tensor {
  const missing = x.shape[2]! - first.shape[2]!;
  return tf.add(x, missing === 0 ? first : tf.pad(first, [[0, 0], [0, 0], [0, missing], [0, 0]])); // biome-ignore format: one row per axis would hide that only T grows
}

/** 0 where a query may see the key. @returns [to − from, to] */
function causalMask(tf: TensorFlow, from: number, to: number): Tensor {
  const values = new Float32Array((to - from) * to);
  for (let row = from; row < to; row++) values.fill(MASKED, (row - from) * to + row + 1, (row - from + 1) * to);
  return tf.tensor2d(values, [to - from, to]);
}

/** Over the last axis of x [N, D]. The gradient keeps one [N, D] array, where op-by-op differentiation keeps four. */
export function layerNorm(tf: TensorFlow, x: Tensor, weight: Tensor, bias: Tensor, epsilon: number): Tensor {
  const D = x.shape[1]!;
  return tf.customGrad((...args) => {
    const [x, weight, bias, save] = args as unknown as [Tensor, Tensor, Tensor, Save];
    const centred = tf.sub(x, tf.mean(x, 1, true)); // [N, D]
    const scale = tf.rsqrt(tf.add(tf.mean(tf.square(centred), 1, true), epsilon)); // [N, 1]
    const normed = tf.mul(centred, scale); // [N, D]
    save([normed, scale, weight]);
    return {
      value: tf.add(tf.mul(normed, weight), bias),
      gradFunc: (dy: Tensor, saved: Tensor[]) => {
        const [normed, scale, weight] = saved as [Tensor, Tensor, Tensor];
        const dWeight = tf.mul(dy, normed); // [N, D], before its sum over rows
        const averaging = tf.reshape(tf.mul(weight, 1 / D), [D, 1]);
        const level = tf.matMul(dy, averaging); // [N, 1]: mean of dy · weight
        const along = tf.matMul(dWeight, averaging); // [N, 1]: mean of dy · weight · normed
        const dx = tf.mul(tf.sub(tf.sub(tf.mul(dy, weight), level), tf.mul(normed, along)), scale);
        return [dx, tf.sum(dWeight, 0), tf.sum(dy, 0)];
      },
    };
  })(x, weight, bias);
}

/**
 * GELU in the tanh approximation (Hugging Face: gelu_new), as x · sigmoid(2u), which is x · (1 + tanh u) / 2. The gradient
 * computes the sigmoid again, rather than keep an array that is as large as the inner layer.
 */
export function geluTanh(tf: TensorFlow, x: Tensor): Tensor {
  const SLOPE = 2 * Math.sqrt(2 / Math.PI);
  const CUBIC = 0.044715;
  /** 2u ÷ x, and with factor 3 d(2u)/dx */
  const slope = (square: Tensor, factor: number): Tensor => tf.add(tf.mul(square, factor * SLOPE * CUBIC), SLOPE);
  const gate = (x: Tensor, square: Tensor): Tensor => tf.sigmoid(tf.mul(x, slope(square, 1)));
  return tf.customGrad((...args) => {
    const [x, save] = args as unknown as [Tensor, Save];
    const y = tf.mul(x, gate(x, tf.square(x)));
    save([x, y]);
    return {
      value: y,
      gradFunc: (dy: Tensor, saved: Tensor[]) => {
        const [x, y] = saved as [Tensor, Tensor];
        const square = tf.square(x);
        const s = gate(x, square);
        return tf.mul(dy, tf.add(s, tf.mul(tf.mul(y, tf.sub(1, s)), slope(square, 3))));
      },
    };
  })(x);
}
