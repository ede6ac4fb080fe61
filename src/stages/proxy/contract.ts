/** Input and output of proxy: DoReMi's second model, whose averaged domain weights are the result. */
import { z } from "zod";
import { dataWait, evaluation, trainedModel, trainingInput } from "../reference/contract.ts";

export const proxyInput = trainingInput.extend({
  reference: trainedModel,
  objective: z.literal("doremi"),
  eta: z.number(),
  smoothing: z.number(),
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
  /** Arrow file, a row per step and domain */
  trajectory: z.string(),
  dataWait,
  notes: z.array(z.string()),
});

export type ProxyInput = z.output<typeof proxyInput>;
export type ProxyOutput = z.output<typeof proxyOutput>;
