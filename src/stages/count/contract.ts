/** Input and output of count: tokens per domain, shard, row group and row, under one or several tokenizers. */
import { z } from "zod";
import { BAD_DOCUMENT_POLICIES } from "../../formats/shard.ts";
import { domainRule } from "../../manifest/domain-rule.ts";
import { shardList, shardUnit, skippedShard } from "../discover/contract.ts";
import { corpusBad, shardBad } from "./bad.ts";

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

export const countInput = z.strictObject({
  root: z.string(),
  /** in the folder of discover */
  shards: shardList,
  domains: domainRule,
  /** the first is the one that weights and budgets are counted in */
  tokenizers: z.array(tokenizerDescriptor).min(1),
  textColumn: z.string(),
  domainColumn: z.string().nullable(),
  transform: transformReference.nullable(),
  onBadShard: z.enum(["fail", "skip"]),
  onBadDocument: z.enum(BAD_DOCUMENT_POLICIES),
  /** the shards are a part of the corpus: a domain may have no document among them */
  part: z.literal(true).optional(),
  /** read objects whole for their SHA-256; without it they are known by their version */
  hashObjects: z.boolean().optional(),
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
  /** null of an object that was not hashed */
  sha256: z.string().nullable(),
  /** of an object: FileStat.version */
  version: z.string().optional(),
  format: z.enum(["parquet", "arrow-file", "arrow-stream", "jsonl"]),
  split: z.enum(["train", "held-out"]),
  domain: z.string().nullable(),
  rows: z.int(),
  /** rows of each row group or record batch, in order; a JSONL file is one */
  rowGroups: z.array(z.int()),
  /** its parts as the readers know them, and the rows of each */
  units: z.array(shardUnit),
  unitRows: z.array(z.int()),
  /** rows without a text, or dropped by the transform or as unlisted */
  droppedRows: z.int(),
  /** totals of what is counted, by domain */
  totals: z.record(z.string(), totals),
  /** the same of each row group, in order */
  groups: z.record(
    z.string(),
    z.strictObject({
      documents: z.array(z.int()),
      bytes: z.array(z.int()),
      tokens: z.record(z.string(), z.array(z.int())),
    }),
  ),
  /** documents that onBadDocument changed; absent where none */
  bad: shardBad.optional(),
  /** the row counts: so many rows of a file in the stage's folder, from `rowStart` on */
  counts: z.strictObject({ path: z.string(), sha256: z.string(), rowStart: z.int() }),
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
  domains: z.array(
    totals.extend({
      name: z.string(),
      heldOut: totals,
      /** of all tokens, by tokenizer name */
      share: z.record(z.string(), z.number()),
      /** of the further tokenizers' shares from the first one's, percentage points */
      difference: z.record(z.string(), z.number()),
    }),
  ),
  /** in the stage's folder, a countedShard a line */
  shards: shardList.extend({ rows: z.int() }),
  skipped: z.array(skippedShard),
  /** documents that onBadDocument changed; absent where none */
  badDocuments: corpusBad.optional(),
  notes: z.array(z.string()),
});

export type CountInput = z.output<typeof countInput>;
export type CountOutput = z.output<typeof countOutput>;
export type CountedShard = z.output<typeof countedShard>;
export type CountTotals = z.output<typeof totals>;
export type TransformReference = z.output<typeof transformReference>;
