/** nanotron's Nanosets over datatrove's `.ds` files: sequences cut from the ids of a folder, by the folder's weight. */
import { GLOB, GLOB_NAMES, mixtureOf, refusePaths } from "./components.ts";
import type { Exporter } from "./exporter.ts";
import { yamlText } from "./yaml.ts";

export const nanotron: Exporter = {
  stack: "nanotron",
  title: "nanotron",
  unit: "sequences",
  reads: ["datatrove"],
  needsData: true,
  writes: ["nanotron.yaml"],
  export(request) {
    const { manifest, sequenceLength } = request;
    const mixture = mixtureOf(nanotron, request, { draw: "written-ids", repeatsItself: true });
    const { set } = mixture;
    const folders = mixture.components.map((component) => component.folder);
    refusePaths(nanotron, folders, GLOB, GLOB_NAMES);
    return {
      files: [
        {
          path: "nanotron.yaml",
          text: yamlText(
            [
              "A stage for data_stages of a nanotron config. Folders and weights are two lists: a mapping of one to the",
              "other, as older ones had, is read without its weights.",
            ],
            {
              data_stages: [
                {
                  name: manifest.name,
                  start_training_step: 1,
                  ...(sequenceLength !== null && { sequence_length: sequenceLength }),
                  data: {
                    dataset: {
                      dataset_folder: folders,
                      dataset_weights: mixture.components.map((component) => component.share),
                      // Unsaid, nanotron asks transformers for a tokenizer of the name that the .metadata files have.
                      tokenizer_name: set.tokenizer.name,
                      vocab_size: set.tokenizer.vocabularySize,
                      token_size_in_bytes: set.idBytes,
                    },
                    num_loading_workers: 1,
                    seed: manifest.seed % 2 ** 32,
                  },
                },
              ],
            },
          ),
        },
      ],
      proportions: mixture.proportions,
      notes: [
        ...mixture.notes,
        "Nanosets came after nanotron 0.4: install it from its repository.",
        "Tokenizer and id size are read from the .metadata files; the model's vocab_size must be the tokenizer's.",
        "Each folder is read in its order and the folders are dealt out by their weights: a mixed set keeps the manifest's order.",
      ],
    };
  },
};
