/**
 * Croissant 1.1: JSON-LD that describes the resampled set. Its files with hash and size, the domains with what was asked
 * for and achieved, the selection's columns, and the documents where a materialized set lies beside it.
 */
import { join } from "node:path";
import { relativePath } from "../../lib/relative-path.ts";
import { folderOf, joinLocation, relativeLocation } from "../../storage/location.ts";
import type { Manifest, ManifestFile } from "../contract.ts";
import type { MaterializedFile, MaterializedSet } from "../materialized.ts";
import type { Exporter, ExportRequest } from "./exporter.ts";

const MEDIA_TYPES: Readonly<Record<ManifestFile["format"], string>> = {
  parquet: "application/x-parquet",
  "arrow-file": "application/vnd.apache.arrow.file",
  "arrow-stream": "application/vnd.apache.arrow.stream",
  jsonl: "application/jsonlines",
};

/** The context of Croissant 1.1, whole: a parser warns of one that is not. */
const CONTEXT = {
  "@language": "en",
  "@vocab": "https://schema.org/",
  arrayShape: "cr:arrayShape",
  citeAs: "cr:citeAs",
  column: "cr:column",
  conformsTo: "dct:conformsTo",
  containedIn: "cr:containedIn",
  cr: "http://mlcommons.org/croissant/",
  rai: "http://mlcommons.org/croissant/RAI/",
  data: { "@id": "cr:data", "@type": "@json" },
  dataType: { "@id": "cr:dataType", "@type": "@vocab" },
  dct: "http://purl.org/dc/terms/",
  description: { "@container": "@language" },
  equivalentProperty: "cr:equivalentProperty",
  examples: { "@id": "cr:examples", "@type": "@json" },
  extract: "cr:extract",
  field: "cr:field",
  fileProperty: "cr:fileProperty",
  fileObject: "cr:fileObject",
  fileSet: "cr:fileSet",
  format: "cr:format",
  includes: "cr:includes",
  isArray: "cr:isArray",
  isLiveDataset: "cr:isLiveDataset",
  jsonPath: "cr:jsonPath",
  key: "cr:key",
  md5: "cr:md5",
  name: { "@container": "@language" },
  parentField: "cr:parentField",
  path: "cr:path",
  recordSet: "cr:recordSet",
  references: "cr:references",
  regex: "cr:regex",
  repeated: "cr:repeated",
  replace: "cr:replace",
  samplingRate: "cr:samplingRate",
  sc: "https://schema.org/",
  separator: "cr:separator",
  source: "cr:source",
  subField: "cr:subField",
  transform: "cr:transform",
};

const [TEXT, INTEGER, FLOAT] = ["sc:Text", "sc:Integer", "sc:Float"];

export const croissant: Exporter = {
  stack: "croissant",
  title: "Croissant 1.1",
  unit: "tokens",
  reads: ["parquet", "arrow", "jsonl", "megatron", "npy", "datatrove", "mds", "litdata"],
  needsData: false,
  writes: ["croissant.json"],
  export(request) {
    const { manifest, manifestFile } = request;
    const documents = documentFiles(request);
    const description = {
      "@context": CONTEXT,
      "@type": "sc:Dataset",
      conformsTo: "http://mlcommons.org/croissant/1.1",
      name: manifest.name,
      description: describe(manifest),
      dateCreated: manifestFile.time,
      datePublished: manifestFile.time,
      isLiveDataset: false,
      distribution: [...fileObjects(request), ...documents.map((documentSet) => documentSet.distribution)],
      recordSet: [domainRecords(manifest), selectionRecords(), ...documents.map((documentSet) => documentSet.records)],
    };
    return {
      files: [{ path: "croissant.json", text: `${JSON.stringify(description, null, 2)}\n` }],
      proportions: Object.fromEntries(manifest.domains.map((domain) => [domain.name, domain.achievedWeight])),
      notes: [
        "License, URL and citation are the sources' to give: add them to croissant.json before it is published.",
        ...(documents.length === 0
          ? [
              "Records of the documents themselves are described where --data is a materialized Parquet set inside the --output folder.",
            ]
          : []),
      ],
    };
  },
};

function describe({ domains, achievedTokens, selection, tokenizer, weightsFrom, generator }: Manifest): string {
  return (
    `${selection.documents} documents of ${domains.length} domains, ${achievedTokens} tokens of ${tokenizer.name}, ` +
    `resampled to domain weights (${weightsFrom}) by ${generator}.`
  );
}

