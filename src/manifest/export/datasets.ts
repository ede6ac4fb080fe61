/**
 * Hugging Face datasets: interleave_datasets draws documents, so a share of tokens becomes p ∝ w ÷ tokens per document.
 * It works on a materialized set, and without one on the manifest's own files, domain by domain.
 */
import type { Manifest, ManifestFile } from "../contract.ts";
import type { DomainRule } from "../domain-rule.ts";
import {
  absolute,
  checkLeftOut,
  convertShares,
  filesOf,
  GLOB,
  GLOB_NAMES,
  mixtureOf,
  refusal,
  refusePaths,
} from "./components.ts";
import { MODULE } from "./datasets-module.ts";
import type { ExportedConfiguration, Exporter, ExportRequest } from "./exporter.ts";

/** Files that one call of load_dataset reads. */
interface Part {
  readonly builder: "parquet" | "arrow" | "json";
  readonly data_files: readonly string[];
  /** which rows are of the domain: those whose column says so; null = all */
  readonly domain_column: string | null;
}

interface MixtureFile {
  readonly text_column: string;
  readonly domain_rule: DomainRule | null;
  /** true: one source that holds all domains, and its rows say which */
  readonly mixed: boolean;
  readonly domains: readonly { readonly name: string; readonly probability: number; readonly parts: readonly Part[] }[];
  readonly seed: number;
  /** true: domains start anew until `documents` have been drawn; false: each document is drawn once */
  readonly repeat: boolean;
  readonly documents: number;
}

const BUILDERS = { parquet: "parquet", "arrow-file": "arrow", "arrow-stream": "arrow", jsonl: "json" } as const;
const SET_BUILDERS = { parquet: "parquet", arrow: "arrow", jsonl: "json" } as const;

export const datasets: Exporter = {
  stack: "datasets",
  title: "Hugging Face datasets",
  unit: "documents",
  reads: ["parquet", "arrow", "jsonl"],
  needsData: false,
  writes: ["mixture.json", "doremi_datasets.py"],
  export(request) {
    return request.data === null ? ownFiles(request) : materialized(request);
  },
};

function materialized(request: ExportRequest): ExportedConfiguration {
  const { manifest } = request;
  const data = request.data!;
  const mixture = mixtureOf(datasets, request, { draw: "document", repeatsItself: true });
  const builder = SET_BUILDERS[mixture.set.output as keyof typeof SET_BUILDERS];
  const once = mixture.set.repeats === "once" && manifest.domains.some((domain) => domain.epochs > 1);
  const file: MixtureFile = {
    text_column: "text",
    domain_rule: null,
    mixed: mixture.set.layout === "mixed",
    domains: mixture.components.map(({ domain, group, share }) => ({
      name: domain ?? manifest.name,
      probability: share,
      parts: [{ builder, data_files: filesOf(data, group, /\.(parquet|arrow|jsonl(\.\w+)?)$/), domain_column: null }],
    })),
    seed: manifest.seed,
    repeat: once,
    documents: once ? drawnDocuments(manifest, new Set(Object.keys(mixture.proportions))) : mixture.set.documents,
  };
  return configuration(file, mixture.proportions, [
    ...mixture.notes,
    once
      ? `load() draws ${file.documents} documents, which hold the manifest's budget on average.`
      : `load() gives each of the ${file.documents} documents once.`,
  ]);
}

function ownFiles(request: ExportRequest): ExportedConfiguration {
  const { manifest, root, leaveOut } = request;
  if (manifest.transform !== null) {
    throw refusal(
      datasets,
      "usage",
      "needs-data",
      `reads the manifest's files as they lie, and its documents go through the transform ${manifest.transform.module}; ` +
        "write them with `doremi materialize manifest.json --as parquet --layout domain --output DIR` and give --data DIR",
    );
  }
  const told = manifest.domains.filter((domain) => domain.targetWeight > 0 && domain.tokens > 0);
  const untold = manifest.domains.filter((domain) => !told.includes(domain)).map(({ name }) => name);
  checkLeftOut(datasets, manifest, leaveOut, untold);
  const total = told.reduce((sum, domain) => sum + domain.targetWeight, 0);
  const probabilities = convertShares(
    told.map((domain) => domain.targetWeight / total),
    told.map(({ documents, tokens }) => ({ documents, tokens, separators: 0 })),
    "document",
  );
  const { text, domain: domainColumn } = manifest.columns;
  const file: MixtureFile = {
    text_column: text,
    domain_rule: manifest.domainRule ?? null,
    mixed: false,
    domains: told.map(({ name }, i) => ({
      name,
      probability: probabilities[i]!,
      parts: partsOf(manifest.files, name, root, domainColumn),
    })),
    seed: manifest.seed,
    repeat: true,
    documents: drawnDocuments(manifest, new Set(told.map(({ name }) => name))),
  };
  const heldOut = manifest.domains.reduce((sum, domain) => sum + domain.heldOutDocuments, 0);
  return configuration(file, Object.fromEntries(told.map(({ name }, i) => [name, probabilities[i]!])), [
    "The probabilities are of the manifest's target token shares, over all documents of its files: which documents are drawn is the stack's choice, not the manifest's.",
    `load() draws ${file.documents} documents, which hold the manifest's budget on average; domains that run out start anew.`,
    ...(heldOut > 0
      ? [
          `The files hold ${heldOut} documents that the manifest holds out: to keep them out, export a materialized set with --data.`,
        ]
      : []),
    ...(untold.length > 0 ? [`Left out, for want of weight or of documents: ${untold.join(", ")}.`] : []),
  ]);
}

function configuration(
  file: MixtureFile,
  proportions: Readonly<Record<string, number>>,
  notes: readonly string[],
): ExportedConfiguration {
  refusePaths(
    datasets,
    file.domains.flatMap((domain) => domain.parts.flatMap((part) => part.data_files)),
    GLOB,
    GLOB_NAMES,
  );
  return {
    files: [
      { path: "mixture.json", text: `${JSON.stringify(file, null, 2)}\n` },
      { path: "doremi_datasets.py", text: MODULE },
    ],
    proportions,
    notes: [...notes, "doremi_datasets.load() gives the mixture as an IterableDataset; mixture.json stands beside it."],
  };
}

/** The domain's files by format, in order; files of several domains give those of their rows that are of this one. */
function partsOf(files: readonly ManifestFile[], domain: string, root: string, domainColumn: string | null): Part[] {
  const parts = new Map<string, { builder: Part["builder"]; domain_column: string | null; data_files: string[] }>();
  for (const file of files) {
    if (file.domain !== null && file.domain !== domain) continue;
    const builder = BUILDERS[file.format];
    const column = file.domain === null ? domainColumn : null;
    const key = `${builder}/${column ?? ""}`;
    const part = parts.get(key) ?? { builder, domain_column: column, data_files: [] };
    part.data_files.push(absolute(root, file.path));
    parts.set(key, part);
  }
  return [...parts.values()];
}

/** Documents that hold the target tokens, at each domain's mean length. */
function drawnDocuments({ domains }: Manifest, told: ReadonlySet<string>): number {
  const drawn = domains
    .filter((domain) => told.has(domain.name) && domain.tokens > 0)
    .reduce((sum, domain) => sum + (domain.targetTokens * domain.documents) / domain.tokens, 0);
  return Math.round(drawn);
}
