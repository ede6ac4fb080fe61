/** Input and output of mixture: the weights of every training of a pipeline to the weights that are its result. */
import { z } from "zod";

const byDomain = z.record(z.string(), z.number());

export const mixtureInput = z.strictObject({
  domains: z.array(z.string()),
  /** what the first round's reference was trained on */
  reference: z.array(z.number()),
  /** rounds go on until no weight changes by so much; null where their number is given */
  tolerance: z.number().nullable(),
  /** of each round, of each of its seeds */
  rounds: z.array(
    z.array(
      z.strictObject({
        /** name of the proxy's stage, and of its folder beside this one's */
        stage: z.string(),
        /** what its generators were seeded with */
        seed: z.int(),
        weights: z.array(z.number()),
      }),
    ),
  ),
});

const round = z.strictObject({
  /** from 1 */
  round: z.int(),
  /** what its reference was trained on: the round before's weights */
  referenceWeights: byDomain,
  /** mean over the seeds */
  weights: byDomain,
  /** largest difference of a domain's weight from its reference's, and that domain */
  change: z.number(),
  changedMost: z.string(),
  /** over the seeds; null of one */
  spread: z.strictObject({ deviation: byDomain, min: byDomain, max: byDomain }).nullable(),
  seeds: z.array(z.strictObject({ stage: z.string(), seed: z.int(), weights: byDomain })),
});

export const mixtureOutput = z.strictObject({
  /** what the file of it is known by */
  format: z.literal("doremi-rounds"),
  /** of the last round */
  weights: byDomain,
  rounds: z.array(round),
  /** did the last round change less than the tolerance? null where the number of rounds was given */
  converged: z.boolean().nullable(),
  notes: z.array(z.string()),
});

export type MixtureInput = z.output<typeof mixtureInput>;
export type MixtureOutput = z.output<typeof mixtureOutput>;
export type MixtureRound = z.output<typeof round>;
