/**
 * Reads a pipeline file: YAML to a checked Pipeline with absolute paths. Every fault names the file, the line, the rule
 * and the remedy.
 */
import { readFile } from "node:fs/promises";
import { basename, dirname, isAbsolute, resolve } from "node:path";
import { LineCounter, parseDocument } from "yaml";
import type { z } from "zod";
import type { ErrorCode } from "../lib/error-codes.ts";
import { DoremiError, explainSystemError } from "../lib/errors.ts";
import { didYouMean } from "../lib/nearest.ts";
import { isRemote, resolveLocation } from "../storage/location.ts";
import { describeFault, type SettingFault, shownValue } from "../trainer/settings.ts";
import { outputUri, workFolderOf } from "./publish.ts";
import { type PipelineFile, pipelineSchema } from "./schema.ts";
import { flattenIssues, type Issue, ruleOf, wordsOf } from "./schema-issues.ts";

export interface Pipeline {
  /** absolute path of the pipeline file; undefined for one made in memory */
  readonly path: string | undefined;
  /** folder that relative paths start from */
  readonly base: string;
  /** absolute path of the output folder, or of the folder that is worked in where results go to `publish` */
  readonly output: string;
  /** URI that results are put under, without a slash at its end; undefined where they stay in `output` */
  readonly publish?: string;
  /** where a setting stands in the pipeline file, or the table that it is left out of; undefined for one made in memory */
  readonly placeOf: (setting: string) => SettingPlace | undefined;
  readonly config: PipelineFile;
}

export interface SettingPlace {
  /** as the user named it */
  readonly file: string;
  readonly line: number;
}

/** @param overrides `base`, absolute, is what relative paths start from in place of the file's folder */
export async function loadPipeline(path: string, overrides: LoadOptions = {}): Promise<Pipeline> {
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
  const { config, lineOf } = readPipeline(text, path);
  const placeOf = (setting: string): SettingPlace => ({ file: path, line: lineOf(setting.split(".")) ?? 1 });
  return pipelineFrom(config, { path: absolute, base: dirname(absolute), placeOf, ...overrides });
}

/** A pipeline from an object, as the library API takes it. */
export function definePipeline(value: z.input<typeof pipelineSchema>, options: LoadOptions = {}): Pipeline {
  const result = pipelineSchema.safeParse(value);
  if (!result.success) throw describeIssues(result.error.issues, "the pipeline", value, () => undefined);
  const at = { path: undefined, base: options.base ?? process.cwd(), placeOf: () => undefined };
  return pipelineFrom(result.data, { ...at, ...options });
}

function pipelineFrom(
  config: PipelineFile,
  { path, base, placeOf, output, workDir, plugins = true }: Pick<Pipeline, "path" | "base" | "placeOf"> & LoadOptions,
): Pipeline {
  const wanted = output === undefined ? resolveLocation(base, config.output) : resolveLocation(process.cwd(), output);
  const common = { path, base, placeOf, config };
  if (!plugins) refusePlugins(common);
  if (!isRemote(wanted)) return { ...common, output: wanted };
  const publish = outputUri(wanted);
  return { ...common, output: workDir === undefined ? workFolderOf(publish) : resolve(workDir), publish };
}

/** Every setting that names a module which would be run. */
function refusePlugins(pipeline: Pick<Pipeline, "placeOf" | "config">): void {
  const { data, stages } = pipeline.config;
  const refuse = (setting: string, module: string) => {
    const message = `“${setting}” names the module ${module}, which is code, and plug-ins are refused (--no-plugins, or plugins: false); if you trust it, allow them`;
    return atSetting(pipeline, setting, new DoremiError("bad-configuration", "plugins-refused", message));
  };
  if (data.transform) throw refuse("data.transform", data.transform.module);
  if (stages[0]) throw refuse("stages", stages[0].module);
}

export interface LoadOptions extends OutputOptions {
  /** absolute; what relative paths start from in place of the file's folder */
  readonly base?: string;
  /** false refuses a pipeline that names code of its own: a transform or stages. Default: true */
  readonly plugins?: boolean;
}

export interface OutputOptions {
  /** folder or URI in place of the pipeline's, relative to the current folder */
  readonly output?: string;
  /** folder to work in where the output is a URI; default: one of the user's cache, of every URI its own */
  readonly workDir?: string;
}

