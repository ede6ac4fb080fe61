/** Options that several commands share, and the checks of their values. Wrong values are usage errors. */
import { type Command, InvalidArgumentError, Option } from "commander";
import type { Pipeline } from "../pipeline/load.ts";
import type { LogFormat } from "./progress/contract.ts";
import type { CommonOptions } from "./session.ts";

/** Stages in their order; a list of its own because loading the pipeline's would load every stage. */
export const STAGES = ["discover", "count", "tokenize", "reference", "proxy", "resample"] as const;

/** Options of a command that runs stages of a pipeline file. */
export interface RunningOptions extends CommonOptions {
  readonly output?: string;
  readonly workers?: number;
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
    command
      .option("-o, --output <folder>", "folder of the results, in place of the pipeline file's")
      .option("-w, --workers <n>", "worker threads (default: the pipeline file's, or all cores)", positiveInteger),
  );
}

export async function openPipeline(path: string, options: RunningOptions): Promise<Pipeline> {
  const { loadPipeline } = await import("../pipeline/load.ts");
  const pipeline = await loadPipeline(path, { ...(options.output !== undefined && { output: options.output }) });
  return options.workers === undefined
    ? pipeline
    : { ...pipeline, config: { ...pipeline.config, workers: options.workers } };
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

/** The example that ends a command's help. */
export function addExample(command: Command, ...lines: readonly string[]): Command {
  return command.addHelpText("after", `\nExample:\n${lines.map((line) => `  $ ${line}`).join("\n")}\n`);
}
