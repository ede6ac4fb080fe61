/** Input and output of evaluate: main models of several mixtures, put together into a report. */
import { z } from "zod";
import { lossCurve, mainOutput } from "../main/contract.ts";
import { modelConfig } from "../reference/contract.ts";

const run = mainOutput.pick({
  seed: true,
  steps: true,
  trainedTokens: true,
  documents: true,
  curve: true,
  warnings: true,
});

export const evaluateInput = z.strictObject({
  pipeline: z.string(),
  domains: z.array(
    z.strictObject({
      name: z.string(),
      /** share of the corpus's tokens */
      share: z.number(),
    }),
  ),
  model: modelConfig,
  steps: z.int(),
  batchSize: z.int(),
  /** the first one is the baseline */
  mixtures: z.array(
    z.strictObject({
      name: z.string(),
      /** where the weights came from */
      from: z.string(),
      weights: z.array(z.number()),
      /** by domain: how often its text is read in a training; below 1: what share of it */
      epochs: z.array(z.number()),
      /** the mixture before it that has the same weights, whose models are its own */
      sameAs: z.string().nullable(),
      notes: z.array(z.string()),
      /** one per seed, the same seeds for every mixture */
      runs: z.array(run),
    }),
  ),
});

const estimate = z.strictObject({
  mean: z.number(),
  /** 95 %; null where there is nothing to tell chance by */
  interval: z.strictObject({ low: z.number(), high: z.number() }).nullable(),
  standardError: z.number().nullable(),
  variance: z.strictObject({ seeds: z.number().nullable(), documents: z.number().nullable() }),
});

const difference = z.strictObject({
  /** losses, nats per token */
  baseline: estimate,
  candidate: estimate,
  /** candidate − baseline, on the same documents and seeds: below 0 is better */
  difference: estimate,
  verdict: z.enum(["wins", "loses", "inside the noise"]),
});

const comparison = z.strictObject({
  baseline: z.string(),
  candidate: z.string(),
  /** one sentence or two */
  conclusion: z.string(),
  domains: z.array(difference.extend({ name: z.string() })),
  average: difference,
  weighted: difference,
  worst: difference.extend({ baselineDomain: z.string(), candidateDomain: z.string() }),
  wins: z.int(),
  losses: z.int(),
  undecided: z.int(),
  lower: z.int(),
  /** null where nothing was looked at on the way */
  speedUp: z
    .strictObject({
      steps: z.number().nullable(),
      share: z.number().nullable(),
      factor: z.number().nullable(),
      bySeed: z.array(z.number().nullable()),
    })
    .nullable(),
});

export const evaluateOutput = z.strictObject({
  format: z.literal("doremi-evaluation"),
  pipeline: z.string(),
  model: modelConfig,
  steps: z.int(),
  batchSize: z.int(),
  tokensEach: z.int(),
  seeds: z.array(z.int()),
  confidence: z.number(),
  domains: z.array(
    z.strictObject({
      name: z.string(),
      share: z.number(),
      heldOutDocuments: z.int(),
      /** of them, those that were evaluated */
      heldOutTokens: z.int(),
    }),
  ),
  mixtures: z.array(
    z.strictObject({
      name: z.string(),
      from: z.string(),
      sameAs: z.string().nullable(),
      /** the first one is the baseline */
      domains: z.array(
        z.strictObject({
          weight: z.number(),
          /** how often its text is read in a training; below 1: what share of it */
          epochs: z.number(),
          /** null where the domain holds nothing out */
          loss: estimate.nullable(),
          perplexity: z.number().nullable(),
        }),
      ),
      /** mean over the seeds; of the sequences of a look */
      curve: lossCurve,
    }),
  ),
  comparisons: z.array(comparison),
  /** what to mind when reading it */
  warnings: z.array(z.string()),
});

export type EvaluateInput = z.output<typeof evaluateInput>;
export type EvaluateOutput = z.output<typeof evaluateOutput>;
export type ReportedComparison = EvaluateOutput["comparisons"][number];
