/**
 * The pipeline file, as a zod schema: the one place where its keys, units and defaults stand. The JSON Schema for
 * editors is generated from it.
 */
import { z } from "zod";
import { BYTE_SIZE } from "../lib/byte-size.ts";
import type { UnlistedPolicy } from "../manifest/domain-rule.ts";
import type { ModelConfig } from "../trainer/contract.ts";
import { PRESET_NAMES, PRESETS } from "../trainer/presets.ts";
import { modelFaults, optimizerFaults, type SettingFault } from "../trainer/settings.ts";

const name = z.string().min(1).max(200);
const positiveInteger = z.int().positive();
const fraction = z.number().min(0).max(1);
const beta = z.number().min(0).lt(1);

const patterns = z
  .union([z.string().min(1), z.array(z.string().min(1)).min(1)])
  .transform((value) => (typeof value === "string" ? [value] : value))
  .describe("Paths or globs (* ** ? [] {a,b}), relative to the pipeline file.");

/** `{domain: weight}`, at least one positive. */
const weightTable = z.record(name, z.number().min(0));

const heldOut = z
  .union([
    z.strictObject({
      fraction: fraction.max(0.5).describe("Share of each domain's documents, chosen by the seed."),
      minDocuments: z.int().min(0).default(4).describe("At least this many of each domain (never more than half)."),
    }),
    z.strictObject({
      files: patterns.describe("Shards that are held out whole; {domain} as in data.files."),
    }),
    z.literal("none"),
  ])
  .describe("Documents that no model is trained on and the manifest never selects.");

const transform = z.union([
  z
    .string()
    .min(1)
    .transform((module) => ({ module, columns: [] as string[], options: {} as Record<string, unknown> })),
  z.strictObject({
    module: z.string().min(1).describe("Module whose default export is (batch, context) => batch."),
    columns: z.array(z.string().min(1)).default([]).describe("Further columns to give it, such as a quality score."),
    options: z.record(z.string(), z.unknown()).default({}),
  }),
]);

/** Rules that more than one setting decides, or that a JSON Schema cannot say. */
function refuse<Settings>(faults: (settings: Settings) => SettingFault[]) {
  return ({ value, issues }: z.core.ParsePayload<Settings>): void => {
    for (const fault of faults(value)) {
      issues.push({
        code: "custom",
        path: [fault.setting],
        params: fault,
        input: value,
        message: `must ${fault.rule}`,
      });
    }
  };
}

/** A domain of the map that is not among those listed could have no document. */
function mapFaults({
  domains,
  domainMap,
  onUnlistedDomain,
}: {
  readonly domains?: readonly string[] | Readonly<Record<string, unknown>> | undefined;
  readonly domainMap?: Readonly<Record<string, string>> | undefined;
  readonly onUnlistedDomain: UnlistedPolicy;
}): SettingFault[] {
  if (!domains || !domainMap) return [];
  const listed = new Set<string>(Array.isArray(domains) ? domains : Object.keys(domains));
  if (typeof onUnlistedDomain === "object") listed.add(onUnlistedDomain.domain);
  const unlisted = Object.values(domainMap).find((domain) => !listed.has(domain));
  if (unlisted === undefined) return [];
  return [
    {
      setting: "domainMap",
      rule: "name domains that data.domains lists",
      found: unlisted,
      remedy: "list it, or leave data.domains out: the map names them",
    },
  ];
}

const data = z
  .strictObject({
    files: patterns
      .optional()
      .describe("The shards. {domain} stands for a part of the path that names the domain: corpus/{domain}/part-*"),
    domains: z
      .union([z.array(name).min(1), z.record(name, z.union([patterns, z.strictObject({ files: patterns })]))])
      .optional()
      .describe(
        "The domains and their order: a list of names, or a table of name to files. Default: all found, sorted.",
      ),
    textColumn: z.string().min(1).default("text").describe("Column of the text; dots go into structs: doc.body.text"),
    domainColumn: z.string().min(1).optional().describe("Column that names each row's domain: meta.pile_set_name"),
    domainMap: z
      .record(z.string(), name)
      .optional()
      .describe(
        "Domain of each value of domainColumn (or of {domain}), where it is not the value itself: { Pile-CC: web, OpenWebText2: web }. Without data.domains, the domains that it names are the domains.",
      ),
    onUnlistedDomain: z
      .union([z.enum(["fail", "drop"]), z.strictObject({ domain: name.describe("Domain that takes it.") })])
      .default("fail")
      .describe(
        "What to do with a row whose domain column is null or says a domain that is not listed: stop, leave it out, or put it into a domain of its own: { domain: other }. (Files whose path names an unlisted domain are left out, with a note, unless a domain takes them.)",
      ),
    onBadShard: z
      .enum(["fail", "skip"])
      .default("fail")
      .describe("What to do with a shard that cannot be read: stop, or leave it out and record it in the manifest."),
    heldOut: heldOut.default({ fraction: 0.01, minDocuments: 4 }),
    transform: transform
      .optional()
      .describe("Module between reading and counting: Arrow batch in, Arrow batch out (filter, clean, relabel)."),
  })
  .check(refuse(mapFaults));

const number = z.number().positive();

const ropeScaling = z.strictObject({
  factor: number,
  lowFrequencyFactor: number,
  highFrequencyFactor: number,
  originalPositions: positiveInteger,
});

