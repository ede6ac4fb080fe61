/** `train.proxy`: the model that learns the domain weights. */
import { z } from "zod";
import { fraction, positiveInteger } from "./common.ts";

export const proxy = z.strictObject({
  steps: positiveInteger.default(1000),
  objective: z.literal("doremi").default("doremi"),
  eta: z.number().positive().default(1).describe("Step size of the domain-weight update."),
  smoothing: fraction.default(1e-3).describe("c: share of the uniform distribution mixed in after each update."),
  referenceLosses: z
    .enum(["resident", "cached", "auto"])
    .default("auto")
    .describe(
      "The reference runs beside the proxy (resident), or its losses are computed once for every sequence and kept in the cache folder (cached). auto: cached where that is less work.",
    ),
  settle: z
    .strictObject({
      tolerance: z.number().positive().max(1).describe("Largest difference of a domain's mean weight, 0 to 1."),
      every: positiveInteger.default(100).describe("Steps between looks."),
    })
    .optional()
    .describe(
      "Stop early, once the weights averaged over the first half of the steps so far and over the second differ by less than the tolerance. Default: train all steps.",
    ),
});
