/** Runs a pipeline, whole or up to a stage: folder, lock, pool, signals around the runner. */
import { availableParallelism } from "node:os";
import { dirname, join } from "node:path";
import { parseBytes } from "../lib/byte-size.ts";
import { explainSystemError } from "../lib/errors.ts";
import type { CountOutput } from "../stages/count/contract.ts";
import type { EstimateOutput } from "../stages/estimate/contract.ts";
import type { MixtureOutput } from "../stages/mixture/contract.ts";
import { MIXTURE_WEIGHTS } from "../stages/mixture/run.ts";
import { WorkerPool } from "../stages/pool.ts";
import type { ProxyOutput } from "../stages/proxy/contract.ts";
import { WEIGHTS } from "../stages/proxy/run.ts";
import type { ReferenceOutput } from "../stages/reference/contract.ts";
import type { ResampleOutput } from "../stages/resample/contract.ts";
import type { StageEvent } from "../stages/stage.ts";
import { joinLocation } from "../storage/location.ts";
import type { ModelConfig } from "../trainer/contract.ts";
import { bindEstimate, bindStages, type StageName } from "./bindings.ts";
import { atSetting, fromBase, type Pipeline } from "./load.ts";
import { OutputFolder } from "./output-folder.ts";
import { type Prepared, prepare } from "./prepare.ts";
import { Publisher } from "./publish.ts";
import { instanceName, type Replicate, replicatesOf } from "./replicates.ts";
import { type BoundStage, nameOf, type Outputs, runStages, type StageReport } from "./runner.ts";
import { StatusWriter } from "./status.ts";
import { learnedOf } from "./training-bindings.ts";
import { beginsTraining, checkTrainingEngine } from "./training-engine.ts";
import { checkTrainingMemory } from "./training-memory.ts";

export interface RunOptions {
  /** last stage to run; default resample */
  readonly until?: StageName;
  /** count a random sample of this fraction of the corpus's units, in (0, 1], and nothing else */
  readonly sample?: number;
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: StageEvent) => void;
}

/** A training, as far as it came. */
export interface TrainingResult extends Replicate {
  readonly reference?: ReferenceOutput;
  readonly proxy?: ProxyOutput;
}

export interface RunResult {
  readonly status: "done" | "unchanged";
  /** absolute path of the output folder, or its URI */
  readonly output: string;
  readonly stages: readonly StageReport[];
  readonly count?: CountOutput;
  /** of a sampled count */
  readonly estimate?: EstimateOutput;
  /** of the first training */
  readonly reference?: ReferenceOutput;
  /** of the first training */
  readonly proxy?: ProxyOutput;
  /** every training that is done, in the order of rounds and seeds */
  readonly trainings: readonly TrainingResult[];
  /** what several trainings come to */
  readonly mixture?: MixtureOutput;
  /** learned domain weights: the proxy's, or of several trainings the mixture's */
  readonly weights?: Readonly<Record<string, number>>;
  readonly resample?: ResampleOutput;
  /** absolute paths, or URIs, of what a user wants to find */
  readonly paths: {
    readonly manifest?: string;
    readonly selection?: string;
    readonly weights?: string;
    readonly counts?: string;
  };
}

/** @throws DoremiError */
export async function runPipeline(pipeline: Pipeline, options: RunOptions = {}): Promise<RunResult> {
  try {
    return await run(pipeline, options);
  } catch (error) {
    throw explainSystemError(error, pipeline.output);
  }
}

async function run(pipeline: Pipeline, options: RunOptions): Promise<RunResult> {
  const prepared = await prepare(pipeline);
  const stages =
    options.sample === undefined ? bindStages(prepared, options.until) : bindEstimate(prepared, options.sample);
  const { train } = pipeline.config;
  const learns = stages.some(({ stage }) => stage.name === "proxy" || stage.name === "reference");
  const models = learns ? [{ train, model: modelOf(prepared, train.model) }] : [];
  const { reports, outputs, status } = await runInFolder(pipeline, stages, options, { models });
  return { status, output: pipeline.publish ?? pipeline.output, stages: reports, ...resultOf(pipeline, outputs) };
}

export interface ModelToTrain {
  readonly train: Parameters<typeof checkTrainingMemory>[0];
  readonly model: ModelConfig;
}

/** A model of a pipeline, as far as its vocabulary is known before anything is tokenized. */
export function modelOf(
  { pipeline, modelTokenizer }: Prepared,
  model: Pipeline["config"]["train"]["model"],
): ModelConfig {
  return { ...model, vocabularySize: pipeline.config.train.vocabulary === "full" ? modelTokenizer.vocabularySize : 1 };
}

