/**
 * The pipeline file, as a zod schema: the one place where its keys, units and defaults stand. The JSON Schema for
 * editors is generated from it.
 */
import { z } from "zod";
import { BYTE_SIZE } from "../lib/byte-size.ts";
import { name, positiveInteger } from "./schema/common.ts";
import { data } from "./schema/data.ts";
import { evaluate } from "./schema/evaluate.ts";
import { executor } from "./schema/executor.ts";
import { resample } from "./schema/resample.ts";
import { train } from "./schema/train.ts";

export const pipelineSchema = z.strictObject({
  $schema: z.string().optional(),
  version: z.literal(1).describe("Of this file's format."),
  name: name.describe("What the run is called in its results."),
  output: z.string().min(1).describe("Folder of the results, relative to the pipeline file."),
  seed: z
    .int()
    .min(0)
    .default(1)
    .describe(
      "Of every draw: held-out documents, initial weights, order, selection. The same seed gives the same bytes.",
    ),
  tokenizer: z
    .string()
    .min(1)
    .describe("What weights, shares and the budget are counted in: r50k, p50k, cl100k, o200k, or a tokenizer.json."),
  specialTokens: z
    .enum(["text", "parse"])
    .default("text")
    .describe(
      "Text of special tokens, such as <|endoftext|>, in documents: ordinary text, or the tokens that it names.",
    ),
  workers: positiveInteger.optional().describe("Worker threads. Default: all cores."),
  memory: z
    .string()
    .regex(BYTE_SIZE, "must be a size such as 512MB")
    .default("512MB")
    .describe(
      "How much of the shards may be in flight at once, beside the tokenizers' tables. A row group that needs more is read alone.",
    ),
  cache: z
    .union([z.boolean(), z.string().min(1)])
    .default(true)
    .describe(
      "Folder of counts that runs share, by content and tokenizer, relative to the pipeline file. true: .doremi-cache beside the output folder; false: none.",
    ),
  executor,
  data,
  count: z
    .strictObject({
      tokenizers: z.array(z.string().min(1)).default([]).describe("Further tokenizers to count with, for comparison."),
    })
    .prefault({}),
  train: train.prefault({}),
  resample: resample.prefault({}),
  evaluate: evaluate.prefault({}).describe("What doremi evaluate trains and compares."),
  stages: z
    .array(
      z.strictObject({
        module: z.string().min(1).describe("Module whose default export is a stage."),
        after: z.enum(["discover", "count", "tokenize", "reference", "proxy", "resample"]),
        options: z.record(z.string(), z.unknown()).default({}),
      }),
    )
    .default([])
    .describe("Stages of your own, run after the named one."),
});

/** A checked pipeline file with every default filled in. Paths are still as written. */
export type PipelineFile = z.output<typeof pipelineSchema>;
