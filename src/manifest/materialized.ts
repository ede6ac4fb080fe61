/**
 * The record of a materialized set, `materialized.json`: which files hold the documents of a manifest, written out in a
 * trainer's own format, and how many tokens each holds. `doremi materialize` writes it, exporters read it.
 */
import { z } from "zod";
import { DoremiError } from "../lib/errors.ts";
import { readWhole } from "../storage/files.ts";
import { joinLocation } from "../storage/location.ts";

export const MATERIALIZED_NAME = "materialized.json";

export const OUTPUT_FORMATS = ["megatron", "npy", "datatrove", "mds", "litdata", "parquet", "arrow", "jsonl"] as const;

export type OutputFormatName = (typeof OUTPUT_FORMATS)[number];

export const COMPRESSIONS = ["zstd", "none"] as const;

/** Of files whose format leaves the choice. */
export type Compression = (typeof COMPRESSIONS)[number];

const count = z.int().min(0);

const totals = {
  documents: count,
  /** of the manifest's tokenizer, without separators: the manifest's own count */
  tokens: count,
  /** ids that were put behind documents, beside `tokens` */
  separators: count,
};

const outputFile = z.object({
  /** relative to the record, with `/` between its parts */
  path: z.string().min(1),
  /** bytes */
  size: count,
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
});

const shard = z.object({ ...totals, files: z.array(outputFile) });

const group = z.object({
  /** null: the shards hold all domains, in the manifest's order */
  domain: z.string().nullable(),
  /** folder of its shards, relative to the record; "." = beside it */
  folder: z.string().min(1),
  ...totals,
  shards: z.array(shard),
});

export const materializedSet = z.object({
  format: z.literal("doremi-materialized"),
  version: z.literal(1),
  generator: z.string(),
  /** of the manifest and all settings that decide a byte of the set: the same key, the same set */
  key: z.string(),
  /** `path` relative to the record's folder */
  manifest: z.object({ path: z.string(), sha256: z.string() }),
  output: z.enum(OUTPUT_FORMATS),
  /** "mixed": one group in the manifest's order; "domain": a group for each domain with documents */
  layout: z.enum(["mixed", "domain"]),
  /** "written": a document stands as often as the manifest selects it; "once": once, and the trainer repeats it */
  repeats: z.enum(["written", "once"]),
  tokenizer: z.object({ name: z.string(), fingerprint: z.string(), vocabularySize: count }),
  /** bytes of an id, where ids are written */
  idBytes: z.union([z.literal(2), z.literal(4)]).nullable(),
  /** id behind every document, where ids are written; null = none */
  separator: count.nullable(),
  /** where the format leaves the choice */
  compression: z.enum(COMPRESSIONS).nullable(),
  ...totals,
  groups: z.array(group),
  /** beside the shards: indexes of them, a dataset card */
  files: z.array(outputFile),
});

export type MaterializedSet = z.output<typeof materializedSet>;
export type MaterializedGroup = z.output<typeof group>;
export type MaterializedShard = z.output<typeof shard>;
export type MaterializedFile = z.output<typeof outputFile>;

/** @param folder that holds the record @throws DoremiError missing-file, bad-materialized */
export async function loadMaterialized(folder: string): Promise<MaterializedSet> {
  const path = joinLocation(folder, MATERIALIZED_NAME);
  const text = Buffer.from(await readWhole(path)).toString("utf8");
  const fault = (found: string) =>
    new DoremiError(
      "bad-data",
      "bad-materialized",
      `${path}: must be the record of a materialized set, ${found}; write the set anew with \`doremi materialize\``,
      { file: path },
    );
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw fault((error as Error).message);
  }
  const result = materializedSet.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw fault(`${issue!.path.map(String).join(".") || "(top)"}: ${issue!.message}`);
}
