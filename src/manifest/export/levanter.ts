/**
 * levanter: text that it tokenizes itself, an end-of-sequence id behind each document, packed into sequences; weights are
 * of sequences, held exactly in each block of them.
 */

import { folderOf, resolveLocation } from "../../storage/location.ts";
import { tiktokenName } from "../../tokenizer/tiktoken.ts";
import { absolute, filesOf, mixtureOf, refusal, refusePaths } from "./components.ts";
import type { Exporter, ExportRequest } from "./exporter.ts";
import { yamlText } from "./yaml.ts";

/** Its default, and the most that its blocks may be: positions are packed into 16 bits. */
const [BLOCK, LARGEST_BLOCK] = [2048, 32_768];
/** Error of a share that a longer block is taken for. */
const TOLERANCE = 0.01;

export const levanter: Exporter = {
  stack: "levanter",
  title: "levanter",
  unit: "sequences",
  reads: ["jsonl", "parquet"],
  needsData: true,
  writes: ["levanter.yaml", "levanter-1.2.yaml"],
  export(request) {
    const { manifest, data } = request;
    const mixture = mixtureOf(levanter, request, { draw: "packed-text", repeatsItself: true });
    const configs = mixture.components.map(({ domain, group, share }) => ({
      name: domain ?? manifest.name,
      urls: filesOf(data!, group, /\.(parquet|jsonl(\.\w+)?)$/),
      share,
    }));
    refusePaths(
      levanter,
      configs.flatMap((config) => config.urls),
      /[*?[\]{}]/,
      "the wildcards * ? [ ] { }",
    );
    refusePaths(
      levanter,
      configs.map((config) => config.name),
      /[/\\]|^\.+$/,
      "a domain's name that is no name of a folder, since each has its cache there,",
    );
    const block = blockFor(configs.map((config) => config.share));
    const least = Math.min(...configs.map((config) => config.share));
    if (least * block < 1) {
      const name = configs.find((config) => config.share === least)!.name;
      throw refusal(
        levanter,
        "bad-data",
        "weight-too-small",
        `a weight must give a sequence in a block of at most ${LARGEST_BLOCK}, and ${name} has ${least}; resample with a minimum share for it, or with its weight at 0`,
      );
    }
    const format = { type: "text", text_key: "text" };
    const section = (sources: object) => ({
      data: {
        tokenizer: tokenizerOf(request),
        cache_dir: "cache/",
        ...sources,
        train_weights: Object.fromEntries(configs.map(({ name, share }) => [name, share])),
        stop_strategy: "restart",
        mixture_block_size: block,
        // The set is shuffled already, and laid out mixed its order is the manifest's.
        shuffle: false,
      },
    });
    const named = (source: (urls: readonly string[]) => object) =>
      Object.fromEntries(configs.map(({ name, urls }) => [name, source(urls)]));
    return {
      files: [
        {
          path: "levanter.yaml",
          text: yamlText(
            ["The data section of a levanter config (LmDataConfig)."],
            section({
              components: named((urls) => ({ source: { type: "url", train_urls: urls }, format })),
            }),
          ),
        },
        {
          path: "levanter-1.2.yaml",
          text: yamlText(
            ["The data section of a config of levanter 1.2 (LMMixtureDatasetConfig)."],
            section({ configs: named((urls) => ({ train_urls: urls, format })) }),
          ),
        },
      ],
      proportions: mixture.proportions,
      notes: [
        ...mixture.notes,
        `Weights are of the counts of ${manifest.tokenizer.name}: the tokenizer here must be the same, with one id behind each document.`,
        "levanter.yaml is for marin-levanter, levanter-1.2.yaml for the pre-releases of levanter 1.2; levanter 1.1 has no such mixtures.",
      ],
    };
  },
};

/** The shortest block in which no share is off by more than the tolerance when it is cut to whole sequences. */
function blockFor(shares: readonly number[]): number {
  for (let block = BLOCK; block < LARGEST_BLOCK; block *= 2) {
    if (shares.every((share) => (share * block) % 1 <= share * block * TOLERANCE)) return block;
  }
  return LARGEST_BLOCK;
}

/**
 * What transformers resolves: GPT-2's own name, or the folder that a tokenizer.json lies in. Other built-in vocabularies
 * have no name there; levanter then stops at theirs and the user gives the right one.
 */
function tokenizerOf({ manifest, manifestPath }: ExportRequest): string {
  const { source } = manifest.tokenizer;
  const encoding = tiktokenName(source);
  if (encoding !== undefined) return encoding === "r50k" ? "gpt2" : source;
  const path = resolveLocation(folderOf(manifestPath), source);
  return absolute(path.endsWith(".json") ? folderOf(path) : path, ".");
}
