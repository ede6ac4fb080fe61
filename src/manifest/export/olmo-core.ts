/**
 * OLMo-core: a source mixture, whose ratios are of the ids in its `.npy` files, separators included. It repeats a source
 * as far as max_repetition_ratio allows, and refuses one that has fewer ids than its ratio asks for.
 */
import { filesOf, GLOB, GLOB_NAMES, mixtureOf, refusePaths } from "./components.ts";
import type { Exporter } from "./exporter.ts";
import { yamlText } from "./yaml.ts";

/** Its smallest pad and beginning-of-sequence ids are the user's business; the id behind documents is ours. */
export const olmoCore: Exporter = {
  stack: "olmo-core",
  title: "OLMo-core",
  unit: "tokens",
  reads: ["npy"],
  needsData: true,
  writes: ["source-mixture.yaml", "dataset.yaml"],
  export(request) {
    const { manifest, sequenceLength, data } = request;
    const mixture = mixtureOf(olmoCore, request, { draw: "written-ids", repeatsItself: true });
    const { set, components } = mixture;
    const once = set.repeats === "once";
    // What the ratios are of: the ids of the manifest's tokens with as many separators as the set has beside its own.
    const requested = once
      ? components.reduce((sum, { domain, group }) => sum + askedIds(manifest.domains, domain, group), 0)
      : set.tokens + set.separators;
    const sources = components.map(({ domain, group, share }) => ({
      source_name: domain ?? manifest.name,
      target_ratio: share,
      paths: filesOf(data!, group, /\.npy$/),
      max_repetition_ratio: Math.max(1, roundUp((requested * share) / (group.tokens + group.separators))),
    }));
    refusePaths(
      olmoCore,
      sources.flatMap((source) => source.paths),
      GLOB,
      GLOB_NAMES,
    );
    const mixtureConfig = {
      source_list: { sources },
      requested_tokens: requested,
      // A multiple of the sequence is all that the class asks; the training's own belongs here.
      global_batch_size: sequenceLength ?? 1,
      seed: manifest.seed % 2 ** 32,
    };
    const dtype = set.idBytes === 2 ? "uint16" : "uint32";
    return {
      files: [
        {
          path: "source-mixture.yaml",
          text: yamlText(["olmo_core.data.source_mixture.SourceMixtureDatasetConfig.from_yaml"], mixtureConfig),
        },
        ...(sequenceLength !== null && set.separator !== null
          ? [
              {
                path: "dataset.yaml",
                text: yamlText(["olmo_core.data.NumpyFSLDatasetConfig.from_yaml, with the mixture in it"], {
                  tokenizer: {
                    vocab_size: set.tokenizer.vocabularySize,
                    eos_token_id: set.separator,
                    pad_token_id: set.separator,
                    identifier: set.tokenizer.name,
                  },
                  sequence_length: sequenceLength,
                  dtype,
                  source_mixture_config: mixtureConfig,
                }),
              },
            ]
          : []),
      ],
      proportions: mixture.proportions,
      notes: [
        ...mixture.notes,
        "Set global_batch_size to the training's own, in tokens: it must be a multiple of the sequence length, and the mixture is rounded up to whole batches.",
        ...(sequenceLength === null
          ? [
              `The files hold ${dtype}: say so as dtype of NumpyFSLDatasetConfig, or export with --sequence-length to have it written.`,
            ]
          : []),
        "Each file is cut into sequences on its own, and what is left at its end is not used.",
      ],
    };
  },
};

interface Asked {
  readonly name: string;
  readonly targetTokens: number;
}

function askedIds(
  domains: readonly Asked[],
  name: string | null,
  { tokens, separators }: { readonly tokens: number; readonly separators: number },
): number {
  const domain = domains.find((one) => one.name === name);
  return domain === undefined
    ? tokens + separators
    : Math.round((domain.targetTokens * (tokens + separators)) / tokens);
}

/** With room for what the stack rounds, so that a source is never an id short. */
function roundUp(ratio: number): number {
  return Math.ceil(ratio * 10_000 + 1) / 10_000;
}
