/**
 * README.md of a set of Parquet files: the YAML at its head tells Hugging Face datasets which configurations there are,
 * where their files lie and how many rows to expect; the rest tells people what they have before them.
 */
import { join } from "node:path";
import { basename } from "node:path/posix";
import { asyncBufferFromFile, parquetMetadataAsync } from "hyparquet";
import { stringify } from "yaml";
import type { Manifest } from "../../../manifest/contract.ts";
import type { MaterializedGroup, MaterializedSet } from "../../../manifest/materialized.ts";

const FEATURES = [
  { name: "text", dtype: "string" },
  { name: "domain", dtype: "string" },
  { name: "epoch", dtype: "int32" },
  { name: "source", dtype: "string" },
  { name: "row", dtype: "int64" },
  { name: "tokens", dtype: "int32" },
];

interface Configuration {
  readonly name: string;
  readonly groups: readonly MaterializedGroup[];
  readonly documents: number;
  /** of its columns, before compression: about what datasets needs room for */
  readonly bytes: number;
  /** what load_dataset takes where none is named */
  readonly isDefault: boolean;
}

/** @param folder of the set, whose files are there */
export async function datasetCard(set: MaterializedSet, manifest: Manifest, folder: string): Promise<string> {
  const configurations = configurationsOf(set, await Promise.all(set.groups.map((group) => bytesOf(group, folder))));
  const head = stringify(
    {
      configs: configurations.map(({ name, groups, isDefault }) => ({
        config_name: name,
        ...(isDefault && { default: true }),
        data_files: [{ split: "train", path: groups.map(filesOf) }],
      })),
      dataset_info: configurations.map(({ name, documents, bytes }) => ({
        config_name: name,
        features: FEATURES,
        splits: [{ name: "train", num_bytes: bytes, num_examples: documents }],
        dataset_size: bytes,
      })),
    },
    { lineWidth: 0, aliasDuplicateObjects: false },
  );
  return `---\n${head}---\n\n${bodyOf(set, manifest, configurations)}`;
}

/** All of the set; and, where every domain has a folder of its own, each of them under the folder's name. */
function configurationsOf({ groups, documents, layout }: MaterializedSet, groupBytes: readonly number[]) {
  const domains: Configuration[] = (layout === "domain" ? groups : []).map((group, i) => ({
    name: basename(group.folder),
    groups: [group],
    documents: group.documents,
    bytes: groupBytes[i]!,
    isDefault: false,
  }));
  const bytes = groupBytes.reduce((sum, each) => sum + each, 0);
  const name = domains.some((domain) => domain.name === "default") ? "all-domains" : "default";
  return [{ name, groups, documents, bytes, isDefault: true }, ...domains];
}

async function bytesOf({ shards }: MaterializedGroup, folder: string): Promise<number> {
  let bytes = 0;
  for (const { path } of shards.flatMap(({ files }) => files)) {
    const { row_groups } = await parquetMetadataAsync(await asyncBufferFromFile(join(folder, path)));
    for (const { total_byte_size } of row_groups) bytes += Number(total_byte_size);
  }
  return bytes;
}

function filesOf({ folder }: MaterializedGroup): string {
  return folder === "." ? "part-*.parquet" : `${folder}/part-*.parquet`;
}

function bodyOf(set: MaterializedSet, manifest: Manifest, configurations: readonly Configuration[]): string {
  const counts = manifest.domains.filter((domain) => domain.selectedDocuments > 0);
  const order =
    set.layout === "mixed"
      ? "One configuration, `default`: all documents in the order in which a training that follows the manifest sees them."
      : `A configuration for each domain, and \`${configurations[0]!.name}\` with all of them one after another.`;
  const rows = counts.map(
    ({ name, selectedDocuments, achievedTokens, achievedWeight, epochs }) =>
      `| ${name.replaceAll("|", "\\|")} | ${selectedDocuments} | ${achievedTokens} | ${achievedWeight.toFixed(4)} | ${epochs.toFixed(2)} |`,
  );
  return `# ${manifest.name}

${set.documents} documents of ${set.tokens} tokens (${set.tokenizer.name}), written from the manifest with SHA-256
\`${set.manifest.sha256}\`. ${order}

| domain | documents | tokens | share of tokens | epochs |
|---|---|---|---|---|
${rows.join("\n")}
${set.repeats === "once" ? "\nEach document stands here once; the counts above are with the repeats that the manifest asks for.\n" : ""}
Columns: \`text\`; \`domain\`; \`epoch\`, the pass over the domain, from 0; \`source\` and \`row\`, the file of the corpus and
the row in it that the text is from; \`tokens\`, how many the tokenizer makes of the text.
`;
}
