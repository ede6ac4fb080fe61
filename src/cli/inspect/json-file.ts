/** JSON documents of ours, told apart by their keys. Users' JSON Lines are for json-lines.ts. */
import { open, readFile } from "node:fs/promises";
import { checkManifest } from "../../manifest/schema.ts";
import type { DoneMark } from "../../pipeline/output-folder.ts";
import { type CountOutput, countOutput } from "../../stages/count/contract.ts";
import { estimateOutput } from "../../stages/estimate/contract.ts";
import { evaluateOutput } from "../../stages/evaluate/contract.ts";
import { mixtureOutput } from "../../stages/mixture/contract.ts";
import { CHECKPOINT_FORMAT } from "../../trainer/checkpoint-files.ts";
import { countLines } from "../counting.ts";
import { estimateLines } from "../estimating.ts";
import { evaluationLines } from "../evaluation-text.ts";
import { formatBytes, formatInteger, plural } from "../numbers.ts";
import { formatPairs, formatTable } from "../table.ts";
import { type Inspection, SHOWN_ROWS } from "./contract.ts";
import { inspectManifest } from "./manifest.ts";
import { inspectRounds } from "./rounds.ts";

type Json = Readonly<Record<string, unknown>>;

/** A document beyond this is none of ours. */
const MAX_DOCUMENT_BYTES = 256 << 20;
/** Enough to see a first line of a JSON Lines file. */
const PEEK_BYTES = 1 << 20;

export interface JsonDocument {
  readonly value: Json;
  /** it may as well be a JSON Lines file of one row */
  readonly isOneLine: boolean;
}

/** The object that the whole file is; undefined where it is anything else, such as a line for each object. */
export async function readJsonDocument(path: string): Promise<JsonDocument | undefined> {
  const handle = await open(path, "r");
  try {
    const { size } = await handle.stat();
    const { buffer, bytesRead } = await handle.read(
      Buffer.alloc(Math.min(size, PEEK_BYTES)),
      0,
      Math.min(size, PEEK_BYTES),
      0,
    );
    const start = buffer
      .subarray(0, bytesRead)
      .toString("utf8")
      .replace(/^\uFEFF/, "")
      .trimStart();
    if (!start.startsWith("{") || size > MAX_DOCUMENT_BYTES) return undefined;
    const end = start.indexOf("\n");
    const isOneLine = end < 0 || start.slice(end).trim() === "";
    if (!isOneLine && parseObject(start.slice(0, end))) return undefined;
    const value = parseObject(bytesRead === size ? start : await readFile(path, "utf8"));
    return value && { value, isOneLine };
  } finally {
    await handle.close();
  }
}

function parseObject(text: string): Json | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return value !== null && typeof value === "object" && !Array.isArray(value) ? (value as Json) : undefined;
  } catch {
    return undefined;
  }
}

/** "model" for a model's config.json, whose tensors lie beside it; undefined where the document is none of ours. */
export async function inspectJson(path: string, document: Json): Promise<Inspection | "model" | undefined> {
  if (document.format === "doremi-manifest") return inspectManifest(checkManifest(document, path));
  if (document.format === "doremi-estimate") {
    const estimate = estimateOutput.safeParse(document);
    if (estimate.success)
      return { kind: "estimated token counts", facts: estimate.data, lines: estimateLines(estimate.data) };
  }
  if (document.format === "doremi-rounds") {
    const rounds = mixtureOutput.safeParse(document);
    if (rounds.success) return inspectRounds(rounds.data);
  }
  if (document.format === "doremi-evaluation") {
    const evaluation = evaluateOutput.safeParse(document);
    if (evaluation.success)
      return { kind: "evaluation of mixtures", facts: evaluation.data, lines: evaluationLines(evaluation.data) };
  }
  if (document.format === CHECKPOINT_FORMAT) return inspectCheckpoint(document);
  if (typeof document.stage === "string" && typeof document.key === "string" && Array.isArray(document.files)) {
    return inspectDone(document as unknown as DoneMark);
  }
  const counts = countOutput.safeParse(document);
  if (counts.success) return inspectCounts(counts.data);
  if (typeof document.doremi === "number" && typeof document.pipeline === "string") {
    return {
      kind: "mark of an output folder",
      facts: { pipeline: document.pipeline },
      lines: [`pipeline  ${document.pipeline}`],
    };
  }
  if (typeof document.model_type === "string") return "model";
  if (isTable(document.model) && "vocab" in document.model) return inspectTokenizer(document, document.model);
  const weights = isTable(document.train_domain_weights) ? document.train_domain_weights : document;
  const entries = Object.entries(weights);
  if (entries.length > 0 && entries.every(([, value]) => typeof value === "number"))
    return inspectWeights(weights as Record<string, number>);
  return undefined;
}

