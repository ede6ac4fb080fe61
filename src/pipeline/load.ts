/**
 * Reads a pipeline file: YAML to a checked Pipeline with absolute paths. Every fault names the file, the line, the rule
 * and the remedy.
 */
import { readFile } from "node:fs/promises";
import { basename, dirname, isAbsolute, resolve } from "node:path";
import { LineCounter, parseDocument } from "yaml";
import type { z } from "zod";
import { DoremiError } from "../lib/errors.ts";
import { didYouMean } from "../lib/nearest.ts";
import { describeFault, type SettingFault } from "../trainer/settings.ts";
import { type PipelineFile, pipelineSchema } from "./schema.ts";
import { flattenIssues, type Issue, ruleOf } from "./schema-issues.ts";

export interface Pipeline {
  /** absolute path of the pipeline file; undefined for one made in memory */
  readonly path: string | undefined;
  /** folder that relative paths start from */
  readonly base: string;
  /** absolute path of the output folder */
  readonly output: string;
  readonly config: PipelineFile;
}

/** @param overrides `output` replaces the file's, relative to the current folder */
export async function loadPipeline(path: string, overrides: { output?: string } = {}): Promise<Pipeline> {
  const absolute = resolve(path);
  let text: string;
  try {
    text = await readFile(absolute, "utf8");
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    if (code === "EISDIR") {
      throw new DoremiError(
        "usage",
        "not-a-file",
        `${path}: is a folder; name a pipeline file, such as pipelines/quickstart.yaml`,
        { file: path },
      );
    }
    throw error;
  }
  const config = parsePipeline(text, path);
  return pipelineFrom(config, { path: absolute, base: dirname(absolute), ...overrides });
}

/** A pipeline from an object, as the library API takes it. */
export function definePipeline(
  value: z.input<typeof pipelineSchema>,
  options: { base?: string; output?: string } = {},
): Pipeline {
  const result = pipelineSchema.safeParse(value);
  if (!result.success) throw describeIssues(result.error.issues, "the pipeline", value, () => undefined);
  return pipelineFrom(result.data, { path: undefined, base: options.base ?? process.cwd(), ...options });
}

function pipelineFrom(config: PipelineFile, at: { path: string | undefined; base: string; output?: string }): Pipeline {
  const output = at.output === undefined ? resolve(at.base, config.output) : resolve(at.output);
  return { path: at.path, base: at.base, output, config };
}

/** @param file name for messages */
export function parsePipeline(text: string, file: string): PipelineFile {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, uniqueKeys: true });
  const fault = document.errors[0];
  if (fault) {
    const line = lines.linePos(fault.pos[0]).line;
    const message = fault.message.split("\n")[0]!.replace(/ at line \d+, column \d+:?$/, "");
    throw new DoremiError("bad-configuration", "bad-yaml", `${file}:${line}: must be valid YAML: ${message}`, {
      file,
      line,
    });
  }
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    throw new DoremiError(
      "bad-configuration",
      "bad-yaml",
      `${file}: ${error instanceof Error ? error.message : String(error)}`,
      { file },
    );
  }
  if (value === null || typeof value !== "object" || Array.isArray(value)) {
    throw new DoremiError(
      "bad-configuration",
      "bad-yaml",
      `${file}: must hold a table of settings (version: 1, name: …, …)`,
      { file, line: 1 },
    );
  }
  const result = pipelineSchema.safeParse(value);
  if (result.success) return result.data;
  throw describeIssues(result.error.issues, file, value, (path) => {
    for (let length = path.length; length > 0; length--) {
      const node = document.getIn(path.slice(0, length), true);
      const range =
        node !== null && typeof node === "object" && "range" in node ? (node.range as [number] | null) : null;
      if (range) return keyLine(document, lines, path.slice(0, length)) ?? lines.linePos(range[0]).line;
    }
    return undefined;
  });
}

/** Line of the key itself, which for a nested table is above the line of its value. */
function keyLine(
  document: ReturnType<typeof parseDocument>,
  lines: LineCounter,
  path: readonly PropertyKey[],
): number | undefined {
  const parent = path.length === 1 ? document.contents : document.getIn(path.slice(0, -1), true);
  if (parent === null || typeof parent !== "object" || !("items" in parent)) return undefined;
  for (const item of parent.items as { key?: { value?: unknown; range?: [number] } }[]) {
    if (item.key?.value === path.at(-1) && item.key?.range) return lines.linePos(item.key.range[0]).line;
  }
  return undefined;
}

