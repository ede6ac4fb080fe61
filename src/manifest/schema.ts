/**
 * The manifest's shape as a zod schema, in the order in which its keys are written. Checks types and ranges; whether
 * the numbers are true is for verify.
 */
import { z } from "zod";
import { BAD_DOCUMENT_POLICIES } from "../formats/shard.ts";
import type { ErrorCode } from "../lib/error-codes.ts";
import { DoremiError } from "../lib/errors.ts";
import type { Manifest } from "./contract.ts";
import { domainRule } from "./domain-rule.ts";

const count = z.int().min(0);
const number = z.number().min(0);
const sha256 = z.string().regex(/^[0-9a-f]{64}$/, "must be 64 lower-case hexadecimal digits");

const heldOut = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("fraction"), fraction: number.max(1), minDocuments: count }),
  z.object({ kind: z.literal("files") }),
  z.object({ kind: z.literal("none") }),
]);

export const weightUnit = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("tokens") }),
  z.object({ kind: z.literal("documents") }),
  z.object({ kind: z.literal("sequences"), length: z.int().min(1) }),
]);

export const granularity = z.enum(["document", "row-group", "shard"]);

const domain = z.object({
  name: z.string().min(1),
  documents: count,
  bytes: count,
  tokens: count,
  meanTokensPerDocument: number,
  heldOutDocuments: count,
  units: count,
  weight: number,
  tokenWeight: number,
  minShare: number.max(1),
  targetWeight: number,
  targetTokens: count,
  achievedTokens: count,
  achievedWeight: number,
  selectedDocuments: count,
  epochs: number,
  maxEpochs: number.nullable(),
});

const file = z.object({
  path: z.string().min(1),
  size: count,
  sha256: sha256.nullable(),
  version: z.string().optional(),
  format: z.enum(["parquet", "arrow-file", "arrow-stream", "jsonl"]),
  rows: count,
  rowGroups: z.array(count),
  domain: z.string().nullable(),
});

export const manifestSchema = z.object({
  format: z.literal("doremi-manifest"),
  version: z.literal(1),
  generator: z.string(),
  name: z.string(),
  seed: count,
  rng: z.string(),
  tokenizer: z.object({
    name: z.string(),
    source: z.string(),
    fingerprint: z.string(),
    vocabularySize: count,
    specialTokens: z.enum(["text", "parse"]).optional(),
  }),
  columns: z.object({ text: z.string(), domain: z.string().nullable() }),
  badDocuments: z
    .object({
      policy: z.enum(BAD_DOCUMENT_POLICIES),
      skipped: count,
      replaced: count,
      domains: z.array(z.object({ domain: z.string().nullable(), skipped: count, replaced: count })),
    })
    .optional(),
  domainRule: domainRule.optional(),
  transform: z
    .object({ module: z.string(), sha256, columns: z.array(z.string()), options: z.record(z.string(), z.unknown()) })
    .nullable(),
  heldOut,
  weightsFrom: z.string(),
  unit: weightUnit,
  excess: z.literal("proportional-to-weight"),
  budgetTokens: count,
  achievedTokens: count,
  granularity,
  order: z.enum(["domain", "mixed"]),
  shuffle: z.enum([...granularity.options, "none"]),
  domains: z.array(domain).min(1),
  root: z.string(),
  files: z.array(file),
  selection: z.object({ path: z.string().min(1), sha256, rows: count, documents: count }),
  notes: z.array(z.string()),
}) satisfies z.ZodType<Manifest>;

/** How many faults of a malformed manifest the message spells out. */
const SHOWN_FAULTS = 5;

/**
 * The manifest in canonical key order, without keys that this version does not know.
 *
 * @param value what JSON.parse gave, or a manifest in memory  @param who the file, for messages
 * @throws DoremiError not-a-manifest, unsupported-version, bad-manifest
 */
export function checkManifest(value: unknown, who: string): Manifest {
  const head = value as { format?: unknown; version?: unknown } | null;
  if (head === null || typeof head !== "object" || head.format !== "doremi-manifest") {
    throw fault(
      "not-a-manifest",
      `${who}: must be a manifest with "format": "doremi-manifest"; is it the right file?`,
      who,
    );
  }
  if (head.version !== 1) {
    throw fault(
      "unsupported-version",
      `${who}: this program reads manifests of version 1, this one has ${versionText(head.version)}; update doremi`,
      who,
    );
  }
  const result = manifestSchema.safeParse(value);
  if (result.success) return result.data;
  const faults = result.error.issues.map(
    (issue) => `${issue.path.map((part) => String(part)).join(".") || "(top)"}: ${issue.message}`,
  );
  const more = faults.length > SHOWN_FAULTS ? `; and ${faults.length - SHOWN_FAULTS} more` : "";
  throw fault(
    "bad-manifest",
    `${who}: not a valid manifest: ${faults.slice(0, SHOWN_FAULTS).join("; ")}${more}. Write it anew with \`doremi resample\``,
    who,
  );
}

/** Of what may be anything, in any depth. */
function versionText(version: unknown): string {
  return typeof version === "string"
    ? JSON.stringify(version.slice(0, 20))
    : typeof version === "object"
      ? "none"
      : String(version);
}

function fault(code: ErrorCode, message: string, file: string): DoremiError {
  return new DoremiError("bad-data", code, message, { file });
}
