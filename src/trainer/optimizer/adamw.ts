/** AdamW (arXiv 1711.05101): Adam with weight decay that does not pass through the moments. */
import type { AdamWConfig } from "../contract.ts";
import { wholeBlocks } from "./kernels.ts";
import { learningRateAt } from "./schedule.ts";
import { decays, type UpdateRule } from "./update-rule.ts";

export function adamW(config: AdamWConfig): UpdateRule {
  const { beta1, beta2, epsilon, weightDecay } = config;
  return {
    stateOf: (shape) => ({ first: shape, second: shape }),

    coefficients(step, steps) {
      const rate = learningRateAt(config, step, steps);
      return {
        beta1,
        rest1: 1 - beta1,
        beta2,
        rest2: 1 - beta2,
        stepSize: rate / (1 - beta1 ** step),
        correction: 1 / (1 - beta2 ** step),
        kept: 1 - rate * weightDecay,
      };
    },

    idle: { beta1: 1, rest1: 0, beta2: 1, rest2: 0, stepSize: 0, kept: 1 },

    scratchBytes: () => 0,

    updateInPlace(kernels, { shape, length, parameter, gradient, state, scale }, c) {
      kernels.adamW(
        parameter,
        gradient,
        state.first!,
        state.second!,
        wholeBlocks(length * 4),
        scale,
        c.beta1!,
        c.rest1!,
        c.beta2!,
        c.rest2!,
        c.stepSize!,
        c.correction!,
        epsilon,
        decays(shape) ? c.kept! : 1,
      );
    },

    // Scalars are multiplied with each other first, because each costs a pass over the parameter.
    updated(tf, { parameter, gradient, state, coefficients: c, scale }) {
      const share1 = tf.mul(c.rest1!, scale);
      const share2 = tf.mul(c.rest2!, tf.square(scale));
      const first = tf.add(tf.mul(state.first!, c.beta1!), tf.mul(gradient, share1));
      const second = tf.add(tf.mul(state.second!, c.beta2!), tf.mul(tf.square(gradient), share2));
      const change = tf.div(
        tf.mul(first, c.stepSize!),
        tf.add(tf.sqrt(tf.mul(second, c.correction!)), tf.scalar(epsilon)),
      );
      const kept = decays(parameter.shape) && weightDecay > 0 ? tf.mul(parameter, c.kept!) : parameter;
      return { parameter: tf.sub(kept, change), state: { first, second } };
    },
  };
}
