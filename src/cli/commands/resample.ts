/** `doremi resample`: the manifest of a pipeline, with weights, budget or caps other than the pipeline file's. */
import { resolve } from "node:path";
import { Command } from "commander";
import type { Pipeline } from "../../pipeline/load.ts";
import {
  addExample,
  addRunningOptions,
  openPipeline,
  positiveNumber,
  type RunningOptions,
  tokenBudget,
} from "../options.ts";
import { Session, type SetStatus } from "../session.ts";

interface ResampleOptions extends RunningOptions {
  readonly weights?: string;
  readonly budget?: number | "auto";
  readonly maxEpochs?: number;
}

export function resampleCommand(setStatus: SetStatus): Command {
  const command = new Command("resample")
    .description("Write the manifest of a pipeline anew. With --weights nothing is trained.")
    .argument("<pipeline.yaml>", "the pipeline file")
    .option("--weights <file>", "JSON of { domain: weight }, or natural, uniform, learned")
    .option("--budget <tokens>", "tokens of the resampled set: a number, 300M, 1.5B, or auto", tokenBudget)
    .option("--max-epochs <x>", "how often a domain may be repeated", positiveNumber);
  addRunningOptions(command);
  addExample(command, "doremi resample pipelines/quickstart.yaml --weights weights.json --budget 300M --max-epochs 4");
  return command.action(async (path: string, options: ResampleOptions) => {
    const session = new Session("resample", options);
    const status = await session.finish(async () => {
      const pipeline = overrideResample(await openPipeline(path, options), options);
      const { runAndSummarise } = await import("../running.ts");
      return { result: await runAndSummarise(session, pipeline, "resample") };
    });
    setStatus(status);
  });
}

const WORDS: ReadonlySet<string> = new Set(["natural", "uniform", "learned"]);

/** The pipeline with the settings of the command line; a weights file is relative to the current folder. */
export function overrideResample(pipeline: Pipeline, { weights, budget, maxEpochs }: ResampleOptions): Pipeline {
  const resample = {
    ...pipeline.config.resample,
    ...(weights !== undefined && { weights: WORDS.has(weights) ? weights : resolve(weights) }),
    ...(budget !== undefined && { budgetTokens: budget }),
    ...(maxEpochs !== undefined && { maxEpochs }),
  };
  return { ...pipeline, config: { ...pipeline.config, resample } };
}
