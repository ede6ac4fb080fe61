/** `train`: the reference and the proxy. */
import { z } from "zod";
import { positiveInteger, refuse } from "./common.ts";
import { model, optimizer } from "./model.ts";
import { proxy } from "./proxy.ts";
import { weights } from "./weights.ts";

export const train = z
  .strictObject({
    tokenizer: z.string().min(1).optional().describe("Tokenizer of the small models. Default: the pipeline's."),
    model: model.prefault({}),
    optimizer: optimizer.prefault({ name: undefined }),
    vocabulary: z
      .enum(["full", "occurring"])
      .default("full")
      .describe(
        "Of the small models: all ids of the tokenizer, or those alone that occur in what is tokenized for them, which is less work and another, smaller model. vocabulary.json beside each model says which, and training waits until all is tokenized.",
      ),
    batchSize: positiveInteger.default(16).describe("Sequences."),
    engine: z
      .enum(["auto", "cpu", "webgpu", "cuda", "tfjs"])
      .default("auto")
      .describe("What computes: auto takes the best that works on this machine and says why."),
    precision: z
      .enum(["float32", "bfloat16", "float16"])
      .default("float32")
      .describe("Of products of matrices, on a GPU. Weights, losses and sums stay float32."),
    threads: positiveInteger.optional().describe("Default: all cores."),
    microBatch: positiveInteger
      .optional()
      .describe("Sequences computed at once, a divisor of batchSize: less memory, the same batch. Default: all."),
    accumulation: z
      .enum(["exact", "stale"])
      .default("exact")
      .describe(
        "With microBatch: exact updates the domain weights from the whole batch first, with one more forward pass; stale, as the official code, uses those of the step before for all parts but the last.",
      ),
    recompute: z
      .boolean()
      .default(false)
      .describe("Compute activations again in the backward pass: less memory, one more forward pass."),
    checkpointEvery: positiveInteger.default(200).describe("Steps."),
    keepCheckpoints: positiveInteger.default(2).describe("So many of the newest are kept."),
    evaluationSequences: positiveInteger.default(64).describe("Held-out sequences per domain, at most."),
    reference: z
      .strictObject({
        steps: positiveInteger.default(1000),
        weights: weights
          .default("natural")
          .describe("Baseline weights: natural (by tokens), uniform, a table, or a weights.json."),
        model: z
          .string()
          .min(1)
          .optional()
          .describe("Folder of a trained model (config.json, model.safetensors) to use instead."),
      })
      .prefault({}),
    proxy: proxy.prefault({}),
  })
  .check(
    refuse(({ batchSize, microBatch, vocabulary, reference }) => [
      ...(microBatch === undefined || batchSize % microBatch === 0
        ? []
        : [{ setting: "microBatch", rule: `divide batchSize ${batchSize}`, found: microBatch }]),
      ...(vocabulary === "full" || reference.model === undefined
        ? []
        : [
            {
              setting: "vocabulary",
              rule: "be full where reference.model is given, which has one of its own",
              found: vocabulary,
            },
          ]),
    ]),
  );
