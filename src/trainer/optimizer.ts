/** AdamW with clipping by global norm, as TensorFlow.js ops; and the learning rate of each step, in float64. */
import type { Tensor } from "@tensorflow/tfjs-core";
import type { TensorFlow } from "../engine/tensorflow.ts";
import { DoremiError } from "../lib/errors.ts";
import type { OptimizerConfig } from "./contract.ts";
import type { Tensors } from "./model.ts";

/** @throws DoremiError optimizer-config */
export function validateOptimizerConfig(config: OptimizerConfig): void {
  const rules: [keyof OptimizerConfig, boolean, string][] = [
    ["learningRate", config.learningRate > 0, "> 0"],
    ["finalLearningRate", config.finalLearningRate >= 0, "≥ 0"],
    ["finalLearningRate", config.decay !== "exponential" || config.finalLearningRate > 0, "> 0 for exponential decay"],
    ["warmupSteps", Number.isSafeInteger(config.warmupSteps) && config.warmupSteps >= 0, "an integer ≥ 0"],
    ["beta1", config.beta1 >= 0 && config.beta1 < 1, "in [0, 1)"],
    ["beta2", config.beta2 >= 0 && config.beta2 < 1, "in [0, 1)"],
    ["epsilon", config.epsilon > 0, "> 0"],
    ["weightDecay", config.weightDecay >= 0, "≥ 0"],
    ["clipNorm", config.clipNorm >= 0, "≥ 0 (0 = off)"],
  ];
  for (const [name, holds, rule] of rules) {
    if (!holds)
      throw new DoremiError(
        "bad-configuration",
        "optimizer-config",
        `optimizer: ${name} must be ${rule}, found ${config[name]}`,
      );
  }
}

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

/** √Σ g² over all gradients, a scalar; and the gradients scaled so that it is at most `clipNorm`. */
export function clipByGlobalNorm(
  tf: TensorFlow,
  gradients: Tensors,
  clipNorm: number,
): { gradients: Tensors; norm: Tensor } {
  const squares = Object.values(gradients).map((gradient) => tf.sum(tf.square(gradient)));
  const norm = tf.sqrt(tf.sum(tf.stack(squares)));
  if (clipNorm === 0) return { gradients, norm };
  const scale = tf.minimum(tf.div(clipNorm, tf.add(norm, 1e-6)), 1);
  return {
    gradients: Object.fromEntries(Object.entries(gradients).map(([name, gradient]) => [name, tf.mul(gradient, scale)])),
    norm,
  };
}

/** One AdamW step (arXiv 1711.05101). Weight decay is decoupled, and on matrices only. */
export function adamW(
  tf: TensorFlow,
  config: OptimizerConfig,
  state: AdamState,
  gradients: Tensors,
  scalars: { readonly rate: Tensor; readonly correction1: Tensor; readonly correction2: Tensor },
): AdamState {
  const parameters: Record<string, Tensor> = {};
  const first: Record<string, Tensor> = {};
  const second: Record<string, Tensor> = {};
  for (const [name, parameter] of Object.entries(state.parameters)) {
    const gradient = gradients[name]!;
    const m = tf.add(tf.mul(state.first[name]!, config.beta1), tf.mul(gradient, 1 - config.beta1));
    const v = tf.add(tf.mul(state.second[name]!, config.beta2), tf.mul(tf.square(gradient), 1 - config.beta2));
    let change = tf.div(
      tf.mul(m, scalars.correction1),
      tf.add(tf.sqrt(tf.mul(v, scalars.correction2)), config.epsilon),
    );
    if (config.weightDecay > 0 && parameter.rank >= 2) change = tf.add(change, tf.mul(parameter, config.weightDecay));
    parameters[name] = tf.sub(parameter, tf.mul(change, scalars.rate));
    first[name] = m;
    second[name] = v;
  }
  return { parameters, first, second };
}
