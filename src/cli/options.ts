/** Options that several commands share, and the checks of their values. Wrong values are usage errors. */
import { resolve } from "node:path";
import { type Command, InvalidArgumentError, Option } from "commander";
import { parseBytes } from "../lib/byte-size.ts";
import type { LoadOptions, Pipeline } from "../pipeline/load.ts";
import type { LogFormat } from "./progress/contract.ts";
import type { CommonOptions } from "./session.ts";

/** Stages in their order; a list of its own because loading the pipeline's would load every stage. */
export const STAGES = ["discover", "count", "tokenize", "reference", "proxy", "resample"] as const;

/** Options of a command that runs stages of a pipeline file. */
export interface RunningOptions extends CommonOptions {
  readonly output?: string;
  readonly workDir?: string;
  readonly workers?: number;
  readonly maxMemory?: string;
  /** false: --no-cache */
  readonly cache?: string | false;
  /** of the jobs of a cluster, which read a copy of the pipeline file */
  readonly base?: string;
  /** false: --no-plugins */
  readonly plugins?: boolean;
}

export function addCommonOptions(command: Command): Command {
  return command
    .addOption(
      new Option(
        "--log-format <format>",
        "of stderr: text for a person, json for a log (default: text at a terminal)",
      ).choices(["text", "json"] satisfies LogFormat[]),
    )
    .option("--debug", "show where in the program an error came from (or DOREMI_DEBUG=1)");
}

export function addRunningOptions(command: Command): Command {
  return addCommonOptions(
    addPluginsOption(command)
      .option("-o, --output <folder>", "folder or URI of the results, in place of the pipeline file's")
      .option("--work-dir <folder>", "where to work when the results go to a URI (default: in the user's cache)")
      .option("-w, --workers <n>", "worker threads (default: the pipeline file's, or all cores)", positiveInteger)
      .option("--max-memory <size>", "of the shards in flight, such as 2GB (default: the pipeline file's)", byteSize)
      .option("--cache <folder>", "folder of counts that runs share (default: .doremi-cache beside the output)")
      .option("--no-cache", "count everything anew that the output folder does not hold")
      .addOption(new Option("--base <folder>", "that the pipeline file's relative paths start from").hideHelp()),
  );
}

/** Options of a command that trains models of a pipeline. */
export interface TrainingOptions extends RunningOptions {
  readonly tensorboard?: boolean;
}

export function addTrainingOptions(command: Command): Command {
  return addRunningOptions(command).option(
    "--tensorboard",
    "write event files for TensorBoard while the models train, into tensorboard in the output folder",
  );
}

/** The settings of a pipeline that these options replace; a folder is relative to the current one. */
export function overriddenSettings({ workers, maxMemory, cache }: RunningOptions) {
  return {
    ...(workers !== undefined && { workers }),
    ...(maxMemory !== undefined && { memory: maxMemory }),
    ...(cache !== undefined && { cache: cache === false ? cache : resolve(cache) }),
  };
}

/** The same options for a job that reads the pipeline file elsewhere; how many workers it has is the cluster's to say. */
export function handedOnOptions({ maxMemory, cache, plugins }: RunningOptions): string[] {
  return [
    ...(maxMemory === undefined ? [] : ["--max-memory", maxMemory]),
    ...(cache === undefined ? [] : cache === false ? ["--no-cache"] : ["--cache", resolve(cache)]),
    ...(plugins === false ? ["--no-plugins"] : []),
  ];
}

/** How a pipeline file is loaded. */
export function loadOptions({
  output,
  workDir,
  base,
  plugins,
}: Pick<RunningOptions, "output" | "workDir" | "base" | "plugins">): LoadOptions {
  return {
    ...(output !== undefined && { output }),
    ...(workDir !== undefined && { workDir }),
    ...(base !== undefined && { base: resolve(base) }),
    ...(plugins !== undefined && { plugins }),
  };
}

/** For every command that loads a pipeline file. */
export function addPluginsOption(command: Command): Command {
  return command.option("--no-plugins", "refuse a pipeline file that names code: a transform or stages of its own");
}

export async function openPipeline(path: string, options: RunningOptions): Promise<Pipeline> {
  const { loadPipeline } = await import("../pipeline/load.ts");
  const pipeline = await loadPipeline(path, loadOptions(options));
  return { ...pipeline, config: { ...pipeline.config, ...overriddenSettings(options) } };
}

/** 2GB, 512 MiB, 1000000: as the setting `memory` of a pipeline file takes it. */
export function byteSize(text: string): string {
  if (!(parseBytes(text) > 0)) {
    throw new InvalidArgumentError("It must be a size above 0, such as 512MB or 2GiB.");
  }
  return text;
}

/** A fraction of the whole: 1%, 0.5 % or 0.01. */
export function fractionOfAll(text: string): number {
  const value = parseShare(text);
  if (!(value > 0)) {
    throw new InvalidArgumentError("It must be a part of the corpus, such as 1% or 0.01.");
  }
  return value;
}

/** A share of a budget, none and all of it too: 2%, 0.02 or 0. */
export function share(text: string): number {
  const value = parseShare(text);
  if (Number.isNaN(value)) throw new InvalidArgumentError("It must be a share from 0 to 1, such as 2% or 0.02.");
  return value;
}

/** 2%, 0.5 % or 0.01: from 0 to 1; NaN where it is no share. */
export function parseShare(text: string): number {
  const match = /^(\d+(?:\.\d+)?|\.\d+) ?(%?)$/.exec(text);
  const value = match ? Number(match[2] ? `${match[1]}e-2` : match[1]) : Number.NaN;
  return value <= 1 ? value : Number.NaN;
}

/** What weights are by: tokens, documents or sequences:2048. */
export function weightUnit(text: string): "tokens" | "documents" | { sequences: number } {
  if (text === "tokens" || text === "documents") return text;
  const length = /^sequences:(\d+)$/.exec(text)?.[1];
  if (length === undefined || !Number.isSafeInteger(Number(length)) || Number(length) < 1) {
    throw new InvalidArgumentError("It must be tokens, documents or sequences:N, such as sequences:2048.");
  }
  return { sequences: Number(length) };
}

export function positiveInteger(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value) || value < 1) {
    throw new InvalidArgumentError("It must be a whole number from 1 up.");
  }
  return value;
}

export function positiveNumber(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value) || value <= 0)
    throw new InvalidArgumentError("It must be a number above 0.");
  return value;
}

const MULTIPLES: Readonly<Record<string, number>> = { "": 1, k: 1e3, m: 1e6, b: 1e9, g: 1e9, t: 1e12 };

/** A number of tokens: 300000000, 300_000_000, 3e8, 300M, 0.3B; or auto. */
export function tokenBudget(text: string): number | "auto" {
  if (text === "auto") return text;
  const match = /^(\d+(?:\.\d+)?(?:e\+?\d+)?)([kmbgt]?)$/i.exec(text.replace(/[_,](?=\d{3})/g, ""));
  const value = match ? Math.round(Number(match[1]) * MULTIPLES[match[2]!.toLowerCase()]!) : Number.NaN;
  if (!Number.isSafeInteger(value) || value < 1) {
    throw new InvalidArgumentError("It must be auto or a number of tokens, such as 300000000, 3e8, 300M or 1.5B.");
  }
  return value;
}

/** The example that ends a command's help. A line that begins with spaces goes on with the one before. */
export function addExample(command: Command, ...lines: readonly string[]): Command {
  return command.addHelpText(
    "after",
    `\nExample:\n${lines.map((line) => (line.startsWith(" ") ? `    ${line}` : `  $ ${line}`)).join("\n")}\n`,
  );
}
