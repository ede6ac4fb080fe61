/** `resample`: how the learned weights become a training set. */
import { z } from "zod";
import { name, positiveInteger } from "./common.ts";
import { weights } from "./weights.ts";

export const resample = z.strictObject({
  weights: z
    .union([z.literal("learned"), weights])
    .default("learned")
    .describe(
      "learned (the proxy's), natural, uniform, { temperature }, { exponent }, { unimax }, { regression }, a table, or a weights.json.",
    ),
  budgetTokens: z
    .union([z.literal("auto"), positiveInteger])
    .default("auto")
    .describe("Tokens of the resampled set. auto: the most that the epoch caps allow at these weights."),
  maxEpochs: z
    .union([z.number().positive(), z.record(name, z.number().positive())])
    .default(4)
    .describe("How often a domain may be repeated, for all or per domain (4 where a table does not say)."),
  onCap: z
    .enum(["redistribute", "fail"])
    .default("redistribute")
    .describe("When the weights ask more of a domain than its cap: give the rest to the others by weight, or stop."),
});
