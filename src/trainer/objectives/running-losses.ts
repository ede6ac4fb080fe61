/** Exponential running means of the domains' losses in a graph, for weights that follow from more than one batch. */
import type { Tensor } from "@tensorflow/tfjs-core";
import type { TensorFlow } from "../../engine/tensorflow.ts";
import { select } from "./domains.ts";

export interface RunningLosses {
  readonly running: Tensor; // [K]
  /** 1 = some batch has held it, [K] */
  readonly seen: Tensor;
}

/** new = (1 − decay) · old + decay · batch; the first one as it is. A domain that is not in the batch keeps its own. */
export function follow(
  tf: TensorFlow,
  state: Readonly<Record<string, Tensor>>,
  losses: Tensor, // [K]
  present: Tensor, // [K]
  decay: number,
): RunningLosses {
  const [running, seen] = [state.running!, state.seen!];
  const next = select(tf, seen, tf.add(tf.mul(running, 1 - decay), tf.mul(losses, decay)), losses); // [K]
  return { running: select(tf, present, next, running), seen: tf.maximum(seen, present) };
}
