/** `doremi evaluate`: main models on the baseline's and on the candidates' weights, and what the difference is worth. */
import { resolve } from "node:path";
import { Command } from "commander";
import { DoremiError } from "../../lib/errors.ts";
import { didYouMean } from "../../lib/nearest.ts";
import type { Pipeline } from "../../pipeline/load.ts";
import { addExample, addRunningOptions, openPipeline, positiveInteger, type RunningOptions } from "../options.ts";
import { Session, type SetStatus } from "../session.ts";

interface EvaluateOptions extends RunningOptions {
  readonly baseline?: string;
  readonly candidates?: readonly string[];
  readonly seeds?: number;
  readonly steps?: number;
  readonly batchSize?: number;
  readonly dryRun?: boolean;
}

export function evaluateCommand(setStatus: SetStatus): Command {
  const command = new Command("evaluate")
    .description(
      "Train main models on the learned weights and on others, at the same compute, and compare their held-out losses.",
    )
    .argument("<pipeline.yaml>", "the pipeline file; its section evaluate says what is compared")
    .option("--baseline <weights>", "natural, uniform, learned, or a weights.json (default: natural)")
    .option("--candidates <weights...>", "weights to compare with the baseline's (default: learned uniform)")
    .option("--seeds <n>", "trainings of each (default: 3)", positiveInteger)
    .option("--steps <n>", "of each main model (default: the proxy's)", positiveInteger)
    .option("--batch-size <n>", "sequences (default: train.batchSize)", positiveInteger)
    .option("--dry-run", "say how many trainings there are and how long they may take, and do nothing");
  addRunningOptions(command);
  addExample(
    command,
    "doremi evaluate pipelines/quickstart.yaml",
    "doremi evaluate mine.yaml --candidates learned uniform other.json --seeds 5 --dry-run",
  );
  return command.action(async (path: string, options: EvaluateOptions) => {
    const session = options.dryRun ? new Session("evaluate", options, "text") : new Session("evaluate", options);
    const status = await session.finish(async () => {
      const pipeline = overrideEvaluate(await openPipeline(path, options), options);
      const { evaluateAndSummarise, planAndSummarise } = await import("../evaluating.ts");
      return { result: await (options.dryRun ? planAndSummarise : evaluateAndSummarise)(session, pipeline) };
    });
    setStatus(status);
  });
}

const WORDS: readonly string[] = ["natural", "uniform", "learned"];

/** The pipeline with the settings of the command line; a weights file is relative to the current folder. */
export function overrideEvaluate(pipeline: Pipeline, options: EvaluateOptions): Pipeline {
  const { baseline, candidates, seeds, steps, batchSize } = options;
  const weights = (option: string) => (text: string) => {
    if (WORDS.includes(text)) return text as "natural";
    if (text.endsWith(".json")) return resolve(text) as "natural";
    throw new DoremiError(
      "usage",
      "evaluate-arguments",
      `${option} ${text}: must be ${WORDS.join(", ")} or a weights.json${didYouMean(text, WORDS)}`,
    );
  };
  const evaluate = {
    ...pipeline.config.evaluate,
    ...(baseline !== undefined && { baseline: weights("--baseline")(baseline) }),
    ...(candidates && { candidates: candidates.map(weights("--candidates")) }),
    ...(seeds !== undefined && { seeds }),
    ...(steps !== undefined && { steps }),
    ...(batchSize !== undefined && { batchSize }),
  };
  return { ...pipeline, config: { ...pipeline.config, evaluate } };
}
