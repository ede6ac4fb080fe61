/** resample: weights, counts and a budget to the manifest: which rows of which shards, and how often. */
import { join, relative, sep } from "node:path";
import { RNG_NAME } from "../../lib/rng.ts";
import { GENERATOR } from "../../lib/version.ts";
import type { CountSource, Manifest, ManifestFile } from "../../manifest/contract.ts";
import { indexDocuments } from "../../manifest/document-index.ts";
import { planResample } from "../../manifest/plan.ts";
import { selectDocuments } from "../../manifest/select.ts";
import { writeManifest } from "../../manifest/write.ts";
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
    const tokenizer = input.count.tokenizers[0]!;
    const shards = input.count.shards.filter((shard) => shard.split === "train");
    const index = await indexDocuments({
      counts: countsOf(shards, names, tokenizer.name, context.folderOf("count")),
      domains: names,
      heldOut: input.heldOut,
      seed: input.seed,
      signal: context.signal,
    });
    const plan = planResample({
      names,
      weights: input.weights,
      availableTokens: index.domains.map((domain) => domain.tokens),
      budgetTokens: input.budgetTokens,
      maxEpochs: input.maxEpochs,
    });
    for (const note of plan.notes) report.note(note);
    const selection = selectDocuments(index, plan.domains.map((domain) => domain.targetTokens), input.seed);
    const achievedTokens = selection.domains.reduce((sum, domain) => sum + domain.achievedTokens, 0);
    const heldOutFiles = new Map(input.count.domains.map((domain) => [domain.name, domain.heldOut.documents]));
    const skipped = input.count.skipped.map((shard) => `left out ${shard.path}: ${shard.reason}`);
    const head: Omit<Manifest, "selection"> = {
      format: "doremi-manifest",
      version: 1,
      generator: GENERATOR,
      name: input.pipeline,
      seed: input.seed,
      rng: RNG_NAME,
      tokenizer: { name: tokenizer.name, fingerprint: tokenizer.fingerprint, vocabularySize: tokenizer.vocabularySize },
      columns: input.columns,
      transform: input.transform && { module: relativePath(input.target, input.transform.module), sha256: input.transform.sha256 },
      heldOut: input.heldOut,
      weightsFrom: input.weightsFrom,
      budgetTokens: plan.budgetTokens,
      achievedTokens,
      granularity: "document",
      order: "domain",
      domains: index.domains.map((domain, i) => {
        const target = plan.domains[i]!;
        const chosen = selection.domains[i]!;
        return {
          name: domain.name,
          documents: domain.documents,
          bytes: domain.bytes,
          tokens: domain.tokens,
          meanTokensPerDocument: domain.documents === 0 ? 0 : domain.tokens / domain.documents,
          heldOutDocuments: domain.heldOutDocuments + (input.heldOut.kind === "files" ? (heldOutFiles.get(domain.name) ?? 0) : 0),
          weight: target.weight,
          targetWeight: target.targetWeight,
          targetTokens: target.targetTokens,
          achievedTokens: chosen.achievedTokens,
          achievedWeight: achievedTokens === 0 ? 0 : chosen.achievedTokens / achievedTokens,
          selectedDocuments: chosen.selectedDocuments,
          epochs: domain.tokens === 0 ? 0 : chosen.achievedTokens / domain.tokens,
          maxEpochs: target.maxEpochs,
        };
      }),
      root: relativePath(input.target, input.root),
      files: index.files,
      notes: [...input.notes, ...plan.notes, ...skipped],
    };
    await writeManifest(context.folder, head, selection.rows());
    return {
      manifest: "manifest.json",
      selection: "selection.parquet",
      budgetTokens: plan.budgetTokens,
      achievedTokens,
      domains: head.domains.map(({ name, weight, achievedWeight, targetTokens, achievedTokens: achieved, selectedDocuments, epochs }) => ({
        name,
        weight,
        achievedWeight,
        targetTokens,
        achievedTokens: achieved,
        selectedDocuments,
        epochs,
      })),
      notes: [...plan.notes],
    };
  },
};

/** The shards' row counts in order, with domains as indices into `names`. */
function countsOf(shards: readonly CountedShard[], names: readonly string[], tokenizer: string, folder: string): CountSource {
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

function relativePath(from: string, to: string): string {
  return relative(from, to).split(sep).join("/") || ".";
}
