/** `evaluate`: main models trained on a baseline's weights and on others, to see whether those are worth having. */
import { z } from "zod";
import { name, positiveInteger } from "./common.ts";
import { model, optimizer } from "./model.ts";
import { weights } from "./weights.ts";

const anyWeights = z.union([z.literal("learned"), weights]);

const mixture = z
  .union([z.strictObject({ name: name.describe("In tables and folder names."), weights: anyWeights }), anyWeights])
  .describe("learned (the proxy's), or weights as in resample.weights; { name, weights } names them.");

export const evaluate = z.strictObject({
  baseline: mixture.default("natural").describe("Weights that the others are compared with."),
  candidates: z
    .array(mixture)
    .min(1)
    .default(["learned", "uniform"])
    .describe("Weights that are to be compared with the baseline's."),
  seeds: positiveInteger
    .default(3)
    .describe("Trainings of each: their initial weights and order of the data. One says little of chance."),
  steps: positiveInteger.optional().describe("Of each main model. Default: train.proxy.steps."),
  batchSize: positiveInteger.optional().describe("Sequences. Default: train.batchSize."),
  model: model.optional().describe("The main model. Default: train.model."),
  optimizer: optimizer.optional().describe("Default: train.optimizer."),
  evaluateEvery: positiveInteger
    .optional()
    .describe("Steps between looks at the held-out loss, for the speed-up. Default: a twentieth of the steps."),
  evaluationSequences: positiveInteger
    .default(128)
    .describe("Held-out sequences per domain, at most, spread over its held-out documents."),
});
