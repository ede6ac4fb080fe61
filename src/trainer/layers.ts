/**
 * The layers that the architectures are made of, as TensorFlow.js ops with gradients of their own where those keep less in
 * memory or cost fewer passes than differentiation op by op. Their mathematics is that of Hugging Face's models.
 */
import type { Tensor } from "@tensorflow/tfjs-core";
import type { TensorFlow } from "../engine/tensorflow.ts";

/** Added to attention scores of later tokens: exp of it is 0, and it is far from overflowing. */
const MASKED = -1e9;

/**
 * Causal attention of every head. @param q [B, H, T, E] @param k [B, H, T, E] @param v [B, H, T, E]
 * @returns [B, H, T, E]
 */
export function causalAttention(tf: TensorFlow, q: Tensor, k: Tensor, v: Tensor): Tensor {
  const [, , T = 0, E = 0] = q.shape;
  const scores = tf.mul(tf.matMul(q, k, false, true), 1 / Math.sqrt(E)); // [B, H, T, T]
  return tf.matMul(tf.softmax(tf.add(scores, causalMask(tf, T))), v); // [B, H, T, E]
}

function causalMask(tf: TensorFlow, T: number): Tensor {
  const values = new Float32Array(T * T);
  for (let row = 0; row < T; row++) values.fill(MASKED, row * T + row + 1, (row + 1) * T);
  return tf.tensor2d(values, [T, T]);
}

/** Over the last axis of x [N, D]. The gradient keeps one [N, D] array, where op-by-op differentiation keeps four. */
export function layerNorm(tf: TensorFlow, x: Tensor, weight: Tensor, bias: Tensor, epsilon: number): Tensor {
  return tf.customGrad((...args) => {
    const [x, weight, bias, save] = args as unknown as [Tensor, Tensor, Tensor, (saved: Tensor[]) => void];
    const centred = tf.sub(x, tf.mean(x, 1, true)); // [N, D]
    const scale = tf.rsqrt(tf.add(tf.mean(tf.square(centred), 1, true), epsilon)); // [N, 1]
    const normed = tf.mul(centred, scale); // [N, D]
    save([normed, scale, weight]);
    return {
      value: tf.add(tf.mul(normed, weight), bias),
      gradFunc: (dy: Tensor, saved: Tensor[]) => {
        const [normed, scale, weight] = saved as [Tensor, Tensor, Tensor];
        const dNormed = tf.mul(dy, weight); // [N, D]
        const along = tf.mean(tf.mul(dNormed, normed), 1, true); // [N, 1]
        const dx = tf.mul(scale, tf.sub(tf.sub(dNormed, tf.mean(dNormed, 1, true)), tf.mul(normed, along)));
        return [dx, tf.sum(tf.mul(dy, normed), 0), tf.sum(dy, 0)];
      },
    };
  })(x, weight, bias);
}

/** GELU in the tanh approximation (Hugging Face: gelu_new). */
export function geluTanh(tf: TensorFlow, x: Tensor): Tensor {
  const SLOPE = Math.sqrt(2 / Math.PI);
  const CUBIC = 0.044715;
  return tf.customGrad((...args) => {
    const [x, save] = args as unknown as [Tensor, (saved: Tensor[]) => void];
    const square = tf.square(x);
    const t = tf.tanh(tf.mul(x, tf.add(tf.mul(square, SLOPE * CUBIC), SLOPE)));
    save([x, t]);
    return {
      value: tf.mul(tf.mul(x, 0.5), tf.add(t, 1)),
      gradFunc: (dy: Tensor, saved: Tensor[]) => {
        const [x, t] = saved as [Tensor, Tensor];
        const inner = tf.add(tf.mul(tf.square(x), 3 * SLOPE * CUBIC), SLOPE); // d(argument of tanh)/dx
        const slope = tf.mul(tf.mul(x, tf.sub(1, tf.square(t))), inner);
        return tf.mul(dy, tf.mul(tf.add(tf.add(t, 1), slope), 0.5));
      },
    };
  })(x);
}
