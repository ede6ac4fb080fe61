/** `train`: the reference and the proxy. */
import { z } from "zod";
import { allowsStaleWeights, needsReference } from "../../mixture/objective-settings.ts";
import { positiveInteger, refuse } from "./common.ts";
import { model, optimizer } from "./model.ts";
import { proxy } from "./proxy.ts";
import { weights } from "./weights.ts";

const settling = z.strictObject({
  tolerance: z.number().positive().max(1).default(1e-3).describe("Largest change of a domain's weight, 0 to 1."),
  limit: positiveInteger.default(5).describe("Rounds at most."),
});

const rounds = z
  .union([positiveInteger, z.literal("auto").transform(() => settling.parse({})), settling])
  .default(1)
  .describe(
    "How often reference and proxy are trained, each time with the weights of the round before as the reference's. auto, or a table of its settings: until the weights settle.",
  );

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
    rounds,
    seeds: positiveInteger
      .default(1)
      .describe(
        "How often each round is trained with other initial weights, documents and order; the weights are the mean, and the spread is told.",
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
    threads: positiveInteger
      .optional()
      .describe(
        "Of engine cpu, no more than there are processors, which is the default. Another number may round otherwise.",
      ),
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
        steps: positiveInteger.default(1000).describe("Batches that the reference is trained on."),
        weights: weights
          .default("natural")
          .describe("Baseline weights: natural (by tokens), uniform, or as in resample.weights."),
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
    refuse(({ batchSize, microBatch, accumulation, vocabulary, reference, rounds, proxy }) => [
      ...(microBatch === undefined || batchSize % microBatch === 0
        ? []
        : [{ setting: "microBatch", rule: `divide batchSize ${batchSize}`, found: microBatch }]),
      ...(accumulation === "exact" || microBatch !== undefined
        ? []
        : [
            {
              setting: "accumulation",
              rule: "be left out without microBatch, whose parts it is of",
              found: accumulation,
            },
          ]),
      ...(accumulation === "exact" || allowsStaleWeights(proxy.objective)
        ? []
        : [
            {
              setting: "accumulation",
              rule: `be exact for the objective ${proxy.objective.name}, whose weights follow from the losses of the whole batch`,
              found: accumulation,
            },
          ]),
      ...(vocabulary === "full" || reference.model === undefined
        ? []
        : [
            {
              setting: "vocabulary",
              rule: "be full where reference.model is given, which has one of its own",
              found: vocabulary,
            },
          ]),
      ...(rounds === 1 ? [] : roundFaults(reference.model !== undefined, proxy)).map((rule) => ({
        setting: "rounds",
        rule,
        found: typeof rounds === "number" ? rounds : "auto",
      })),
    ]),
  );

/** Why a second round would be the first again. */
function roundFaults(
  given: boolean,
  { objective, start, sampling }: Pick<z.output<typeof proxy>, "objective" | "start" | "sampling">,
): string[] {
  if (given) return ["be 1 where reference.model is given, because a round trains the reference on other weights"];
  if (needsReference(objective) || start === "reference" || sampling === "reference") return [];
  return [
    `be 1 for the objective ${objective.name} without a reference, because no round would differ from the first; or set proxy.start or proxy.sampling to reference`,
  ];
}
