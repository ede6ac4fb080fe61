/** NeMo 2 (PreTrainingDataModule) and Megatron Bridge (GPTDatasetConfig): the blend of Megatron-LM in their own fields. */
import { mixtureOf } from "./components.ts";
import type { Exporter } from "./exporter.ts";
import { blendOf, sampleNotes } from "./megatron.ts";
import { yamlText } from "./yaml.ts";

export const nemo: Exporter = {
  stack: "nemo",
  title: "NeMo and Megatron Bridge",
  unit: "sequences",
  reads: ["megatron"],
  needsData: true,
  writes: ["nemo.yaml", "megatron-bridge.yaml"],
  export(request) {
    const mixture = mixtureOf(nemo, request, { draw: "written-ids", repeatsItself: true });
    // Text, both: the parser strips what it takes for a prefix and turns the rest into numbers.
    const blend = blendOf(nemo, request, mixture);
    const list = blend.flatMap(({ weight, prefix }) => [String(weight), prefix]);
    const { sequenceLength, manifest } = request;
    return {
      files: [
        {
          path: "nemo.yaml",
          text: yamlText(
            ["Arguments of nemo.collections.llm.PreTrainingDataModule: weight, prefix, weight, prefix, …"],
            {
              paths: list,
              split: "1,0,0",
              ...(sequenceLength !== null && { seq_length: sequenceLength }),
              seed: manifest.seed,
            },
          ),
        },
        {
          path: "megatron-bridge.yaml",
          text: yamlText(["Overrides of a Megatron Bridge recipe."], {
            dataset: {
              // Prefixes and weights apart; its data_path is newer, and not heeded where a recipe has a blend.
              blend: [blend.map(({ prefix }) => prefix), blend.map(({ weight }) => weight)],
              split: "1,0,0",
              ...(sequenceLength !== null && { seq_length: sequenceLength }),
              random_seed: manifest.seed,
            },
          }),
        },
      ],
      proportions: mixture.proportions,
      notes: [
        ...mixture.notes,
        "split 1,0,0 gives all of it to training; name validation sets of your own beside it.",
        ...sampleNotes(request, mixture),
        "The blend keeps the proportions, not the manifest's order: documents and sequences are shuffled by the stack's own seed.",
      ],
    };
  },
};
