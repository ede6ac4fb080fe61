/**
 * Runs a layer of a model, and, where memory is dearer than time, forgets what happened inside it: the backward pass then
 * starts from the layer's input and computes it again (arXiv 1604.06174).
 */
import type { Tensor } from "@tensorflow/tfjs-core";
import type { TensorFlow } from "../../engine/tensorflow.ts";
import type { Tensors } from "./architecture.ts";

/** @param layer takes its parameters by their names within it @param x [N, D] @param prefix of their names in the model */
export function runLayer(
  tf: TensorFlow,
  layer: (x: Tensor, parameters: Tensors) => Tensor,
  x: Tensor,
  parameters: Tensors,
  prefix: string,
  recompute: boolean,
): Tensor {
  const own = Object.entries(parameters).filter(([name]) => name.startsWith(prefix));
  const named = (values: readonly Tensor[]): Tensors =>
    Object.fromEntries(own.map(([name], i) => [name.slice(prefix.length), values[i]!]));
  const values = own.map(([, value]) => value);
  if (!recompute) return layer(x, named(values));
  return tf.customGrad((...args) => {
    const save = args.pop() as unknown as (saved: Tensor[]) => void;
    const [x, ...values] = args as [Tensor, ...Tensor[]];
    save([x, ...values]);
    return {
      value: layer(x, named(values)),
      gradFunc: (dy: Tensor, saved: Tensor[]) => {
        const [x, ...values] = saved as [Tensor, ...Tensor[]];
        // Depends on dy: an engine that finds equal values would otherwise keep those of the forward pass after all.
        const again = tf.add(x, tf.mul(tf.slice(dy, [0, 0], [1, 1]), 0)); // [N, D]
        const run = (x: Tensor, ...values: Tensor[]): Tensor => layer(x, named(values));
        return onTapeOfItsOwn(tf, () => tf.grads(run as never)([again, ...values], dy));
      },
    };
  })(x, ...values);
}

/** TensorFlow.js forgets the outer tape when gradients are taken inside a gradient. */
function onTapeOfItsOwn<T>(tf: TensorFlow, take: () => T): T {
  const { state } = tf.engine();
  const outer = state.activeTape;
  try {
    return take();
  } finally {
    state.activeTape = outer;
  }
}
