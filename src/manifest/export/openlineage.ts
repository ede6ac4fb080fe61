/**
 * OpenLineage: the events of the run that made the set, for a lineage store to take in after the fact. Source files are
 * its inputs; the manifest's selection, and a materialized set where there is one, its outputs, by columns too.
 */
import { sep } from "node:path";
import { folderOf, isRemote, parseObjectUri } from "../../storage/location.ts";
import type { Manifest } from "../contract.ts";
import type { MaterializedGroup } from "../materialized.ts";
import { absolute } from "./components.ts";
import type { Exporter, ExportRequest } from "./exporter.ts";

const SPEC = "https://openlineage.io/spec";
const CORE = `${SPEC}/2-0-2/OpenLineage.json#/$defs`;

export const openlineage: Exporter = {
  stack: "openlineage",
  title: "OpenLineage",
  unit: "tokens",
  reads: ["parquet", "arrow", "jsonl", "megatron", "npy", "datatrove", "mds", "litdata"],
  needsData: false,
  writes: ["openlineage.ndjson"],
  export(request) {
    const { manifest, manifestFile } = request;
    const producer = producerOf(manifest);
    const common = {
      eventTime: manifestFile.time,
      producer,
      schemaURL: `${CORE}/RunEvent`,
      run: { runId: uuidOf(manifestFile.sha256), facets: runFacets(manifest, producer) },
      job: { namespace: "doremi", name: manifest.name, facets: jobFacets(producer) },
      inputs: inputsOf(request, producer),
    };
    const events = [
      { eventType: "START", ...common, outputs: [] },
      { eventType: "COMPLETE", ...common, outputs: outputsOf(request, producer) },
    ];
    return {
      files: [{ path: "openlineage.ndjson", text: events.map((event) => `${JSON.stringify(event)}\n`).join("") }],
      proportions: Object.fromEntries(manifest.domains.map((domain) => [domain.name, domain.achievedWeight])),
      notes: [
        "An event a line, both of the time that manifest.json was written; post each to the store's /api/v1/lineage.",
        "The run's id is made of the manifest's hash: sending the events twice tells of one run.",
      ],
    };
  },
};

/** A package URL. */
function producerOf({ generator }: Manifest): string {
  return `pkg:npm/${generator}`;
}

/** A UUID of our own making (version 8) from a hash: the same manifest is the same run. */
function uuidOf(sha256: string): string {
  const variant = "89ab"[Number.parseInt(sha256[16]!, 16) % 4]!;
  const parts = [
    sha256.slice(0, 8),
    sha256.slice(8, 12),
    `8${sha256.slice(13, 16)}`,
    `${variant}${sha256.slice(17, 20)}`,
    sha256.slice(20, 32),
  ];
  return parts.join("-");
}

function facet(producer: string, schema: string) {
  const name = schema.split("/").at(-1);
  return { _producer: producer, _schemaURL: `${SPEC}/facets/${schema}.json#/$defs/${name}` };
}

function runFacets(manifest: Manifest, producer: string) {
  const [name, version] = manifest.generator.split("@");
  return {
    processing_engine: {
      ...facet(producer, "1-1-1/ProcessingEngineRunFacet"),
      name,
      version: version ?? manifest.generator,
      openlineageAdapterVersion: version ?? manifest.generator,
    },
    doremi_mixture: {
      _producer: producer,
      _schemaURL: `${CORE}/RunFacet`,
      seed: manifest.seed,
      tokenizer: manifest.tokenizer.name,
      weightsFrom: manifest.weightsFrom,
      budgetTokens: manifest.budgetTokens,
      domains: manifest.domains.map((domain) => ({
        name: domain.name,
        weight: domain.weight,
        targetWeight: domain.targetWeight,
        achievedWeight: domain.achievedWeight,
        epochs: domain.epochs,
      })),
    },
  };
}

function jobFacets(producer: string) {
  return {
    jobType: {
      ...facet(producer, "2-0-4/JobTypeJobFacet"),
      processingType: "BATCH",
      integration: "DOREMI",
      jobType: "JOB",
    },
    documentation: {
      ...facet(producer, "1-1-0/DocumentationJobFacet"),
      description: "Resamples domains of text to learned or given weights.",
    },
  };
}

