/**
 * Cross-entropy per token, from hidden states: -log softmax(h·Eᵀ)[target]. In memory it holds three [N, V] arrays, logits,
 * probabilities and the gradient of the logits, of which the last two can share their place; never a one-hot.
 */
import type { Tensor } from "@tensorflow/tfjs-core";
import type { TensorFlow } from "../engine/tensorflow.ts";

/** Below this a probability counts as this, so the largest loss is 85.2 nats rather than infinity. */
const SMALLEST_PROBABILITY = 1e-37;

/**
 * @param hidden [N, D] @param embedding [V, D], of the output @param targets int32 [N]
 * @returns nats, [N]
 */
export function tokenLosses(tf: TensorFlow, hidden: Tensor, embedding: Tensor, targets: Tensor): Tensor {
  const N = hidden.shape[0]!;
  return tf.customGrad((...args) => {
    const [h, E, save] = args as unknown as [Tensor, Tensor, (saved: Tensor[]) => void];
    const p = tf.softmax(tf.matMul(h, E, false, true)); // [N, V]
    const hit = tf.reshape(tf.gather(p, tf.reshape(targets, [N, 1]) as never, 1, 1), [N]); // p of the target
    save([h, E, p, hit]);
    return {
      value: tf.neg(tf.log(tf.maximum(hit, SMALLEST_PROBABILITY))),
      gradFunc: (dy: Tensor, saved: Tensor[]) => {
        const [h, E, p, hit] = saved as [Tensor, Tensor, Tensor, Tensor];
        const weight = tf.reshape(dy, [N, 1]);
        const at = tf.stack(
          [
            tf.tensor1d(
              Int32Array.from({ length: N }, (_, n) => n),
              "int32",
            ),
            targets,
          ],
          1,
        ); // [N, 2]
        const dLogits = tf.tensorScatterUpdate(p, at as never, tf.sub(hit, 1)); // [N, V], before the weight
        const dh = tf.mul(tf.matMul(dLogits, E), weight); // [N, D]
        const dE = tf.matMul(dLogits, tf.mul(h, weight), true, false); // [V, D]
        return [dh, dE];
      },
    };
  })(hidden, embedding);
}
