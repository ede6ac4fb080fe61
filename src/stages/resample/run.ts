/** resample: weights, counts and a budget to the manifest: which rows of which shards, and how often. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { writeFileAtomic } from "../../lib/atomic-write.ts";
import { relativePath } from "../../lib/relative-path.ts";
import { GENERATOR } from "../../lib/version.ts";
import type { Manifest } from "../../manifest/contract.ts";
import { type DocumentIndex, indexDocuments } from "../../manifest/document-index.ts";
import type { DomainRule } from "../../manifest/domain-rule.ts";
import { planResample } from "../../manifest/plan.ts";
import { needsNoDocuments, selectDocuments, selectGroups } from "../../manifest/select.ts";
import { type GroupIndex, indexGroups } from "../../manifest/selection/groups.ts";
import { countUnits } from "../../manifest/units.ts";
import { MANIFEST_NAME, SELECTION_NAME, writeResampledSet } from "../../manifest/write.ts";
import { isRemote, relativeLocation } from "../../storage/location.ts";
import { manifestFile, RowCountsReader, readCountedShards, readGroupCounts } from "../count/counted-shards.ts";
import { reporter, type Stage } from "../stage.ts";
import { type ResampleInput, type ResampleOutput, resampleInput, resampleOutput } from "./contract.ts";

export const resample: Stage<ResampleInput, ResampleOutput> = {
  name: "resample",
  version: 3,
  reads: ["count"],
  input: resampleInput,
  output: resampleOutput,
  async run(input, context) {
    const report = reporter(context, "resample");
    const names = input.count.domains.map((domain) => domain.name);
    const { tokenizer } = input;
    const byGroup = await indexByGroup(input, context.folderOf("count"));
    const byDocument = byGroup
      ? null
      : await indexCounts({ ...input, tokenizer: tokenizer.name }, context.folderOf("count"), context.signal);
    const index = byGroup ?? byDocument!;
    const plan = planResample({
      names,
      weights: input.weights,
      unit: input.unit,
      units: index.domains.map((domain) => countUnits(domain, input.unit)),
      availableTokens: index.domains.map((domain) => domain.tokens),
      budgetTokens: input.budgetTokens,
      maxEpochs: input.maxEpochs,
      minShares: input.minShares,
      onCap: input.onCap,
    });
    for (const note of plan.notes) report.note(note);
    const targets = plan.domains.map((domain) => domain.targetTokens);
    const selection = byGroup
      ? selectGroups(byGroup, targets, input.seed, input.selection)
      : selectDocuments(byDocument!, targets, input.seed, input.selection);
    await takeTokenizerAlong(input, context.folder);
    const { name, fingerprint, vocabularySize, specialTokens } = tokenizer;
    const manifest = await writeResampledSet(context.folder, {
      header: {
        generator: GENERATOR,
        name: input.pipeline,
        seed: input.seed,
        tokenizer: { name, source: sourceOf(input), fingerprint, vocabularySize, specialTokens },
        columns: input.columns,
        ...(input.count.badDocuments && { badDocuments: badDocumentsOf(input) }),
        ...(changesNames(input.domainRule) && { domainRule: input.domainRule }),
        transform: input.transform && {
          ...input.transform,
          module: relativeLocation(input.target, input.transform.module),
        },
        heldOut: input.heldOut,
        weightsFrom: input.weightsFrom,
        root: (input.root !== "" && relativePath(input.target, input.root)) || ".",
        notes: input.notes,
      },
      index,
      plan,
      selection,
    });
    return {
      manifest: MANIFEST_NAME,
      selection: SELECTION_NAME,
      unit: input.unit,
      selectionSettings: input.selection,
      budgetTokens: manifest.budgetTokens,
      achievedTokens: manifest.achievedTokens,
      domains: manifest.domains.map((domain, i) => ({
        name: domain.name,
        weight: domain.weight,
        tokenWeight: domain.tokenWeight,
        achievedWeight: domain.achievedWeight,
        targetTokens: domain.targetTokens,
        achievedTokens: domain.achievedTokens,
        selectedDocuments: domain.selectedDocuments,
        epochs: domain.epochs,
        capped: plan.domains[i]!.capped,
        floored: plan.domains[i]!.floored,
      })),
      notes: [...plan.notes],
    };
  },
};

/**
 * From totals of row groups, where these say all that is asked: nothing smaller is chosen, moved, held out or counted.
 *
 * @returns null where the counts of rows are needed
 */
async function indexByGroup(
  { count, tokenizer, heldOut, selection, unit }: ResampleInput,
  folder: string,
): Promise<GroupIndex | null> {
  if (!needsNoDocuments(selection) || heldOut.kind === "fraction" || unit.kind === "sequences") return null;
  const domains = count.domains.map((domain) => domain.name);
  const shards = (await readCountedShards(folder, count.shards)).filter(({ split }) => split === "train");
  const totals = function* () {
    for (const shard of shards) yield readGroupCounts(shard, tokenizer.name, domains);
  };
  return indexGroups(totals(), domains);
}

/** The training documents of the corpus, from what was counted. @param folder of the count stage */
export async function indexCounts(
  {
    count,
    tokenizer,
    domainRule,
    heldOut,
    seed,
  }: Pick<ResampleInput, "count" | "domainRule" | "heldOut" | "seed"> & { tokenizer: string },
  folder: string,
  signal?: AbortSignal,
): Promise<DocumentIndex> {
  const domains = count.domains.map((domain) => domain.name);
  const shards = await readCountedShards(folder, count.shards);
  const reader = new RowCountsReader(folder, tokenizer, domainRule, domains);
  const counts = async function* () {
    for (const shard of shards) {
      if (shard.split === "train") yield { file: manifestFile(shard), ...(await reader.read(shard)) };
    }
  };
  const documents = count.domains.map((domain) => domain.documents);
  return indexDocuments({ counts, domains, heldOut, seed, documents, ...(signal && { signal }) });
}

/** Without the places, which are counted ones' to tell. */
function badDocumentsOf({ onBadDocument: policy, count }: ResampleInput): NonNullable<Manifest["badDocuments"]> {
  const { skipped, replaced, domains } = count.badDocuments!;
  return { policy, skipped, replaced, domains };
}

/** False where a value is its domain's name, so that the manifest's list of domains says it all. */
function changesNames({ map, unlisted }: DomainRule): boolean {
  return map !== null || typeof unlisted === "object";
}

/** What resolves the tokenizer again, from where the manifest stands. */
function sourceOf({ tokenizer, target }: ResampleInput): string {
  if (tokenizer.source.kind === "tiktoken") return tokenizer.source.encoding;
  const { path } = tokenizer.source;
  return isRemote(target) && !isRemote(path) ? TOKENIZER_NAME : relativeLocation(target, path);
}

const TOKENIZER_NAME = "tokenizer.json";

/** A manifest in a store cannot name a file of this machine: its tokenizer stands beside it. */
async function takeTokenizerAlong({ tokenizer: { source }, target }: ResampleInput, folder: string): Promise<void> {
  if (source.kind === "tiktoken" || !isRemote(target) || isRemote(source.path)) return;
  await writeFileAtomic(join(folder, TOKENIZER_NAME), await readFile(source.path));
}
