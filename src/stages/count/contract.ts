/** Input and output of count: tokens per domain, shard, row group and row, under one or several tokenizers. */
import { z } from "zod";
import { skippedShard } from "../discover/contract.ts";

export const tokenizerDescriptor = z.strictObject({
  name: z.string(),
  source: z.union([
    z.strictObject({ kind: z.literal("tiktoken"), encoding: z.enum(["r50k", "p50k", "cl100k", "o200k"]) }),
    z.strictObject({ kind: z.literal("huggingface"), path: z.string() }),
  ]),
  fingerprint: z.string(),
  vocabularySize: z.int(),
  endOfText: z.int().nullable(),
  path: z.enum(["fast", "library"]),
  specialTokens: z.enum(["text", "parse"]),
});

export const transformReference = z.strictObject({
  /** absolute path */
  module: z.string(),
  sha256: z.string(),
  /** further columns that it is given */
  columns: z.array(z.string()),
  options: z.record(z.string(), z.unknown()),
});

const shard = z.strictObject({
  path: z.string(),
  domain: z.string().nullable(),
  split: z.enum(["train", "held-out"]),
  version: z.string(),
  layout: z.unknown(),
});

export const countInput = z.strictObject({
  root: z.string(),
  domains: z.array(z.string()).nullable(),
  shards: z.array(shard),
  /** the first is the one that weights and budgets are counted in */
  tokenizers: z.array(tokenizerDescriptor).min(1),
  textColumn: z.string(),
  domainColumn: z.string().nullable(),
  transform: transformReference.nullable(),
  onUnlistedDomain: z.enum(["fail", "drop"]),
  onBadShard: z.enum(["fail", "skip"]),
});

const totals = z.strictObject({
  documents: z.int(),
  bytes: z.int(),
  /** by tokenizer name */
  tokens: z.record(z.string(), z.int()),
});

export const countedShard = z.strictObject({
  path: z.string(),
  size: z.int(),
  sha256: z.string(),
  format: z.enum(["parquet", "arrow-file", "arrow-stream", "jsonl"]),
  split: z.enum(["train", "held-out"]),
  domain: z.string().nullable(),
  rows: z.int(),
  /** rows of each unit, in order */
  rowGroups: z.array(z.int()),
  /** rows without a text, or dropped by the transform or as unlisted */
  droppedRows: z.int(),
  /** totals of what is counted, by domain */
  totals: z.record(z.string(), totals),
  /** the row counts: a file in the stage's folder */
  counts: z.strictObject({ path: z.string(), sha256: z.string() }),
});

export const countOutput = z.strictObject({
  tokenizers: z.array(
    z.strictObject({
      name: z.string(),
      fingerprint: z.string(),
      vocabularySize: z.int(),
      endOfText: z.int().nullable(),
      path: z.enum(["fast", "library"]),
      specialTokens: z.enum(["text", "parse"]),
    }),
  ),
  domains: z.array(totals.extend({ name: z.string(), heldOut: totals })),
  shards: z.array(countedShard),
  skipped: z.array(skippedShard),
  notes: z.array(z.string()),
});

export type CountInput = z.output<typeof countInput>;
export type CountOutput = z.output<typeof countOutput>;
export type CountedShard = z.output<typeof countedShard>;
export type CountTotals = z.output<typeof totals>;
export type TransformReference = z.output<typeof transformReference>;