/** A failure of what a setting asks for, with the place of the setting; any other error as it is. */
export function atSetting({ placeOf }: Pick<Pipeline, "placeOf">, setting: string, error: unknown): unknown {
  const explained = explainSystemError(error, setting);
  const place = placeOf(setting);
  if (!(explained instanceof DoremiError) || explained.kind === "internal" || !place) return explained;
  const { kind, code, message, file = place.file, cause } = explained;
  const key = message.includes(setting) ? "" : `“${setting}”: `;
  const at = { file, ...(file === place.file && { line: place.line }), cause };
  return new DoremiError(kind, code, `${place.file}:${place.line}: ${key}${message}`, at);
}

type LineOf = (path: readonly PropertyKey[]) => number | undefined;

/** @param file name for messages */
export function parsePipeline(text: string, file: string): PipelineFile {
  return readPipeline(text, file).config;
}

function readPipeline(text: string, file: string): { readonly config: PipelineFile; readonly lineOf: LineOf } {
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
  const lineOf: LineOf = (path) => {
    for (let length = path.length; length > 0; length--) {
      const node = document.getIn(path.slice(0, length), true);
      const range =
        node !== null && typeof node === "object" && "range" in node ? (node.range as [number] | null) : null;
      if (range) return keyLine(document, lines, path.slice(0, length)) ?? lines.linePos(range[0]).line;
    }
    return undefined;
  };
  const result = pipelineSchema.safeParse(value);
  if (result.success) return { config: result.data, lineOf };
  throw describeIssues(result.error.issues, file, value, lineOf);
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

/** Of more faults than these, most follow from the others. */
const MOST_FAULTS = 10;

interface DescribedIssue {
  readonly code: ErrorCode;
  readonly message: string;
  readonly line: number | undefined;
}

/** All that is wrong in the file, a line each. */
function describeIssues(issues: readonly Issue[], file: string, value: unknown, lineOf: LineOf): DoremiError {
  const flat = flattenIssues(issues, value);
  // An unknown key is the likeliest cause of whatever else is missing.
  const isUnknown = (issue: Issue) => issue.code === "unrecognized_keys";
  const ordered = [...flat.filter(isUnknown), ...flat.filter((issue) => !isUnknown(issue))];
  const faults = ordered
    .flatMap((issue) => describeIssue(issue, value))
    .map(({ path, ...fault }): DescribedIssue => {
      const line = lineOf(path);
      return { ...fault, message: `${line === undefined ? file : `${file}:${line}`}: ${fault.message}`, line };
    });
  const [first] = faults;
  const messages = [...new Set(faults.map(({ message }) => message))];
  const shown = messages.slice(0, MOST_FAULTS);
  const rest = messages.length > shown.length ? [`and ${messages.length - shown.length} more`] : [];
  const place = first!.line === undefined ? { file } : { file, line: first!.line };
  return new DoremiError("bad-configuration", first!.code, [...shown, ...rest].join("\n"), place);
}

function describeIssue(
  issue: Issue,
  value: unknown,
): { readonly code: ErrorCode; readonly message: string; readonly path: readonly PropertyKey[] }[] {
  const { path } = issue;
  if (issue.code === "unrecognized_keys") {
    const known = knownKeys(path, value).filter((key) => !issue.keys.includes(key));
    return issue.keys.map((key) => {
      const hint = didYouMean(key, known) || (known.length > 0 ? `; known here: ${known.join(", ")}` : "");
      const message = `unknown key “${[...path, key].map(String).join(".")}”${hint}`;
      return { code: "unknown-key", message, path: [...path, key] };
    });
  }
  const key = path.map(String).join(".");
  if (issue.code === "custom" && issue.params) {
    // A rule over settings some of which have defaults, so that what it found need not stand in the file.
    const fault = describeFault(issue.params as unknown as SettingFault);
    return [{ code: "bad-setting", message: `“${key}” ${fault}`, path }];
  }
  const found = path.reduce<unknown>((at, part) => (at as Record<PropertyKey, unknown> | undefined)?.[part], value);
  const hint = typeof found === "string" ? didYouMean(found, wordsOf(issue)) : "";
  const message =
    issue.code === "invalid_type" && found === undefined
      ? `needs “${key}”: it ${ruleOf(issue)}`
      : `“${key}” ${ruleOf(issue)}, found ${shownValue(found) ?? "nothing"}${hint}`;
  return [{ code: "bad-setting", message, path }];
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
