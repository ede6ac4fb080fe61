/** `doremi resample`: the manifest of a pipeline, with weights, budget or caps other than the pipeline file's. */
import { resolve } from "node:path";
import { Command, Option } from "commander";
import type { Pipeline } from "../../pipeline/load.ts";
import {
  addExample,
  addRunningOptions,
  openPipeline,
  positiveNumber,
  type RunningOptions,
  share,
  tokenBudget,
  weightUnit,
} from "../options.ts";
import { Session, type SetStatus } from "../session.ts";

type Settings = Pipeline["config"]["resample"];

interface ResampleOptions extends RunningOptions {
  readonly weights?: string;
  readonly unit?: Settings["unit"];
  readonly budget?: number | "auto";
  readonly maxEpochs?: number;
  readonly minShare?: number;
  readonly granularity?: Settings["granularity"];
  readonly order?: Settings["order"];
  readonly shuffle?: NonNullable<Settings["shuffle"]>;
}

/** Where each domain has a cap of its own: as the pipeline file's unimax. */
const UNIMAX_EPOCHS = 4;

export function resampleCommand(setStatus: SetStatus): Command {
  const command = new Command("resample")
    .description("Write the manifest of a pipeline anew. With --weights nothing is trained.")
    .argument("<pipeline.yaml>", "the pipeline file")
    .option("--weights <file>", "JSON of { domain: weight }, or natural, uniform, unimax, learned")
    .option("--unit <unit>", "what given weights are shares of: tokens, documents or sequences:N", weightUnit)
    .option("--budget <tokens>", "tokens of the resampled set: a number, 300M, 1.5B, or auto", tokenBudget)
    .option("--max-epochs <x>", "how often a domain may be repeated", positiveNumber)
    .option("--min-share <share>", "of the budget, for every domain with weight: 2% or 0.02", share)
    .addOption(new Option("--granularity <unit>", "what is chosen whole").choices(["document", "row-group", "shard"]))
    .addOption(
      new Option("--order <order>", "domains interleaved in proportion, or one after the other").choices([
        "mixed",
        "domain",
      ]),
    )
    .addOption(
      new Option("--shuffle <unit>", "what is moved whole inside an epoch (default: as --granularity)").choices([
        "document",
        "row-group",
        "shard",
        "none",
      ]),
    );
  addRunningOptions(command);
  addExample(
    command,
    "doremi resample pipelines/quickstart.yaml --weights runs/quickstart/proxy/weights.json --budget 2M",
    "doremi resample mine.yaml --weights shares.json --unit documents --min-share 2%",
    "doremi resample pipelines/quickstart.yaml --weights uniform --granularity row-group --order domain",
  );
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

/** The pipeline with the settings of the command line; a weights file is relative to the current folder. */
export function overrideResample(pipeline: Pipeline, options: ResampleOptions): Pipeline {
  const { weights, budget, unit, maxEpochs, minShare, granularity, order, shuffle } = options;
  const before = pipeline.config.resample;
  const resample = {
    ...before,
    ...(weights !== undefined && { weights: weightsSetting(weights, maxEpochs ?? before.maxEpochs) }),
    ...(unit !== undefined && { unit }),
    ...(budget !== undefined && { budgetTokens: budget }),
    ...(maxEpochs !== undefined && { maxEpochs }),
    ...(minShare !== undefined && { minShare }),
    ...(granularity !== undefined && { granularity }),
    ...(order !== undefined && { order }),
    ...(shuffle !== undefined && { shuffle }),
  };
  return { ...pipeline, config: { ...pipeline.config, resample } };
}

/** @param caps those of the set, which unimax spreads its weights within */
function weightsSetting(weights: string, caps: Settings["maxEpochs"]): Settings["weights"] {
  if (weights === "natural" || weights === "uniform" || weights === "learned") return weights;
  if (weights !== "unimax") return resolve(weights);
  return { unimax: { maxEpochs: typeof caps === "number" ? caps : UNIMAX_EPOCHS } };
}
