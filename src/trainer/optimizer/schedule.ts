/** The learning rate of each step, in float64. */
import type { DecayShape, OptimizerConfig } from "../contract.ts";

/** wsd: the last tenth of the steps, falling as 1 − √: what arXiv 2405.18392 found to do best. */
export const WSD_DEFAULTS = { decayShare: 0.1, decayShape: "1-sqrt" } as const satisfies Partial<OptimizerConfig>;

/**
 * Linear warm-up to `learningRate`, then decay to `finalLearningRate` at the last step.
 * @param step 1-based  @param steps of the whole training
 */
export function learningRateAt(config: OptimizerConfig, step: number, steps: number): number {
  const { learningRate: peak, finalLearningRate: final, warmupSteps, decay } = config;
  if (step <= warmupSteps) return (peak * step) / warmupSteps;
  if (decay === "constant") return peak;
  if (decay !== "wsd") return between(decay, peak, final, progress(warmupSteps, step, steps));
  const { decayShare = WSD_DEFAULTS.decayShare, decayShape = WSD_DEFAULTS.decayShape } = config;
  const start = Math.max(warmupSteps, steps - decayShare * steps);
  return step <= start ? peak : between(decayShape, peak, final, progress(start, step, steps));
}

/** Share of the way from `start` to the end, 0..1. */
function progress(start: number, step: number, steps: number): number {
  return steps > start ? Math.min(1, (step - start) / (steps - start)) : 1;
}

function between(shape: DecayShape, peak: number, final: number, progress: number): number {
  switch (shape) {
    case "exponential":
      return peak * (final / peak) ** progress;
    case "cosine":
      return final + (peak - final) * 0.5 * (1 + Math.cos(Math.PI * progress));
    case "linear":
      return peak + (final - peak) * progress;
    case "1-sqrt":
      return final + (peak - final) * (1 - Math.sqrt(progress));
    default:
      return shape satisfies never;
  }
}
