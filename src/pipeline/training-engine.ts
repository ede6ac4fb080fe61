/**
 * Whether the engine that a pipeline names can train on this machine: asked before hours of counting are spent on a
 * training that could not begin.
 */
import { checkEngine } from "../engine/choose.ts";
import { toPlainError } from "../lib/errors.ts";
import { atSetting, type Pipeline } from "./load.ts";
import type { OutputFolder } from "./output-folder.ts";
import { type BoundStage, nameOf } from "./runner.ts";

/** Stages that need an engine. */
const TRAINING: ReadonlySet<string> = new Set(["reference", "proxy", "main"]);

/** Are any of the stages trainings, and none of them finished before? */
export async function beginsTraining(stages: readonly BoundStage[], folder: OutputFolder): Promise<boolean> {
  const training = stages.filter(({ stage }) => TRAINING.has(stage.name));
  const marks = await Promise.all(training.map((stage) => folder.done(nameOf(stage))));
  return training.length > 0 && marks.every((mark) => !mark);
}

/**
 * Where a training was finished before, nothing is asked: there may be nothing left to train, and what comes before it is
 * counted, so that the training itself says the same as soon.
 *
 * @throws DoremiError engine, precision
 */
export async function checkTrainingEngine(
  pipeline: Pipeline,
  stages: readonly BoundStage[],
  folder: OutputFolder,
): Promise<void> {
  if (!(await beginsTraining(stages, folder))) return;
  const { engine, precision } = pipeline.config.train;
  await checkEngine(engine, precision).catch((error: unknown) => {
    const { code } = toPlainError(error);
    throw atSetting(pipeline, code === "precision" ? "train.precision" : "train.engine", error);
  });
}

/** The same for a plan, which may be made on another machine than the one that trains: null where there is no fault. */
export async function trainingEngineFault(...of: Parameters<typeof checkTrainingEngine>): Promise<string | null> {
  try {
    await checkTrainingEngine(...of);
    return null;
  } catch (error) {
    const { code, message } = toPlainError(error);
    if (code !== "engine" && code !== "precision") throw error;
    return message;
  }
}
