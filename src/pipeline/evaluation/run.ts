/** Runs an evaluation: as a pipeline is run, in the same folder, so that what was counted and learned there is used. */
import { join } from "node:path";
import { explainSystemError } from "../../lib/errors.ts";
import type { CountOutput } from "../../stages/count/contract.ts";
import type { EvaluateOutput } from "../../stages/evaluate/contract.ts";
import { EVALUATION, EVALUATION_TABLE, EVALUATION_TEXT } from "../../stages/evaluate/run.ts";
import type { Pipeline } from "../load.ts";
import { modelOf, type RunOptions, type RunResult, runInFolder } from "../run.ts";
import { bindEvaluation, prepareEvaluation } from "./bindings.ts";

export interface EvaluationResult extends Pick<RunResult, "status" | "output" | "stages"> {
  readonly count: CountOutput;
  readonly evaluation: EvaluateOutput;
  /** absolute paths */
  readonly paths: { readonly evaluation: string; readonly text: string; readonly table: string };
}

/** @throws DoremiError */
export async function runEvaluation(
  pipeline: Pipeline,
  options: Pick<RunOptions, "signal" | "onEvent"> = {},
): Promise<EvaluationResult> {
  const { output } = pipeline;
  try {
    const evaluation = await prepareEvaluation(pipeline);
    const stages = bindEvaluation(evaluation);
    const { optimizer, batchSize, model } = evaluation.settings;
    const { train } = pipeline.config;
    const main = { train: { ...train, optimizer, batchSize }, model: modelOf(evaluation.prepared, model) };
    const { status, reports, outputs } = await runInFolder(pipeline, stages, options, { models: [main] });
    const path = (file: string) => join(output, "evaluate", file);
    return {
      status,
      output,
      stages: reports,
      count: outputs.count as CountOutput,
      evaluation: outputs.evaluate as EvaluateOutput,
      paths: { evaluation: path(EVALUATION), text: path(EVALUATION_TEXT), table: path(EVALUATION_TABLE) },
    };
  } catch (error) {
    throw explainSystemError(error, output);
  }
}
