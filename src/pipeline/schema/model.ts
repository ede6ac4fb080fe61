/** `train.model` and `train.optimizer`. */
import { z } from "zod";
import type { ModelConfig } from "../../trainer/contract.ts";
import { PRESET_NAMES, PRESETS } from "../../trainer/presets.ts";
import { modelFaults, optimizerFaults } from "../../trainer/settings.ts";
import { fraction, positiveInteger, refuse } from "./common.ts";

const beta = z.number().min(0).lt(1);
const number = z.number().positive();

const ropeScaling = z.strictObject({
  factor: number,
  lowFrequencyFactor: number,
  highFrequencyFactor: number,
  originalPositions: positiveInteger,
});

/** Sizes that are left out are the preset's; what else is left out has the default of its architecture. */
export const model = z
  .strictObject({
    preset: z
      .enum(PRESET_NAMES)
      .default("4M")
      .describe("Layers, width, heads and sequence length, each of which may be given beside it. See the plan."),
    architecture: z.enum(["gpt2", "llama"]).default("gpt2"),
    layers: positiveInteger.optional(),
    width: positiveInteger.optional(),
    heads: positiveInteger.optional(),
    keyValueHeads: positiveInteger.optional().describe("llama: heads of keys and values. Default: heads."),
    innerWidth: positiveInteger
      .optional()
      .describe(
        "Of the feed-forward layers. Default: the preset's; else 4 times the width, for llama 8/3 of it, rounded up to a multiple of 64.",
      ),
    sequenceLength: positiveInteger.optional().describe("Tokens."),
    tied: z.boolean().optional().describe("The output layer is the token embedding. Default: true."),
    activation: z.enum(["gelu_new", "gelu"]).optional().describe("gpt2. Default: gelu_new, the tanh approximation."),
    normEpsilon: number.optional().describe("Default: 1e-5."),
    ropeTheta: number.optional().describe("llama: base of the rotary frequencies. Default: 10000."),
    ropeScaling: ropeScaling.nullable().optional().describe("llama: rotary frequencies as Llama 3.1 stretches them."),
  })
  .transform(({ preset, ...given }): Omit<ModelConfig, "vocabularySize"> => {
    const set = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
    return { ...PRESETS[preset], ...(set as Pick<ModelConfig, "architecture">) };
  })
  .check(refuse(modelFaults));

const schedule = {
  learningRate: z.number().positive().default(1e-3),
  finalLearningRate: z
    .number()
    .min(0)
    .optional()
    .describe("At most learningRate. Default: 1e-4, or learningRate where that is less."),
  warmup: fraction.default(0.06).describe("Share of the steps."),
  decay: z
    .enum(["exponential", "cosine", "linear", "constant", "wsd"])
    .default("exponential")
    .describe("To finalLearningRate at the last step. wsd: stable, and falling over the last of the steps only."),
  decayShare: z.number().positive().max(1).optional().describe("wsd: share of the steps that decay. Default: 0.1."),
  decayShape: z
    .enum(["exponential", "cosine", "linear", "1-sqrt"])
    .optional()
    .describe("wsd: how the rate falls. Default: 1-sqrt."),
  weightDecay: z.number().min(0).default(0.01).describe("On matrices, not on biases and norms."),
  clipNorm: z.number().min(0).default(1).describe("0 = no clipping."),
};

const withFinalRate = <T extends { readonly learningRate: number; readonly finalLearningRate?: number | undefined }>(
  settings: T,
) => ({ ...settings, finalLearningRate: settings.finalLearningRate ?? Math.min(1e-4, settings.learningRate) });

export const optimizer = z.discriminatedUnion("name", [
  z
    .strictObject({
      name: z.literal("adamw").optional(),
      ...schedule,
      beta1: beta.default(0.9),
      beta2: beta.default(0.99),
      epsilon: z.number().positive().default(1e-8),
    })
    .transform(withFinalRate)
    .check(refuse(optimizerFaults)),
  z
    .strictObject({
      name: z.literal("adafactor").describe("The paper's: little state."),
      ...schedule,
      beta1: beta.nullable().default(null).describe("Of the running mean of updates; null keeps none."),
      decayRate: z.number().positive().max(1).default(0.8),
      clipThreshold: z.number().positive().default(1),
      epsilon1: z.number().positive().default(1e-30),
      epsilon2: z.number().positive().default(1e-3),
      scaleParameter: z.boolean().default(false).describe("Learning rate relative to each parameter's size."),
    })
    .transform(withFinalRate)
    .check(refuse(optimizerFaults)),
]);
