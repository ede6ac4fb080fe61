/**
 * An optimizer as a pure function in TensorFlow.js ops, for engines that keep parameters and state on a device. A step
 * whose gradient is not finite changes nothing.
 */
import type { Tensor } from "@tensorflow/tfjs-core";
import type { TensorFlow } from "../../engine/tensorflow.ts";
import type { OptimizerConfig } from "../contract.ts";
import type { Tensors } from "../model.ts";
import { NORM_EPSILON } from "./clipping.ts";
import { optimizerStateShapes, stateName, updateRule } from "./rules.ts";
import type { Shape } from "./update-rule.ts";

export interface GraphOptimizer {
  /** As `optimizerStateShapes`. */
  stateShapes(shapes: Readonly<Record<string, Shape>>): Record<string, Shape>;
  /** What depends on the step, in float64; fed as scalars of these names. @param step 1-based */
  scalars(step: number, steps: number): Record<string, number>;
  update(tf: TensorFlow, given: GraphOptimizerInputs): GraphOptimizerOutputs;
}

export interface GraphOptimizerInputs {
  readonly parameters: Tensors;
  readonly state: Tensors;
  readonly gradients: Tensors;
  readonly scalars: Tensors;
  /** a scalar, factor of all gradients before anything else; default 1 */
  readonly gradientScale?: Tensor;
}

export interface GraphOptimizerOutputs {
  readonly parameters: Record<string, Tensor>;
  readonly state: Record<string, Tensor>;
  /** of the scaled gradients, before clipping; not finite where nothing was changed */
  readonly gradientNorm: Tensor;
}

const LARGEST_FLOAT32 = 3.4028234663852886e38;

export function graphOptimizer(config: OptimizerConfig): GraphOptimizer {
  const rule = updateRule(config);
  return {
    stateShapes: (shapes) => optimizerStateShapes(shapes, config),
    scalars: rule.coefficients,
    update(tf, { parameters, state, gradients, scalars, gradientScale }) {
      const unscaled = globalNorm(tf, gradients);
      const gradientNorm = gradientScale ? tf.mul(unscaled, gradientScale) : unscaled;
      const finite = tf.lessEqual(gradientNorm, LARGEST_FLOAT32);
      const clipped = clipFactorOf(tf, gradientNorm, config.clipNorm);
      const scale = tf.where(finite, gradientScale ? tf.mul(clipped, gradientScale) : clipped, tf.scalar(0));
      const coefficients: Record<string, Tensor> = { ...scalars };
      for (const [name, idle] of Object.entries(rule.idle))
        coefficients[name] = tf.where(finite, scalars[name]!, tf.scalar(idle));
      // Coefficients of 0 do not silence a NaN, so gradients are replaced too. Every finite value is above the first of
      // the bounds, none is above the second: one comparison for both cases, without a condition of the array's shape.
      const bound = tf.where(finite, tf.scalar(-LARGEST_FLOAT32), tf.scalar(Number.POSITIVE_INFINITY));

      const next: GraphOptimizerOutputs = { parameters: {}, state: {}, gradientNorm };
      for (const [name, parameter] of Object.entries(parameters)) {
        const kinds = Object.keys(rule.stateOf(parameter.shape));
        const updated = rule.updated(tf, {
          parameter,
          gradient: tf.where(tf.greater(gradients[name]!, bound), gradients[name]!, parameter),
          state: Object.fromEntries(kinds.map((kind) => [kind, state[stateName(kind, name)]!])),
          coefficients,
          scale,
        });
        next.parameters[name] = updated.parameter;
        for (const kind of kinds) next.state[stateName(kind, name)] = updated.state[kind]!;
      }
      return next;
    },
  };
}

/** √Σ g² over all gradients. A scalar. */
function globalNorm(tf: TensorFlow, gradients: Tensors): Tensor {
  const squares = Object.values(gradients).map((gradient) => tf.sum(tf.square(gradient)));
  return tf.sqrt(tf.sum(tf.stack(squares)));
}

/** As `clipFactor`. */
function clipFactorOf(tf: TensorFlow, norm: Tensor, clipNorm: number): Tensor {
  return clipNorm === 0 ? tf.scalar(1) : tf.minimum(tf.div(clipNorm, tf.add(norm, NORM_EPSILON)), 1);
}
