/** Input and output of resample: weights, counts and a budget to a manifest. */
import { z } from "zod";
import { BAD_DOCUMENT_POLICIES } from "../../formats/shard.ts";
import { domainRule } from "../../manifest/domain-rule.ts";
import { granularity, manifestSchema, weightUnit } from "../../manifest/schema.ts";
import { countOutput, tokenizerDescriptor, transformReference } from "../count/contract.ts";
import { tokenizeInput } from "../tokenize/contract.ts";

export const resampleInput = z.strictObject({
  pipeline: z.string(),
  count: countOutput,
  /** absolute path of the folder that shard paths start from */
  root: z.string(),
  /** absolute path that the result will have: the manifest's root is written relative to it */
  target: z.string(),
  /** that weights and the budget are counted in */
  tokenizer: tokenizerDescriptor,
  columns: z.strictObject({ text: z.string(), domain: z.string().nullable() }),
  onBadDocument: z.enum(BAD_DOCUMENT_POLICIES),
  domainRule,
  transform: transformReference.nullable(),
  heldOut: tokenizeInput.shape.heldOut,
  weights: z.array(z.number()),
  weightsFrom: z.string(),
  /** what the weights are shares of */
  unit: weightUnit,
  budgetTokens: z.union([z.literal("auto"), z.int()]),
  /** by domain */
  maxEpochs: z.array(z.number()),
  /** of the budget, by domain */
  minShares: z.array(z.number()),
  onCap: z.enum(["redistribute", "fail"]),
  selection: z.strictObject({
    granularity,
    order: manifestSchema.shape.order,
    shuffle: manifestSchema.shape.shuffle,
  }),
  seed: z.int(),
  notes: z.array(z.string()),
});

export const resampleOutput = z.strictObject({
  unit: weightUnit,
  selectionSettings: resampleInput.shape.selection,
  /** in the stage's folder */
  manifest: z.string(),
  selection: z.string(),
  budgetTokens: z.int(),
  achievedTokens: z.int(),
  domains: z.array(
    z.strictObject({
      name: z.string(),
      weight: z.number(),
      tokenWeight: z.number(),
      achievedWeight: z.number(),
      targetTokens: z.int(),
      achievedTokens: z.int(),
      selectedDocuments: z.int(),
      epochs: z.number(),
      /** its epoch cap decided how much it gives */
      capped: z.boolean(),
      /** its least share did */
      floored: z.boolean(),
    }),
  ),
  notes: z.array(z.string()),
});

export type ResampleInput = z.output<typeof resampleInput>;
export type ResampleOutput = z.output<typeof resampleOutput>;
