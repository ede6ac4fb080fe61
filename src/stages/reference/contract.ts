/** Input and output of reference: a small model trained on the baseline weights, or one brought from outside. */
import { z } from "zod";
import { type TrainingWarning, WARNING_CODES } from "../../trainer/diagnosis-contract.ts";
import type { CompleteModel } from "../../trainer/model.ts";
import { tokenizeOutput } from "../tokenize/contract.ts";

const sizes = {
  vocabularySize: z.int(),
  sequenceLength: z.int(),
  width: z.int(),
  layers: z.int(),
  heads: z.int(),
  innerWidth: z.int(),
  tied: z.boolean(),
  normEpsilon: z.number(),
};

/** With every default filled in, so that a stage's key does not depend on them. */
export const modelConfig: z.ZodType<CompleteModel> = z.discriminatedUnion("architecture", [
  z.strictObject({ architecture: z.literal("gpt2"), ...sizes, activation: z.enum(["gelu_new", "gelu"]) }),
  z.strictObject({
    architecture: z.literal("llama"),
    ...sizes,
    keyValueHeads: z.int(),
    ropeTheta: z.number(),
    ropeScaling: z
      .strictObject({
        factor: z.number(),
        lowFrequencyFactor: z.number(),
        highFrequencyFactor: z.number(),
        originalPositions: z.int(),
      })
      .nullable(),
  }),
]);

const schedule = {
  learningRate: z.number(),
  finalLearningRate: z.number(),
  warmupSteps: z.int(),
  decay: z.enum(["exponential", "cosine", "linear", "constant", "wsd"]),
  decayShare: z.number().optional(),
  decayShape: z.enum(["exponential", "cosine", "linear", "1-sqrt"]).optional(),
  weightDecay: z.number(),
  clipNorm: z.number(),
};

export const optimizerConfig = z.discriminatedUnion("name", [
  z.strictObject({
    name: z.literal("adamw"),
    ...schedule,
    beta1: z.number(),
    beta2: z.number(),
    epsilon: z.number(),
  }),
  z.strictObject({
    name: z.literal("adafactor"),
    ...schedule,
    beta1: z.number().nullable(),
    decayRate: z.number(),
    clipThreshold: z.number(),
    epsilon1: z.number(),
    epsilon2: z.number(),
    scaleParameter: z.boolean(),
  }),
]);

/** What both models' training takes. */
export const trainingInput = z.strictObject({
  tokens: tokenizeOutput,
  model: modelConfig,
  optimizer: optimizerConfig,
  steps: z.int(),
  batchSize: z.int(),
  precision: z.enum(["float32", "bfloat16", "float16"]),
  evaluationSequences: z.int(),
  seed: z.int(),
});

export const referenceInput = trainingInput.extend({
  /** baseline weights, in the order of the domains */
  weights: z.array(z.number()),
  /** where they came from, for the record */
  weightsFrom: z.string(),
  /** a trained model to use instead of training one */
  external: z.strictObject({ path: z.string(), sha256: z.string() }).nullable(),
});

/**
 * Share of the training's time that the engine waited for batches, in the run that finished it; null where it found all
 * steps done. Differs from run to run.
 */
export const dataWait = z.number().nullable();

/** What goes wrong in a training, and what to change. */
export const trainingWarnings: z.ZodType<TrainingWarning[]> = z.array(
  z.strictObject({
    code: z.enum(WARNING_CODES),
    message: z.string(),
    /** after which it was found */
    step: z.int(),
    domain: z.string().optional(),
  }),
) as unknown as z.ZodType<TrainingWarning[]>;

/** Held-out loss (nats per token), by domain; null where there is nothing held out. */
export const evaluation = z.strictObject({
  loss: z.array(z.number().nullable()),
  tokens: z.array(z.int()),
});

export const trainedModel = z.strictObject({
  /** folder with config.json and model.safetensors, in the stage's folder */
  path: z.string(),
  /** of both files */
  sha256: z.string(),
});

export const referenceOutput = z.strictObject({
  model: trainedModel,
  /** 0 for a model from outside */
  steps: z.int(),
  trainedTokens: z.int(),
  weights: z.record(z.string(), z.number()),
  weightsFrom: z.string(),
  /** training loss, mean over the last tenth of the steps; null for a model from outside */
  finalLoss: z.number().nullable(),
  evaluation,
  dataWait,
  notes: z.array(z.string()),
  warnings: trainingWarnings,
});

export type ReferenceInput = z.output<typeof referenceInput>;
export type ReferenceOutput = z.output<typeof referenceOutput>;
export type TrainingInput = z.output<typeof trainingInput>;
export type Evaluation = z.output<typeof evaluation>;
