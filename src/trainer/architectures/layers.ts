/** Layers that only one of the architectures has, with gradients of their own, as those in ../layers.ts. */
import type { Tensor } from "@tensorflow/tfjs-core";
import type { TensorFlow } from "../../engine/tensorflow.ts";

type Save = (saved: Tensor[]) => void;

/** x ÷ its root mean square over the last axis, times the weight. @param x [N, D] @param weight [D] */
export function rmsNorm(tf: TensorFlow, x: Tensor, weight: Tensor, epsilon: number): Tensor {
  return tf.customGrad((...args) => {
    const [x, weight, save] = args as unknown as [Tensor, Tensor, Save];
    const scale = tf.rsqrt(tf.add(tf.mean(tf.square(x), 1, true), epsilon)); // [N, 1]
    const normed = tf.mul(x, scale); // [N, D]
    save([normed, scale, weight]);
    return {
      value: tf.mul(normed, weight),
      gradFunc: (dy: Tensor, saved: Tensor[]) => {
        const [normed, scale, weight] = saved as [Tensor, Tensor, Tensor];
        const dNormed = tf.mul(dy, weight); // [N, D]
        const along = tf.mean(tf.mul(dNormed, normed), 1, true); // [N, 1]
        return [tf.mul(scale, tf.sub(dNormed, tf.mul(normed, along))), tf.sum(tf.mul(dy, normed), 0)];
      },
    };
  })(x, weight);
}

/**
 * silu(gate) · up, where silu(x) = x · sigmoid(x). The gradient computes the sigmoid again, which costs a pass, rather than
 * keep a third [N, F] array of each layer. @param gate [N, F] @param up [N, F]
 */
export function swiGlu(tf: TensorFlow, gate: Tensor, up: Tensor): Tensor {
  return tf.customGrad((...args) => {
    const [gate, up, save] = args as unknown as [Tensor, Tensor, Save];
    save([gate, up]);
    return {
      value: tf.mul(tf.mul(gate, tf.sigmoid(gate)), up),
      gradFunc: (dy: Tensor, saved: Tensor[]) => {
        const [gate, up] = saved as [Tensor, Tensor];
        const open = tf.sigmoid(gate); // [N, F]
        const dOpen = tf.mul(dy, open); // [N, F]
        const slope = tf.add(tf.mul(gate, tf.sub(1, open)), 1); // of silu, ÷ sigmoid
        return [tf.mul(tf.mul(dOpen, up), slope), tf.mul(dOpen, gate)];
      },
    };
  })(gate, up);
}

/** Each head `group` times in a row; its gradient is the sum over them. @param x [B, H, T, E] @returns [B, H·group, T, E] */
export function repeatHeads(tf: TensorFlow, x: Tensor, group: number): Tensor {
  if (group === 1) return x;
  const [B = 0, H = 0, T = 0, E = 0] = x.shape;
  return tf.customGrad((...args) => {
    const [x] = args as unknown as [Tensor];
    const copies = tf.tile(tf.reshape(x, [B * H, 1, T * E]), [1, group, 1]);
    return {
      value: tf.reshape(copies, [B, H * group, T, E]),
      gradFunc: (dy: Tensor) => tf.reshape(tf.sum(tf.reshape(dy, [B * H, group, T * E]), 1), [B, H, T, E]),
    };
  })(x);
}

/** GELU, x · Φ(x) (Hugging Face: gelu). */
export function geluExact(tf: TensorFlow, x: Tensor): Tensor {
  return tf.customGrad((...args) => {
    const [x, save] = args as unknown as [Tensor, Save];
    const share = tf.mul(tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1), 0.5); // Φ(x)
    save([x, share]);
    return {
      value: tf.mul(x, share),
      gradFunc: (dy: Tensor, saved: Tensor[]) => {
        const [x, share] = saved as [Tensor, Tensor];
        const density = tf.mul(tf.exp(tf.mul(tf.square(x), -0.5)), 1 / Math.sqrt(2 * Math.PI)); // φ(x)
        return tf.mul(dy, tf.add(share, tf.mul(x, density)));
      },
    };
  })(x);
}
