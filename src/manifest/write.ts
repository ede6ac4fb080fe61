/**
 * Puts a resampled set on disk: selection.parquet first, then the manifest.json that names its hash, so that a manifest
 * never points at rows that are not there. Decides nothing about what is in them.
 */
import { join } from "node:path";
import { writeFileAtomic } from "../lib/atomic-write.ts";
import { SELECTION_RNG } from "../lib/permutation.ts";
import type { Manifest, ManifestDomain } from "./contract.ts";
import type { ResamplePlan } from "./plan.ts";
import { checkManifest } from "./schema.ts";
import type { Selection } from "./select.ts";
import { writeSelectionChunks } from "./selection-file.ts";

export const MANIFEST_NAME = "manifest.json";
export const SELECTION_NAME = "selection.parquet";

/** What the manifest says about the run, beside what follows from counts, plan and selection. */
export type ManifestHeader = Pick<
  Manifest,
  "generator" | "name" | "seed" | "tokenizer" | "columns" | "transform" | "heldOut" | "weightsFrom" | "root" | "notes"
>;

/** The corpus as it was counted, by document or by row group: without held-out documents. */
export interface CorpusIndex {
  readonly files: Manifest["files"];
  readonly domains: readonly Pick<ManifestDomain, "name" | "documents" | "bytes" | "tokens" | "heldOutDocuments">[];
}

export interface ResampledSet {
  readonly header: ManifestHeader;
  readonly index: CorpusIndex;
  readonly plan: ResamplePlan;
  readonly selection: Selection;
}

/** Writes both files into `folder` and returns the manifest. The plan's notes follow the header's. */
export async function writeResampledSet(folder: string, set: ResampledSet): Promise<Manifest> {
  const { header, index, plan, selection } = set;
  const written = await writeSelectionChunks(join(folder, SELECTION_NAME), selection);
  const domains = describeDomains(set);
  const manifest: Manifest = {
    ...header,
    format: "doremi-manifest",
    version: 1,
    rng: SELECTION_RNG,
    unit: plan.unit,
    excess: "proportional-to-weight",
    budgetTokens: plan.budgetTokens,
    achievedTokens: domains.reduce((sum, domain) => sum + domain.achievedTokens, 0),
    granularity: selection.settings.granularity,
    order: selection.settings.order,
    shuffle: selection.settings.shuffle,
    domains,
    files: index.files,
    selection: {
      path: SELECTION_NAME,
      ...written,
      documents: domains.reduce((sum, domain) => sum + domain.selectedDocuments, 0),
    },
    notes: [...header.notes, ...plan.notes],
  };
  const path = join(folder, MANIFEST_NAME);
  await writeManifest(path, manifest);
  return manifest;
}

/** Canonical: keys in the schema's order, two spaces, a newline at the end. @throws DoremiError bad-manifest */
export async function writeManifest(path: string, manifest: Manifest): Promise<void> {
  await writeFileAtomic(path, manifestJson(manifest, path));
}

export function manifestJson(manifest: Manifest, who = MANIFEST_NAME): string {
  return `${JSON.stringify(checkManifest(manifest, who), undefined, 2)}\n`;
}

/** What the manifest says of each domain, from the counts, the plan and the selection. */
export function describeDomains({ index, plan, selection }: Omit<ResampledSet, "header">): ManifestDomain[] {
  const achieved = selection.domains.reduce((sum, domain) => sum + domain.achievedTokens, 0);
  return index.domains.map((domain, i) => {
    const target = plan.domains[i]!;
    const { achievedTokens, selectedDocuments } = selection.domains[i]!;
    return {
      name: domain.name,
      documents: domain.documents,
      bytes: domain.bytes,
      tokens: domain.tokens,
      meanTokensPerDocument: ratio(domain.tokens, domain.documents),
      heldOutDocuments: domain.heldOutDocuments,
      units: target.units,
      weight: target.weight,
      tokenWeight: target.tokenWeight,
      minShare: target.minShare,
      targetWeight: target.targetWeight,
      targetTokens: target.targetTokens,
      achievedTokens,
      achievedWeight: ratio(achievedTokens, achieved),
      selectedDocuments,
      epochs: ratio(achievedTokens, domain.tokens),
      maxEpochs: target.maxEpochs,
    };
  });
}

/** a ÷ b, and 0 for nothing out of nothing. */
export function ratio(a: number, b: number): number {
  return b === 0 ? 0 : a / b;
}