function inspectDone({ stage, key, output, files }: DoneMark): Inspection {
  return {
    kind: `done-mark of the stage ${stage}`,
    facts: { stage, key, files, output },
    lines: [
      ...formatPairs([
        ["stage", stage],
        ["key", key],
      ]),
      "",
      ...formatTable(
        [{ header: "file", align: "left" }, { header: "size" }, { header: "sha256", align: "left" }],
        files.slice(0, SHOWN_ROWS).map((file) => [file.path, formatBytes(file.size), file.sha256.slice(0, 16)]),
      ),
      ...(files.length > SHOWN_ROWS ? [`… and ${formatInteger(files.length - SHOWN_ROWS)} more`] : []),
    ],
  };
}

function inspectCounts(counts: CountOutput): Inspection {
  const { tokenizers, domains, shards, skipped, notes } = counts;
  return {
    kind: "token counts",
    facts: { tokenizers, domains, shards: shards.shards, skipped, notes },
    lines: [
      `${plural(shards.shards, "shard")}, ${formatInteger(shards.rows)} rows`,
      "",
      ...countLines(counts),
      ...notes.map((note) => `note: ${note}`),
    ],
  };
}

function inspectWeights(weights: Readonly<Record<string, number>>): Inspection {
  const entries = Object.entries(weights);
  const sum = entries.reduce((total, [, weight]) => total + weight, 0);
  return {
    kind: "domain weights",
    facts: { weights, sum },
    lines: formatTable(
      [{ header: "domain", align: "left" }, { header: "weight" }],
      entries.map(([name, weight]) => [name, weight.toFixed(6)]),
      [["sum", String(Number(sum.toPrecision(8)))]],
    ),
  };
}

function inspectCheckpoint({ step, state, configuration }: Json): Inspection {
  const pairs = (table: unknown): [string, string][] =>
    isTable(table) ? Object.entries(table).map(([key, value]) => [key, shortJson(value)]) : [];
  return {
    kind: "training checkpoint",
    facts: { step, state, configuration },
    lines: formatPairs([["step", String(step)], ...pairs(configuration), ...pairs(state)]),
  };
}

function inspectTokenizer(document: Json, model: Json): Inspection {
  const vocabulary = model.vocab as object;
  const facts = {
    model: model.type ?? null,
    vocabulary: Array.isArray(vocabulary) ? vocabulary.length : Object.keys(vocabulary).length,
    merges: Array.isArray(model.merges) ? model.merges.length : null,
    addedTokens: Array.isArray(document.added_tokens) ? document.added_tokens.length : 0,
    normalizer: typeOf(document.normalizer),
    preTokenizer: typeOf(document.pre_tokenizer),
  };
  return {
    kind: "Hugging Face tokenizer",
    facts,
    lines: formatPairs([
      ["model", String(facts.model ?? "unknown")],
      ["vocabulary", formatInteger(facts.vocabulary)],
      ["merges", facts.merges === null ? "none" : formatInteger(facts.merges)],
      ["added tokens", formatInteger(facts.addedTokens)],
      ["normalizer", facts.normalizer ?? "none"],
      ["pre-tokenizer", facts.preTokenizer ?? "none"],
    ]),
  };
}

function typeOf(value: unknown): string | null {
  return isTable(value) && typeof value.type === "string" ? value.type : null;
}

function isTable(value: unknown): value is Json {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}

function shortJson(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 100 ? `${text.slice(0, 99)}…` : text;
}