/** Sizes that are left out are the preset's; what else is left out has the default of its architecture. */
const model = z
  .strictObject({
    preset: z
      .enum(PRESET_NAMES)
      .default("4M")
      .describe("Layers, width, heads and sequence length, each of which may be given beside it. See the plan."),
    architecture: z.enum(["gpt2", "llama"]).default("gpt2"),
    layers: positiveInteger.optional(),
    width: positiveInteger.optional(),
    heads: positiveInteger.optional(),
    keyValueHeads: positiveInteger.optional().describe("llama: heads of keys and values. Default: heads."),
    innerWidth: positiveInteger
      .optional()
      .describe("Of the feed-forward layers. Default: the preset's; else 4 times the width, for llama 8/3 of it."),
    sequenceLength: positiveInteger.optional().describe("Tokens."),
    tied: z.boolean().optional().describe("The output layer is the token embedding. Default: true."),
    activation: z.enum(["gelu_new", "gelu"]).optional().describe("gpt2. Default: gelu_new, the tanh approximation."),
    normEpsilon: number.optional().describe("Default: 1e-5."),
    ropeTheta: number.optional().describe("llama: base of the rotary frequencies. Default: 10000."),
    ropeScaling: ropeScaling.nullable().optional().describe("llama: rotary frequencies as Llama 3.1 stretches them."),
  })
  .transform(({ preset, ...given }): Omit<ModelConfig, "vocabularySize"> => {
    const set = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
    return { ...PRESETS[preset], ...(set as Pick<ModelConfig, "architecture">) };
  })
  .check(refuse(modelFaults));

const schedule = {
  learningRate: z.number().positive().default(1e-3),
  finalLearningRate: z.number().min(0).default(1e-4),
  warmup: fraction.default(0.06).describe("Share of the steps."),
  decay: z
    .enum(["exponential", "cosine", "linear", "constant", "wsd"])
    .default("exponential")
    .describe("To finalLearningRate at the last step. wsd: stable, and falling over the last of the steps only."),
  decayShare: z.number().positive().max(1).optional().describe("wsd: share of the steps that decay. Default: 0.1."),
  decayShape: z
    .enum(["exponential", "cosine", "linear", "1-sqrt"])
    .optional()
    .describe("wsd: how the rate falls. Default: 1-sqrt."),
  weightDecay: z.number().min(0).default(0.01).describe("On matrices, not on biases and norms."),
  clipNorm: z.number().min(0).default(1).describe("0 = no clipping."),
};

const optimizer = z.discriminatedUnion("name", [
  z
    .strictObject({
      name: z.literal("adamw").optional(),
      ...schedule,
      beta1: beta.default(0.9),
      beta2: beta.default(0.99),
      epsilon: z.number().positive().default(1e-8),
    })
    .check(refuse(optimizerFaults)),
  z
    .strictObject({
      name: z.literal("adafactor").describe("The paper's: little state."),
      ...schedule,
      beta1: beta.nullable().default(null).describe("Of the running mean of updates; null keeps none."),
      decayRate: z.number().positive().max(1).default(0.8),
      clipThreshold: z.number().positive().default(1),
      epsilon1: z.number().positive().default(1e-30),
      epsilon2: z.number().positive().default(1e-3),
      scaleParameter: z.boolean().default(false).describe("Learning rate relative to each parameter's size."),
    })
    .check(refuse(optimizerFaults)),
]);

const steps = positiveInteger.default(1000);

const weights = z.union([z.enum(["natural", "uniform"]), weightTable, z.string().endsWith(".json")]);

const train = z
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
        steps,
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
    proxy: z
      .strictObject({
        steps,
        objective: z.literal("doremi").default("doremi"),
        eta: z.number().positive().default(1).describe("Step size of the domain-weight update."),
        smoothing: fraction.default(1e-3).describe("c: share of the uniform distribution mixed in after each update."),
        referenceLosses: z
          .enum(["resident", "cached", "auto"])
          .default("auto")
          .describe(
            "The reference runs beside the proxy (resident), or its losses are computed once for every sequence and kept in the cache folder (cached). auto: cached where that is less work.",
          ),
        settle: z
          .strictObject({
            tolerance: z.number().positive().max(1).describe("Largest difference of a domain's mean weight, 0 to 1."),
            every: positiveInteger.default(100).describe("Steps between looks."),
          })
          .optional()
          .describe(
            "Stop early, once the weights averaged over the first half of the steps so far and over the second differ by less than the tolerance. Default: train all steps.",
          ),
      })
      .prefault({}),
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

const resample = z.strictObject({
  weights: z
    .union([z.literal("learned"), weights])
    .default("learned")
    .describe("learned (the proxy's), natural, uniform, a table, or a weights.json."),
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

export const pipelineSchema = z.strictObject({
  $schema: z.string().optional(),
  version: z.literal(1),
  name,
  output: z.string().min(1).describe("Folder of the results, relative to the pipeline file."),
  seed: z.int().min(0).default(1),
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
  data,
  count: z
    .strictObject({
      tokenizers: z.array(z.string().min(1)).default([]).describe("Further tokenizers to count with, for comparison."),
    })
    .prefault({}),
  train: train.prefault({}),
  resample: resample.prefault({}),
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
