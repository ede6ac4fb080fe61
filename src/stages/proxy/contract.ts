/** Input and output of proxy: the second small model, whose averaged domain weights are the result. */
import { z } from "zod";
import { dataWait, evaluation, trainedModel, trainingInput, trainingWarnings } from "../reference/contract.ts";
import { completeObjective } from "./objective.ts";

export const proxyInput = trainingInput.extend({
  /** null where the objective needs none */
  reference: trainedModel.nullable(),
  objective: completeObjective,
  /** weights before the first step, in the order of the domains like all that follow */
  start: z.array(z.number()),
  /** shares that batches draw from the domains */
  sampling: z.array(z.number()),
  /** baseline weights, that the reference was trained on */
  referenceWeights: z.array(z.number()),
  /** tokens of the corpus */
  sizes: z.array(z.number()),
  /** steps between looks at the held-out loss; null: as often as costs little */
  evaluateEvery: z.int().nullable(),
  /** what the objective saw of each step is kept */
  trace: z.boolean(),
  /** of a batch in parts; stale: sequences in each part, which decide what it computes */
  accumulation: z.union([z.literal("exact"), z.strictObject({ stale: z.int() })]),
  settle: z.strictObject({ tolerance: z.number(), every: z.int() }).nullable(),
});

export const proxyOutput = z.strictObject({
  /** the learned domain weights: mean of alpha over the steps */
  weights: z.record(z.string(), z.number()),
  /** weights of the last step */
  finalAlpha: z.record(z.string(), z.number()),
  model: trainedModel,
  steps: z.int(),
  trainedTokens: z.int(),
  finalLoss: z.number(),
  evaluation,
  /** Arrow file, a row per step */
  trajectory: z.string(),
  /** Arrow file of each step's sequences, for `replay`; null where it was not kept */
  trace: z.string().nullable(),
  dataWait,
  notes: z.array(z.string()),
  warnings: trainingWarnings,
});

export type ProxyInput = z.output<typeof proxyInput>;
export type ProxyOutput = z.output<typeof proxyOutput>;
