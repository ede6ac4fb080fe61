/** AdamW with clipping by global norm, as TensorFlow.js ops; and the learning rate of each step, in float64. */
import type { Tensor } from "@tensorflow/tfjs-core";
import type { TensorFlow } from "../engine/tensorflow.ts";
import type { OptimizerConfig } from "./contract.ts";
import type { Tensors } from "./model.ts";

/** Linear warm-up to `learningRate`, then decay to `finalLearningRate` at the last step. @param step 1-based */
export function learningRateAt(config: OptimizerConfig, step: number, steps: number): number {
  const { learningRate: peak, finalLearningRate: final, warmupSteps } = config;
  if (step <= warmupSteps) return (peak * step) / warmupSteps;
  const progress = steps > warmupSteps ? Math.min(1, (step - warmupSteps) / (steps - warmupSteps)) : 1; // 0..1
  switch (config.decay) {
    case "exponential":
      return peak * (final / peak) ** progress;
    case "cosine":
      return final + (peak - final) * 0.5 * (1 + Math.cos(Math.PI * progress));
    case "linear":
      return peak + (final - peak) * progress;
    case "constant":
      return peak;
    default:
      return config.decay satisfies never;
  }
}

/** What depends on the step, computed outside the graph in float64. Scalars, in this order. */
export function adamScalars(
  config: OptimizerConfig,
  step: number,
  steps: number,
): { rate: number; correction1: number; correction2: number } {
  return {
    rate: learningRateAt(config, step, steps),
    correction1: 1 / (1 - config.beta1 ** step),
    correction2: 1 / (1 - config.beta2 ** step),
  };
}

export interface AdamState {
  readonly parameters: Tensors;
  /** running means of the gradient and of its square */
  readonly first: Tensors;
  readonly second: Tensors;
}

/** Norm over all gradients, √Σ g², and the factor that brings it down to `clipNorm` where it is above. Scalars. */
export function globalNorm(tf: TensorFlow, gradients: Tensors, clipNorm: number): { norm: Tensor; scale: Tensor } {
  const squares = Object.values(gradients).map((gradient) => tf.sum(tf.square(gradient)));
  const norm = tf.sqrt(tf.sum(tf.stack(squares)));
  const scale = clipNorm === 0 ? tf.scalar(1) : tf.minimum(tf.div(clipNorm, tf.add(norm, 1e-6)), 1);
  return { norm, scale };
}

export interface AdamScalars {
  readonly rate: Tensor;
  readonly correction1: Tensor;
  readonly correction2: Tensor;
  /** factor of every gradient, from `globalNorm` */
  readonly scale: Tensor;
}

/**
 * One AdamW step (arXiv 1711.05101). Weight decay is decoupled, and on matrices only. Scalar factors are multiplied
 * with each other first, because each costs a pass over every parameter.
 */
export function adamW(
  tf: TensorFlow,
  config: OptimizerConfig,
  state: AdamState,
  gradients: Tensors,
  scalars: AdamScalars,
): AdamState {
  const { beta1, beta2, epsilon, weightDecay } = config;
  const share1 = tf.mul(scalars.scale, 1 - beta1);
  const share2 = tf.mul(tf.square(scalars.scale), 1 - beta2);
  const rate = tf.mul(scalars.rate, scalars.correction1);
  const kept = tf.sub(1, tf.mul(scalars.rate, weightDecay));
  const parameters: Record<string, Tensor> = {};
  const first: Record<string, Tensor> = {};
  const second: Record<string, Tensor> = {};
  for (const [name, parameter] of Object.entries(state.parameters)) {
    const gradient = gradients[name]!;
    const m = tf.add(tf.mul(state.first[name]!, beta1), tf.mul(gradient, share1));
    const v = tf.add(tf.mul(state.second[name]!, beta2), tf.mul(tf.square(gradient), share2));
    const change = tf.div(tf.mul(m, rate), tf.add(tf.sqrt(tf.mul(v, scalars.correction2)), epsilon));
    const decays = weightDecay > 0 && parameter.rank >= 2;
    parameters[name] = tf.sub(decays ? tf.mul(parameter, kept) : parameter, change);
    first[name] = m;
    second[name] = v;
  }
  return { parameters, first, second };
}
