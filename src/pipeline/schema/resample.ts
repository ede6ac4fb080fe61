/** `resample`: how the learned weights become a training set. */
import { z } from "zod";
import { fraction, name, positiveInteger } from "./common.ts";
import { weights } from "./weights.ts";

export const resample = z.strictObject({
  weights: z
    .union([z.literal("learned"), weights])
    .default("learned")
    .describe(
      "learned (the proxy's), natural, uniform, { temperature }, { exponent }, { unimax }, { regression }, a table, or a weights.json.",
    ),
  unit: z
    .union([z.enum(["tokens", "documents"]), z.strictObject({ sequences: positiveInteger })])
    .default("tokens")
    .describe(
      "What a table of weights, or uniform, is by: tokens, documents, or { sequences: N } of N tokens, a document's last one padded. Converted to shares of tokens. Weights that are learned or follow from sizes are by tokens.",
    ),
  budgetTokens: z
    .union([z.literal("auto"), positiveInteger])
    .default("auto")
    .describe("Tokens of the resampled set. auto: the most that the epoch caps allow at these weights."),
  maxEpochs: z
    .union([z.number().positive(), z.record(name, z.number().positive())])
    .default(4)
    .describe("How often a domain may be repeated, for all or per domain (4 where a table does not say)."),
  minShare: z
    .union([fraction, z.record(name, fraction)])
    .default(0)
    .describe(
      "Least share of the budget: of each domain that has weight, or per domain, whatever its weight. The other domains give it.",
    ),
  onCap: z
    .enum(["redistribute", "fail"])
    .default("redistribute")
    .describe("When the weights ask more of a domain than its cap: give the rest to the others by weight, or stop."),
  granularity: z
    .enum(["document", "row-group", "shard"])
    .default("document")
    .describe("What is chosen whole. row-group and shard choose faster, and further from the target."),
  order: z
    .enum(["mixed", "domain"])
    .default("mixed")
    .describe(
      "mixed: domains interleaved, so that every prefix of the manifest holds them in proportion. domain: one after the other.",
    ),
  shuffle: z
    .enum(["document", "row-group", "shard", "none"])
    .optional()
    .describe(
      "What is moved whole inside an epoch of a domain, in a new order in each. none: as files and rows lie. Default: as granularity.",
    ),
});