/**
 * Runs stages in an output folder, which belongs to this run alone meanwhile.
 *
 * @param models that they train, which have to fit into memory
 * @param output in place of the pipeline's
 */
export async function runInFolder(
  pipeline: Pipeline,
  stages: readonly BoundStage[],
  options: Pick<RunOptions, "signal" | "onEvent">,
  {
    models = [],
    output = pipeline.output,
  }: { readonly models?: readonly ModelToTrain[]; readonly output?: string } = {},
): Promise<{ status: RunResult["status"]; reports: StageReport[]; outputs: Outputs }> {
  const { config } = pipeline;
  const folder = new OutputFolder(output);
  await checkTrainingEngine(pipeline, stages, folder);
  if (await beginsTraining(stages, folder)) {
    for (const { train, model } of models)
      await checkTrainingMemory(train, model).catch((error) => {
        throw atSetting(pipeline, "train", error);
      });
  }
  const publisher = pipeline.publish === undefined ? undefined : new Publisher(folder, pipeline.publish);
  const waits = isScheduled(process.env);
  const lock = await folder.open(config.name, { waits, ...(options.signal && { signal: options.signal }) });
  const written = await StatusWriter.start({
    output,
    pipeline: { name: config.name, path: pipeline.path ?? null },
    settings: config,
    stages: stages.map(nameOf),
  });
  const pool = new WorkerPool({
    ...(config.workers !== undefined && { workers: config.workers }),
    memoryBytes: parseBytes(config.memory),
  });
  try {
    const { reports, outputs } = await runStages(stages, {
      folder,
      pool,
      seed: config.seed,
      training: {
        engine: config.train.engine,
        threads: config.train.threads ?? availableParallelism(),
        checkpointEvery: config.train.checkpointEvery,
        keepCheckpoints: config.train.keepCheckpoints,
        microBatch: config.train.microBatch ?? null,
        recompute: config.train.recompute,
        referenceLosses: config.train.proxy.referenceLosses,
      },
      cache: cacheFolder(pipeline),
      signal: options.signal ? AbortSignal.any([options.signal, lock.lost]) : lock.lost,
      emit(event) {
        written.event(event);
        options.onEvent?.(event);
      },
      ...(publisher && { settled: (stage: string) => publisher.publish(stage) }),
    });
    const isSame = reports.every((report) => report.status === "unchanged") && !publisher?.changes;
    const status = isSame ? "unchanged" : "done";
    await written.end({ status });
    return { status, reports, outputs };
  } catch (error) {
    if (lock.lost.aborted) {
      written.abandon();
      throw lock.lost.reason;
    }
    await written.end({ failure: error });
    throw error;
  } finally {
    await pool.close();
    await lock.release();
  }
}

/** Is this a job of a cluster, which may have had a life before on another machine? */
function isScheduled(env: NodeJS.ProcessEnv): boolean {
  return env.SLURM_JOB_ID !== undefined || env.KUBERNETES_SERVICE_HOST !== undefined;
}

/** What the stages' outputs are to a user. */
export function resultOf(pipeline: Pipeline, outputs: Outputs): Omit<RunResult, "status" | "output" | "stages"> {
  const output = pipeline.publish ?? pipeline.output;
  const join = joinLocation;
  const weights = learnedOf(pipeline, outputs);
  const trainings = replicatesOf(pipeline.config.train).map((replicate): TrainingResult => {
    const reference = outputs[instanceName("reference", replicate)] as ReferenceOutput | undefined;
    const proxy = outputs[instanceName("proxy", replicate)] as ProxyOutput | undefined;
    return { ...replicate, ...(reference && { reference }), ...(proxy && { proxy }) };
  });
  return {
    ...(outputs as Pick<RunResult, "count" | "estimate" | "reference" | "proxy" | "mixture" | "resample">),
    trainings: trainings.filter(({ reference, proxy }) => reference || proxy),
    ...(weights && { weights }),
    paths: {
      ...("estimate" in outputs && { counts: join(output, "estimate/estimate.json") }),
      ...("count" in outputs && { counts: join(output, "count/counts.json") }),
      ...(weights && {
        weights: join(output, "mixture" in outputs ? `mixture/${MIXTURE_WEIGHTS}` : `proxy/${WEIGHTS}`),
      }),
      ...("resample" in outputs && {
        manifest: join(output, "resample/manifest.json"),
        selection: join(output, "resample/selection.parquet"),
      }),
    },
  };
}

/** Counts that any run may use, in a folder that is its user's to name, or else beside the output; undefined = none. */
function cacheFolder(pipeline: Pipeline): string | undefined {
  const { cache } = pipeline.config;
  if (cache === false) return undefined;
  return cache === true ? join(dirname(pipeline.output), ".doremi-cache") : fromBase(pipeline, cache);
}
