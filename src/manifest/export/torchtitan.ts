/**
 * torchtitan: a Python module for its interleaving loader. Each source tokenizes its text and packs it into sequences
 * before they are interleaved, so weights are of sequences.
 */
import { filesOf, GLOB, GLOB_NAMES, mixtureOf, refusePaths } from "./components.ts";
import type { Exporter } from "./exporter.ts";
import { pythonList, pythonModule } from "./python.ts";

const BUILDERS = { parquet: "parquet", arrow: "arrow", jsonl: "json" } as const;

export const torchtitan: Exporter = {
  stack: "torchtitan",
  title: "torchtitan",
  unit: "sequences",
  reads: ["parquet", "jsonl"],
  needsData: true,
  writes: ["doremi_torchtitan.py"],
  export(request) {
    const { manifest, data } = request;
    const mixture = mixtureOf(torchtitan, request, { draw: "packed-text", repeatsItself: true, refusesZero: true });
    // Names of its registry, which it puts into lower case: numbers keep apart what differs in case alone.
    const sources = mixture.components.map(({ domain, group, share }, i) => ({
      dataset: `doremi-${i}`,
      domain: domain ?? manifest.name,
      weight: share,
      files: filesOf(data!, group, /\.(parquet|jsonl(\.\w+)?)$/),
    }));
    refusePaths(
      torchtitan,
      sources.flatMap((source) => source.files),
      GLOB,
      GLOB_NAMES,
    );
    const builder = BUILDERS[mixture.set.output as keyof typeof BUILDERS];
    return {
      files: [{ path: "doremi_torchtitan.py", text: moduleText(builder, manifest.seed, sources) }],
      proportions: mixture.proportions,
      notes: [
        ...mixture.notes,
        "Put doremi_torchtitan.py on PYTHONPATH and give dataloader=doremi_torchtitan.dataloader() to the Trainer.Config of a config function.",
        `Weights are of the counts of ${manifest.tokenizer.name}: the trainer's tokenizer must be the same; each document takes one position more than its tokens.`,
        "Sources loop by themselves, so the run ends by its steps.",
      ],
    };
  },
};

function moduleText(builder: string, seed: number, sources: readonly object[]): string {
  return pythonModule(
    "The mixture for torchtitan's interleaving loader: registers its sources and configures them with their weights.",
    `from functools import partial

from datasets import load_dataset
from torchtitan.hf_datasets import DatasetConfig
from torchtitan.hf_datasets.text_datasets import (
    DATASETS,
    HFDataSource,
    InterleavedHuggingFaceTextDataLoader,
)

SEED = ${seed}
# weights are shares of packed sequences
SOURCES = ${pythonList(sources)}


def _load(path, files):
    return load_dataset(${JSON.stringify(builder)}, data_files=files, split="train", streaming=True)


def _text(sample):
    return sample["text"]


for _source in SOURCES:
    DATASETS[_source["dataset"]] = DatasetConfig(
        path=_source["domain"],
        loader=partial(_load, files=_source["files"]),
        sample_processor=_text,
    )


def dataloader(**settings):
    """The loader's config; settings replace its own."""
    return InterleavedHuggingFaceTextDataLoader.Config(
        **{
            "sources": [
                HFDataSource(dataset=source["dataset"], weight=source["weight"], infinite=True)
                for source in SOURCES
            ],
            "seed": SEED,
            **settings,
        }
    )
`,
  );
}