/** As OpenLineage names data sets: the store is the namespace; files of this machine have “file”. */
function datasetAt(location: string): { namespace: string; name: string } {
  if (!isRemote(location)) return { namespace: "file", name: location };
  const { store, key } = parseObjectUri(location);
  return { namespace: store, name: key };
}

function inputsOf({ manifest, root }: ExportRequest, producer: string) {
  const { text, domain } = manifest.columns;
  return manifest.files.map((file) => ({
    ...datasetAt(absolute(root, file.path)),
    facets: {
      version: {
        ...facet(producer, "1-0-1/DatasetVersionDatasetFacet"),
        datasetVersion: file.sha256 === null ? `etag:${file.version}` : `sha256:${file.sha256}`,
      },
      schema: {
        ...facet(producer, "1-2-0/SchemaDatasetFacet"),
        fields: [text, ...(file.domain === null && domain !== null ? [domain] : [])].map((name) => ({
          name,
          type: "string",
        })),
      },
    },
    inputFacets: {
      inputStatistics: {
        ...facet(producer, "1-0-0/InputStatisticsInputDatasetFacet"),
        rowCount: file.rows,
        size: file.size,
        fileCount: 1,
      },
    },
  }));
}

function outputsOf(request: ExportRequest, producer: string) {
  const { manifest, manifestPath, selectionSize, data } = request;
  const folder = folderOf(manifestPath).split(sep).join("/");
  const selection = {
    ...datasetAt(absolute(folder, manifest.selection.path)),
    facets: {
      version: {
        ...facet(producer, "1-0-1/DatasetVersionDatasetFacet"),
        datasetVersion: `sha256:${manifest.selection.sha256}`,
      },
      columnLineage: columnLineage(request, producer, null, { tokens: "AGGREGATION" }),
    },
    outputFacets: { outputStatistics: statistics(producer, manifest.selection.rows, selectionSize, 1) },
  };
  if (data === null) return [selection];
  const text: Derivation = manifest.transform === null ? "IDENTITY" : "TRANSFORMATION";
  const columns: Readonly<Record<string, Derivation>> = {
    ...(data.set.idBytes === null && { text }),
    tokens: "TRANSFORMATION",
  };
  return [
    selection,
    ...data.set.groups.map((group) => ({
      ...datasetAt(absolute(data.folder, group.folder)),
      facets: { columnLineage: columnLineage(request, producer, group.domain, columns) },
      outputFacets: { outputStatistics: groupStatistics(producer, group) },
    })),
  ];
}

type Derivation = "IDENTITY" | "TRANSFORMATION" | "AGGREGATION";

/**
 * What columns of an output were made of: of the text column of the files that have documents of the domain (null = all),
 * and `domain` of the column that names it, where there is one.
 */
function columnLineage(
  { manifest, root }: ExportRequest,
  producer: string,
  domain: string | null,
  ofText: Readonly<Record<string, Derivation>>,
) {
  const { text, domain: domainColumn } = manifest.columns;
  const files = manifest.files.filter((file) => file.domain === null || domain === null || file.domain === domain);
  const made = (of: typeof files, field: string, subtype: Derivation) => ({
    inputFields: of.map((file) => ({
      ...datasetAt(absolute(root, file.path)),
      field,
      transformations: [{ type: "DIRECT", subtype }],
    })),
  });
  const several = domainColumn === null ? [] : files.filter((file) => file.domain === null);
  return {
    ...facet(producer, "1-2-0/ColumnLineageDatasetFacet"),
    fields: {
      ...Object.fromEntries(Object.entries(ofText).map(([column, subtype]) => [column, made(files, text, subtype)])),
      ...(several.length > 0 && { domain: made(several, domainColumn!, "TRANSFORMATION") }),
    },
  };
}

function groupStatistics(producer: string, { documents, shards }: MaterializedGroup) {
  const files = shards.flatMap((shard) => shard.files);
  const size = files.reduce((sum, file) => sum + file.size, 0);
  return statistics(producer, documents, size, files.length);
}

function statistics(producer: string, rowCount: number, size: number, fileCount: number) {
  return { ...facet(producer, "1-0-2/OutputStatisticsOutputDatasetFacet"), rowCount, size, fileCount };
}