function fileObjects({ manifest, manifestPath, manifestFile, selectionSize, root, target, data }: ExportRequest) {
  const selection = joinLocation(folderOf(manifestPath), manifest.selection.path);
  return [
    fileObject("manifest.json", "application/json", target, manifestPath, manifestFile),
    fileObject("selection", "application/x-parquet", target, selection, {
      sha256: manifest.selection.sha256,
      size: selectionSize,
    }),
    ...manifest.files.map((file) =>
      fileObject(`source/${file.path}`, MEDIA_TYPES[file.format], target, joinLocation(root, file.path), file),
    ),
    ...(data === null ? [] : setFiles(data.set)).map((file) =>
      fileObject(
        `data/${file.path}`,
        mediaTypeOf(file.path),
        target,
        join(data!.folder, ...file.path.split("/")),
        file,
      ),
    ),
  ];
}

function setFiles(set: MaterializedSet): MaterializedFile[] {
  return [...set.groups.flatMap((group) => group.shards.flatMap((shard) => shard.files)), ...set.files];
}

function fileObject(
  id: string,
  encodingFormat: string,
  target: string,
  path: string,
  { sha256, size }: { readonly sha256: string | null; readonly size: number },
) {
  return {
    "@type": "cr:FileObject",
    "@id": id,
    name: id,
    contentUrl: relativeLocation(target, path),
    contentSize: `${size} B`,
    encodingFormat,
    ...(sha256 !== null && { sha256 }),
  };
}

function mediaTypeOf(path: string): string {
  if (path.endsWith(".parquet")) return MEDIA_TYPES.parquet;
  if (path.endsWith(".arrow")) return MEDIA_TYPES["arrow-file"];
  if (path.endsWith(".jsonl")) return MEDIA_TYPES.jsonl;
  return "application/octet-stream";
}

function domainRecords({ domains }: Manifest) {
  const columns = [
    ["name", TEXT, "domain"],
    ["weight", FLOAT, "learned or given weight, by the manifest's unit"],
    ["target_weight", FLOAT, "share of tokens asked for"],
    ["achieved_weight", FLOAT, "share of tokens in the selection"],
    ["tokens", INTEGER, "tokens in the selection, repeats included"],
    ["documents", INTEGER, "documents in the selection, repeats included"],
    ["epochs", FLOAT, "tokens in the selection ÷ tokens of the domain"],
  ] as const;
  const data = domains.map((domain) => ({
    "domains/name": domain.name,
    "domains/weight": domain.weight,
    "domains/target_weight": domain.targetWeight,
    "domains/achieved_weight": domain.achievedWeight,
    "domains/tokens": domain.achievedTokens,
    "domains/documents": domain.selectedDocuments,
    "domains/epochs": domain.epochs,
  }));
  return {
    "@type": "cr:RecordSet",
    "@id": "domains",
    name: "domains",
    description: "The mixture.",
    key: { "@id": "domains/name" },
    field: columns.map(([name, dataType, description]) => field("domains", name, dataType, description)),
    data,
  };
}

function selectionRecords() {
  const columns = [
    ["file", TEXT, "source file, relative to the manifest's root"],
    ["row_group", INTEGER, "row group or record batch of the file"],
    ["row_start", INTEGER, "first row, from the start of the file"],
    ["row_end", INTEGER, "the row after the last"],
    ["domain", TEXT, "domain"],
    ["epoch", INTEGER, "pass over the domain, from 0"],
    ["tokens", INTEGER, "tokens of the run"],
  ] as const;
  return {
    "@type": "cr:RecordSet",
    "@id": "selection_rows",
    name: "selection_rows",
    description: "Runs of rows that are selected, in the order of training.",
    field: columns.map(([name, dataType, description]) => ({
      ...field("selection_rows", name, dataType, description),
      source: { fileObject: { "@id": "selection" }, extract: { column: name } },
    })),
  };
}

function field(recordSet: string, name: string, dataType: string, description: string) {
  return { "@type": "cr:Field", "@id": `${recordSet}/${name}`, name: `${recordSet}/${name}`, description, dataType };
}

/** Patterns of files start in the description's folder, so only a set inside it can be described. */
function documentFiles({ data, target }: ExportRequest) {
  if (data?.set.output !== "parquet") return [];
  const folder = relativePath(target, data.folder);
  if (folder === ".." || folder.startsWith("../")) return [];
  const includes = data.set.groups.flatMap((group) =>
    group.shards.flatMap((shard) => shard.files.map((file) => (folder === "" ? file.path : `${folder}/${file.path}`))),
  );
  const columns = [
    ["text", TEXT, "the document"],
    ["domain", TEXT, "its domain"],
  ] as const;
  return [
    {
      distribution: {
        "@type": "cr:FileSet",
        "@id": "document_files",
        name: "document_files",
        encodingFormat: MEDIA_TYPES.parquet,
        includes,
      },
      records: {
        "@type": "cr:RecordSet",
        "@id": "documents",
        name: "documents",
        description: "The documents, in the order of training.",
        field: columns.map(([name, dataType, description]) => ({
          ...field("documents", name, dataType, description),
          source: { fileSet: { "@id": "document_files" }, extract: { column: name } },
        })),
      },
    },
  ];
}
