/**
 * Adafactor (arXiv 1804.04235) as fairseq and transformers have it, with a learning rate from outside: the second moment
 * of a matrix is kept as a mean for each row and each column, an update whose root mean square is above a threshold is
 * scaled down, and the running mean, where one is kept, is of updates rather than gradients.
 */
import type { Tensor } from "@tensorflow/tfjs-core";
import type { TensorFlow } from "../../engine/tensorflow.ts";
import type { AdafactorConfig } from "../contract.ts";
import { wholeBlocks } from "./kernels.ts";
import { learningRateAt } from "./schedule.ts";
import { decays, type Shape, type UpdateRule } from "./update-rule.ts";

export function adafactor(config: AdafactorConfig): UpdateRule {
  const { beta1, decayRate, clipThreshold, epsilon1, epsilon2, scaleParameter, weightDecay } = config;
  return {
    stateOf(shape) {
      const first = beta1 === null ? {} : { first: shape };
      if (!factored(shape)) return { ...first, second: shape };
      return { ...first, row: [shape[0]!], column: [shape[1]!] };
    },

    coefficients(step, steps) {
      const beta2 = 1 - step ** -decayRate;
      return {
        rate: learningRateAt(config, step, steps),
        beta1: beta1 ?? 0,
        rest1: 1 - (beta1 ?? 0),
        beta2,
        rest2: 1 - beta2,
        floor: 0,
      };
    },

    // Before the first step the means are 0, and nothing can be divided by their roots: hence the floor.
    idle: { rate: 0, beta1: 1, rest1: 0, beta2: 1, rest2: 0, floor: 1 },

    scratchBytes: (shape) => (factored(shape) ? shape[1]! * 8 : 0),

    updateInPlace(kernels, { shape, length, parameter, gradient, state, scratch, scale }, c) {
      const [rows, columns] = shape as [number, number];
      const { first = 0, second, row, column } = state;
      let squares: number;
      if (factored(shape)) {
        kernels.averageFactored(gradient, rows, columns, row!, column!, scratch, scale, c.beta2!, epsilon1);
        squares = kernels.factoredSquares(gradient, rows, columns, row!, column!, scratch, scale);
      } else {
        kernels.averageSquares(gradient, length, second!, scale, c.beta2!, epsilon1);
        squares = kernels.plainSquares(gradient, length, second!, scale);
      }
      const parameterRms = () => Math.sqrt(kernels.sumOfSquares(parameter, wholeBlocks(length * 4)) / length);
      const rate = c.rate! * (scaleParameter ? Math.max(epsilon2, parameterRms()) : 1);
      const clipped = rate / Math.max(1, Math.sqrt(squares / length) / clipThreshold);
      const kept = decays(shape) ? 1 - rate * weightDecay : 1;
      const tail = [scale, clipped, c.beta1!, c.rest1!, kept] as const;
      if (factored(shape)) kernels.updateByFactors(parameter, gradient, rows, columns, first, row!, scratch, ...tail);
      else kernels.updateBySquares(parameter, gradient, length, first, second!, ...tail);
    },

    updated(tf, { parameter, gradient, state, coefficients: c, scale }) {
      const scaled = tf.mul(gradient, scale);
      const { direction, means } = descent(tf, scaled, state, c, epsilon1);
      const rate = scaleParameter ? tf.mul(c.rate!, tf.maximum(rootMeanSquare(tf, parameter), epsilon2)) : c.rate!;
      const clipped = tf.div(rate, tf.maximum(tf.div(rootMeanSquare(tf, direction), clipThreshold), 1));
      const update = tf.mul(direction, clipped);
      const first = state.first && tf.add(tf.mul(state.first, c.beta1!), tf.mul(update, c.rest1!));
      const decaying = decays(parameter.shape) && weightDecay > 0;
      const kept = decaying ? tf.mul(parameter, tf.sub(1, tf.mul(rate, weightDecay))) : parameter;
      return { parameter: tf.sub(kept, first ?? update), state: { ...(first && { first }), ...means } };
    },
  };
}

/** The gradient over the root of its second moment, and that moment's running means. */
function descent(
  tf: TensorFlow,
  gradient: Tensor,
  state: Readonly<Record<string, Tensor>>,
  c: Readonly<Record<string, Tensor>>,
  epsilon1: number,
): { direction: Tensor; means: Record<string, Tensor> } {
  const squares = tf.add(tf.square(gradient), epsilon1);
  const average = (mean: Tensor, value: Tensor) => tf.add(tf.mul(mean, c.beta2!), tf.mul(value, c.rest2!));
  if (!factored(gradient.shape)) {
    const second = average(state.second!, squares);
    return { direction: tf.mul(gradient, tf.rsqrt(tf.add(second, c.floor!))), means: { second } };
  }
  const [rows, columns] = gradient.shape as [number, number];
  const row = average(state.row!, tf.mean(squares, 1)); // [rows]
  const column = average(state.column!, tf.mean(squares, 0)); // [columns]
  const floored = tf.add(row, c.floor!);
  const byRow = tf.reshape(tf.rsqrt(tf.div(floored, tf.mean(floored))), [rows, 1]);
  const byColumn = tf.reshape(tf.rsqrt(tf.add(column, c.floor!)), [1, columns]);
  return { direction: tf.mul(tf.mul(gradient, byRow), byColumn), means: { row, column } };
}

function rootMeanSquare(tf: TensorFlow, x: Tensor): Tensor {
  return tf.sqrt(tf.mean(tf.square(x)));
}

function factored(shape: Shape): boolean {
  if (shape.length > 2) throw new RangeError(`adafactor: a parameter has at most 2 dimensions, found ${shape.length}`);
  return shape.length === 2;
}
