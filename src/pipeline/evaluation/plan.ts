/** What an evaluation would do, as plain data: trainings, tokens, time. Writes nothing. */
import { availableParallelism } from "node:os";
import { availableMemory } from "../../lib/available-memory.ts";
import {
  type CompleteModel,
  completeModel,
  countParameters,
  forwardFlops,
  trainingFlops,
} from "../../trainer/model.ts";
import type { Pipeline } from "../load.ts";
import { OutputFolder } from "../output-folder.ts";
import { type PipelinePlan, type PlannedTraining, planPipeline, TRAIN_FLOPS_PER_SECOND } from "../plan.ts";
import type { PlannedStage } from "../plan-stages.ts";
import { isDone, nameOf } from "../runner.ts";
import { optimizerOf } from "../training-bindings.ts";
import { warningOf } from "../training-memory.ts";
import { bindEvaluation, prepareEvaluation, stagesBefore, TOKENIZE } from "./bindings.ts";
import { type EvaluationSettings, evaluationSettings } from "./settings.ts";

export interface EvaluationPlan {
  /** of what comes before the main models */
  readonly before: PipelinePlan;
  /** the first one is the baseline */
  readonly mixtures: readonly string[];
  readonly seeds: number;
  readonly model: CompleteModel;
  readonly parameters: number;
  /** of each main model; its FLOP with those of its looks at held-out losses */
  readonly training: PlannedTraining;
  /** of the main models, trained and to be trained; fewer where mixtures turn out to be the same */
  readonly trainings: number;
  /** stages after those before; empty while files are missing */
  readonly stages: readonly PlannedStage[];
  /** of all that is to do, as far as it can be said */
  readonly seconds: number | null;
  /** memory that there is not */
  readonly warnings: readonly string[];
}

export async function planEvaluation(pipeline: Pipeline): Promise<EvaluationPlan> {
  const settings = evaluationSettings(pipeline);
  const before = await planPipeline(pipeline, stagesBefore(settings));
  const { vocabularySize } = before.training.model;
  const model = completeModel({ ...settings.model, vocabularySize });
  const training = planTraining(settings, model, before.domains.length);
  const plan = {
    before,
    mixtures: settings.mixtures.map((mixture) => mixture.name),
    seeds: settings.seeds.length,
    model,
    parameters: countParameters(model).total,
    training,
    trainings: settings.mixtures.length * settings.seeds.length,
    warnings: memoryWarnings(pipeline, settings, model),
  };
  if (before.missing.length > 0) return { ...plan, stages: [], seconds: null };
  const threads = pipeline.config.train.threads ?? availableParallelism();
  const stages = await planStages(pipeline, before, Math.ceil(training.flops / (TRAIN_FLOPS_PER_SECOND * threads)));
  const seconds = stages.reduce((sum, stage) => sum + (stage.seconds ?? 0), before.seconds ?? 0);
  return { ...plan, stages, seconds };
}

function memoryWarnings({ config }: Pipeline, settings: EvaluationSettings, model: CompleteModel): string[] {
  const { engine, microBatch = settings.batchSize, recompute } = config.train;
  if (engine !== "cpu" && engine !== "auto") return [];
  const { batchSize } = settings;
  const training = { model, optimizer: optimizerOf(settings.optimizer, 0), batchSize, microBatch, recompute };
  return warningOf("a main model", training, availableMemory());
}

/** @param K domains */
function planTraining(settings: EvaluationSettings, model: CompleteModel, K: number): PlannedTraining {
  const { steps, batchSize, looks, evaluationSequences } = settings;
  const tokensPerStep = batchSize * model.sequenceLength;
  const looked = Math.floor((steps - 1) / looks.every) * looks.sequences + evaluationSequences;
  return {
    steps,
    tokens: steps * tokensPerStep,
    flops: steps * trainingFlops(model, tokensPerStep) + forwardFlops(model, K * looked * model.sequenceLength),
  };
}

/** @param seconds of one training */
async function planStages(pipeline: Pipeline, before: PipelinePlan, seconds: number): Promise<PlannedStage[]> {
  const folder = new OutputFolder(pipeline.output);
  const bound = bindEvaluation(await prepareEvaluation(pipeline));
  const own = bound.slice(bound.findIndex((stage) => nameOf(stage) === TOKENIZE));
  const outputs: Record<string, unknown> = {};
  for (const { name } of before.stages) outputs[name] = (await folder.done(name))?.output;
  let first = before.stages.find((stage) => stage.status !== "unchanged")?.name;
  const stages: PlannedStage[] = [];
  for (const stage of own) {
    const name = nameOf(stage);
    const trains = stage.stage.name === "main";
    // The main models wait for what is before them, and not for each other.
    const waits = first !== undefined && !(trains && first.startsWith("main-"));
    if (!waits && stage.skip?.(outputs)) continue;
    const kept = waits ? undefined : await isDone(stage, outputs, folder);
    if (kept?.done) {
      outputs[name] = kept.output;
      stages.push({ name, status: "unchanged", why: "done with these settings and inputs", seconds: null });
      continue;
    }
    const why = waits ? `${first} comes first` : "not done with these settings and inputs";
    stages.push({ name, status: "to do", why, seconds: trains ? seconds : 0 });
    first ??= name;
  }
  return stages;
}
