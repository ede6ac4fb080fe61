/**
 * Input and output of estimate: what count would find, as intervals from a sample. It is a stage of its own, so that no
 * stage that needs counts can take estimates for them.
 */
import { z } from "zod";
import { countInput, countOutput } from "../count/contract.ts";
import { skippedShard } from "../discover/contract.ts";

export const estimateInput = countInput.extend({
  /** of the units (row groups, record batches, stretches of JSONL files), in (0, 1] */
  fraction: z.number().positive().max(1),
  seed: z.int(),
});

/** Of 95 %. */
const interval = z.strictObject({ estimate: z.number(), low: z.number(), high: z.number() });
const byTokenizer = z.record(z.string(), interval);
const part = z.strictObject({ read: z.number(), of: z.number() });

export const estimateOutput = z.strictObject({
  format: z.literal("doremi-estimate"),
  sample: z.strictObject({ fraction: z.number(), seed: z.int(), units: part, storedBytes: part }),
  confidence: z.literal(0.95),
  tokenizers: countOutput.shape.tokenizers,
  domains: z.array(
    z.strictObject({
      name: z.string(),
      documents: interval,
      bytes: interval,
      tokens: byTokenizer,
      /** of all tokens */
      share: byTokenizer,
      /** of the further tokenizers' shares from the first one's, percentage points */
      difference: byTokenizer,
    }),
  ),
  skipped: z.array(skippedShard),
  notes: z.array(z.string()),
});

export type EstimateInput = z.output<typeof estimateInput>;
export type EstimateOutput = z.output<typeof estimateOutput>;
export type { Interval } from "./estimator.ts";
