/** Input and output of main: a model trained on given weights, to see what they are worth. */
import { z } from "zod";
import { dataWait, evaluation, trainedModel, trainingInput, trainingWarnings } from "../reference/contract.ts";

export const mainInput = trainingInput.extend({
  /** sampling weights, in the order of the domains */
  weights: z.array(z.number()),
  /** looks at the held-out loss on the way: steps between them, and sequences of each domain */
  looks: z.strictObject({ every: z.int(), sequences: z.int() }),
});

/** Held-out documents of one domain, in order: tokens of each that were evaluated, and their mean loss. */
const documents = z.strictObject({ sizes: z.array(z.int()), losses: z.array(z.number()) });

/** Held-out loss of each domain after so many steps; null where a domain holds nothing out. */
export const lossCurve = z.strictObject({
  steps: z.array(z.int()),
  loss: z.array(z.array(z.number().nullable())),
});

export const mainOutput = z.strictObject({
  model: trainedModel,
  seed: z.int(),
  steps: z.int(),
  trainedTokens: z.int(),
  finalLoss: z.number(),
  evaluation,
  /** by domain; empty where it holds nothing out */
  documents: z.array(documents),
  /** of the sequences of a look, the end among them; empty where nothing is held out */
  curve: lossCurve,
  dataWait,
  notes: z.array(z.string()),
  warnings: trainingWarnings,
});

export type MainInput = z.output<typeof mainInput>;
export type MainOutput = z.output<typeof mainOutput>;