function describeIssues(
  issues: readonly Issue[],
  file: string,
  value: unknown,
  lineOf: (path: readonly PropertyKey[]) => number | undefined,
): DoremiError {
  const flat = flattenIssues(issues, value);
  // An unknown key is the likeliest cause of whatever else is missing.
  const first = flat.find((issue) => issue.code === "unrecognized_keys") ?? flat[0]!;
  const path = first.code === "unrecognized_keys" ? [...first.path, first.keys[0]!] : first.path;
  const line = lineOf(path);
  const where = line === undefined ? file : `${file}:${line}`;
  const rest = issues.length > 1 ? ` (and ${issues.length - 1} more)` : "";
  const key = path.map(String).join(".");
  const place = line === undefined ? { file } : { file, line };
  if (first.code === "unrecognized_keys") {
    const known = knownKeys(first.path, value).filter((known) => known !== path.at(-1));
    const hint =
      didYouMean(String(path.at(-1)), known) || (known.length > 0 ? `; known here: ${known.join(", ")}` : "");
    return new DoremiError("bad-configuration", "unknown-key", `${where}: unknown key “${key}”${hint}${rest}`, place);
  }
  if (first.code === "custom" && first.params) {
    // A rule over settings some of which have defaults, so that what it found need not stand in the file.
    const fault = describeFault(first.params as unknown as SettingFault);
    return new DoremiError("bad-configuration", "bad-setting", `${where}: “${key}” ${fault}${rest}`, place);
  }
  const found = path.reduce<unknown>((at, part) => (at as Record<PropertyKey, unknown> | undefined)?.[part], value);
  const seen = found === undefined ? "nothing" : JSON.stringify(found);
  const message =
    first.code === "invalid_type" && found === undefined
      ? `needs “${key}”: it ${ruleOf(first)}`
      : `“${key}” ${ruleOf(first)}, found ${seen}`;
  return new DoremiError("bad-configuration", "bad-setting", `${where}: ${message}${rest}`, place);
}

/** The keys that the schema knows at a path; of tables that are of one kind or another, those of the value's kind. */
function knownKeys(path: readonly PropertyKey[], value: unknown): string[] {
  let at: unknown = pipelineSchema;
  let found = value;
  for (const part of path) {
    at = child(unwrap(at), part);
    found = (found as Record<PropertyKey, unknown> | undefined)?.[part];
  }
  return keysOf(at, found);
}

function keysOf(given: unknown, found: unknown): string[] {
  const schema = unwrap(given) as TableSchema | undefined;
  if (schema?.shape) return Object.keys(schema.shape);
  const kind = schema?.def?.discriminator;
  return (schema?.options ?? []).flatMap((option) => {
    if (kind === undefined) return keysOf(option, found);
    const named = (unwrap(option) as TableSchema | undefined)?.shape?.[kind];
    const other = named && !named.safeParse((found as Record<string, unknown>)?.[kind]).success;
    return other ? [] : keysOf(option, found);
  });
}

interface TableSchema {
  readonly shape?: Readonly<Record<string, z.ZodType>>;
  readonly options?: readonly unknown[];
  readonly def?: { readonly discriminator?: string };
}

/** Of tables that are of one kind or another, the one that knows the key. */
function child(schema: unknown, part: PropertyKey): unknown {
  const node = schema as { shape?: Record<PropertyKey, unknown>; element?: unknown; options?: unknown[] };
  const own = node?.shape?.[part] ?? node?.element;
  if (own !== undefined) return own;
  for (const option of node?.options ?? []) {
    const found = child(unwrap(option), part);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Through defaults, optionals and pipes to the schema beneath. */
function unwrap(schema: unknown): unknown {
  let at = schema as { def?: { innerType?: unknown; in?: unknown } } | undefined;
  while (at?.def?.innerType ?? at?.def?.in) at = (at.def?.innerType ?? at.def?.in) as typeof at;
  return at;
}

/** A path as written in the pipeline file, made absolute. */
export function fromBase(pipeline: Pick<Pipeline, "base">, path: string): string {
  return isAbsolute(path) ? path : resolve(pipeline.base, path);
}

/** Name for messages. */
export function pipelineLabel(pipeline: Pipeline): string {
  return pipeline.path === undefined ? pipeline.config.name : basename(pipeline.path);
}
