/** Input and output of discover: which shards there are, of which domain, and how each can be read in parts. */
import { z } from "zod";
import { domainRule } from "../../manifest/domain-rule.ts";

/** Files of the corpus as patterns with absolute paths, or of URIs. */
const source = z.strictObject({
  patterns: z.array(z.string()).min(1),
  /** the domain of every file of these patterns; null when the path's {domain} or a column says it */
  domain: z.string().nullable(),
});

export const discoverInput = z.strictObject({
  sources: z.array(source).min(1),
  heldOutPatterns: z.array(z.string()),
  /** which domain a path or a row is of; listed in order, or null = all that are found, sorted */
  domains: domainRule,
  textColumn: z.string(),
  domainColumn: z.string().nullable(),
  /** further columns that the transform is given */
  extraColumns: z.array(z.string()),
  onBadShard: z.enum(["fail", "skip"]),
  /** look at a part of the files only: the index-th (from 0) of so many, or a range of them; all where absent */
  part: z
    .union([
      z.strictObject({ index: z.int().min(0), of: z.int().min(1) }),
      z.strictObject({ start: z.int(), end: z.int() }),
    ])
    .optional(),
});

export const shardUnit = z.strictObject({
  index: z.int(),
  rows: z.int().nullable(),
  storedBytes: z.number(),
  memoryBytes: z.number(),
  locator: z.unknown(),
});

const layout = z.strictObject({
  format: z.enum(["parquet", "arrow-file", "arrow-stream", "jsonl"]),
  size: z.int(),
  rows: z.int().nullable(),
  units: z.array(shardUnit),
});

export const skippedShard = z.strictObject({
  path: z.string(),
  code: z.string(),
  reason: z.string(),
  /** of all its rows; null where a column says it */
  domain: z.string().nullable(),
  /** of the file */
  bytes: z.int(),
});

export const discoveredShard = z.strictObject({
  /** relative to root, `/` between parts; or a URI */
  path: z.string(),
  /** of all its rows; null where a column says it */
  domain: z.string().nullable(),
  split: z.enum(["train", "held-out"]),
  /** from FileStat: changes when the content may have changed */
  version: z.string(),
  layout,
});

/** The shards are a file of JSON lines in the stage's folder, because there may be a hundred thousand of them. */
export const shardList = z.strictObject({ path: z.string(), sha256: z.string(), shards: z.int() });

const filesRange = z.strictObject({
  start: z.int(),
  end: z.int(),
  files: z.int(),
  /** fingerprint of the list of all files and their sizes */
  corpus: z.string(),
});

export const discoverOutput = z.strictObject({
  /** deepest folder that holds every shard of this machine, absolute; empty where all are behind URIs */
  root: z.string(),
  textColumn: z.string(),
  domainColumn: z.string().nullable(),
  extraColumns: z.array(z.string()),
  /** null when a column names the domains and the pipeline does not list them */
  domains: z.array(z.string()).nullable(),
  shards: shardList,
  skipped: z.array(skippedShard),
  /** of a part: its files, start..end (exclusive) of all, and what all are */
  part: filesRange.optional(),
});

export type DiscoverInput = z.output<typeof discoverInput>;
export type FilesRange = z.output<typeof filesRange>;
export type DiscoverOutput = z.output<typeof discoverOutput>;
export type DiscoveredShard = z.output<typeof discoveredShard>;
