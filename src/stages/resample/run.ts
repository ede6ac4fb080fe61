/** resample: weights, counts and a budget to the manifest: which rows of which shards, and how often. */
import { join, relative, sep } from "node:path";
import { GENERATOR } from "../../lib/version.ts";
import type { CountSource, ManifestFile } from "../../manifest/contract.ts";
import { type DocumentIndex, indexDocuments } from "../../manifest/document-index.ts";
import { planResample } from "../../manifest/plan.ts";
import { selectDocuments } from "../../manifest/select.ts";
import { MANIFEST_NAME, SELECTION_NAME, writeResampledSet } from "../../manifest/write.ts";
import type { CountedShard } from "../count/contract.ts";
import { readCountsFile } from "../count/counts-file.ts";
import { reporter, type Stage } from "../stage.ts";
import { type ResampleInput, type ResampleOutput, resampleInput, resampleOutput } from "./contract.ts";

export const resample: Stage<ResampleInput, ResampleOutput> = {
  name: "resample",
  version: 1,
  input: resampleInput,
  output: resampleOutput,
  async run(input, context) {
    const report = reporter(context, "resample");
    const names = input.count.domains.map((domain) => domain.name);
    const { tokenizer } = input;
    const index = await indexCounts({ ...input, tokenizer: tokenizer.name }, context.folderOf("count"), context.signal);
    const plan = planResample({
      names,
      weights: input.weights,
      availableTokens: index.domains.map((domain) => domain.tokens),
      budgetTokens: input.budgetTokens,
      maxEpochs: input.maxEpochs,
      onCap: input.onCap,
    });
    for (const note of plan.notes) report.note(note);
    const selection = selectDocuments(
      index,
      plan.domains.map((domain) => domain.targetTokens),
      input.seed,
    );
    const { name, fingerprint, vocabularySize, specialTokens } = tokenizer;
    const manifest = await writeResampledSet(context.folder, {
      header: {
        generator: GENERATOR,
        name: input.pipeline,
        seed: input.seed,
        tokenizer: { name, source: sourceOf(input), fingerprint, vocabularySize, specialTokens },
        columns: input.columns,
        transform: input.transform && {
          ...input.transform,
          module: relativePath(input.target, input.transform.module),
        },
        heldOut: input.heldOut,
        weightsFrom: input.weightsFrom,
        root: relativePath(input.target, input.root),
        notes: input.notes,
      },
      index,
      plan,
      selection,
    });
    return {
      manifest: MANIFEST_NAME,
      selection: SELECTION_NAME,
      budgetTokens: manifest.budgetTokens,
      achievedTokens: manifest.achievedTokens,
      domains: manifest.domains.map(
        ({ name, weight, achievedWeight, targetTokens, achievedTokens, selectedDocuments, epochs }) => ({
          name,
          weight,
          achievedWeight,
          targetTokens,
          achievedTokens,
          selectedDocuments,
          epochs,
        }),
      ),
      notes: [...plan.notes],
    };
  },
};

/** The training documents of the corpus, from what was counted. @param folder of the count stage */
export async function indexCounts(
  { count, tokenizer, heldOut, seed }: Pick<ResampleInput, "count" | "heldOut" | "seed"> & { tokenizer: string },
  folder: string,
  signal?: AbortSignal,
): Promise<DocumentIndex> {
  const domains = count.domains.map((domain) => domain.name);
  const shards = count.shards.filter((shard) => shard.split === "train");
  const counts = countsOf(shards, domains, tokenizer, folder);
  return indexDocuments({ counts, domains, heldOut, seed, ...(signal && { signal }) });
}

/** The shards' row counts in order, with domains as indices into `names`. */
function countsOf(
  shards: readonly CountedShard[],
  names: readonly string[],
  tokenizer: string,
  folder: string,
): CountSource {
  const place = new Map(names.map((name, index) => [name, index]));
  return async function* () {
    for (const shard of shards) {
      const counts = await readCountsFile(join(folder, shard.counts.path), tokenizer, shard.counts.sha256);
      const domainOf = counts.domainNames.map((name) => place.get(name) ?? -1);
      yield {
        file: manifestFile(shard),
        domain: counts.domain.map((local) => (local < 0 ? -1 : domainOf[local]!)),
        bytes: counts.bytes,
        tokens: counts.tokens,
      };
    }
  };
}

export function manifestFile({ path, size, sha256, format, rows, rowGroups, domain }: CountedShard): ManifestFile {
  return { path, size, sha256, format, rows, rowGroups, domain };
}

/** What resolves the tokenizer again, from where the manifest stands. */
function sourceOf({ tokenizer, target }: ResampleInput): string {
  return tokenizer.source.kind === "tiktoken" ? tokenizer.source.encoding : relativePath(target, tokenizer.source.path);
}

function relativePath(from: string, to: string): string {
  return relative(from, to).split(sep).join("/") || ".";
}
