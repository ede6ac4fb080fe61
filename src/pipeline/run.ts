/** Runs a pipeline, whole or up to a stage: folder, lock, pool, signals around the runner. */
import { availableParallelism } from "node:os";
import { dirname, join } from "node:path";
import { parseBytes } from "../lib/byte-size.ts";
import { explainSystemError } from "../lib/errors.ts";
import type { CountOutput } from "../stages/count/contract.ts";
import type { EstimateOutput } from "../stages/estimate/contract.ts";
import { WorkerPool } from "../stages/pool.ts";
import type { ProxyOutput } from "../stages/proxy/contract.ts";
import type { ReferenceOutput } from "../stages/reference/contract.ts";
import type { ResampleOutput } from "../stages/resample/contract.ts";
import type { StageEvent } from "../stages/stage.ts";
import { bindEstimate, bindStages, type StageName } from "./bindings.ts";
import { fromBase, type Pipeline } from "./load.ts";
import { OutputFolder } from "./output-folder.ts";
import { prepare } from "./prepare.ts";
import { runStages, type StageReport } from "./runner.ts";
import { checkTrainingEngine } from "./training-engine.ts";

export interface RunOptions {
  /** last stage to run; default resample */
  readonly until?: StageName;
  /** count a random sample of this fraction of the corpus's units, in (0, 1], and nothing else */
  readonly sample?: number;
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: StageEvent) => void;
}

export interface RunResult {
  readonly status: "done" | "unchanged";
  /** absolute path of the output folder */
  readonly output: string;
  readonly stages: readonly StageReport[];
  readonly count?: CountOutput;
  /** of a sampled count */
  readonly estimate?: EstimateOutput;
  readonly reference?: ReferenceOutput;
  readonly proxy?: ProxyOutput;
  readonly resample?: ResampleOutput;
  /** absolute paths of what a user wants to find */
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
  const { config, output } = pipeline;
  const prepared = await prepare(pipeline);
  const stages =
    options.sample === undefined ? bindStages(prepared, options.until) : bindEstimate(prepared, options.sample);
  const folder = new OutputFolder(output);
  await checkTrainingEngine(pipeline, stages, folder);
  const lock = await folder.open(config.name);
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
      emit: options.onEvent ?? (() => {}),
    });
    return {
      status: reports.every((report) => report.status === "unchanged") ? "unchanged" : "done",
      output,
      stages: reports,
      ...(outputs as Pick<RunResult, "count" | "estimate" | "reference" | "proxy" | "resample">),
      paths: {
        ...("estimate" in outputs && { counts: join(output, "estimate", "estimate.json") }),
        ...("count" in outputs && { counts: join(output, "count", "counts.json") }),
        ...("proxy" in outputs && { weights: join(output, "proxy", "weights.json") }),
        ...("resample" in outputs && {
          manifest: join(output, "resample", "manifest.json"),
          selection: join(output, "resample", "selection.parquet"),
        }),
      },
    };
  } catch (error) {
    throw lock.lost.aborted ? lock.lost.reason : error;
  } finally {
    await pool.close();
    await lock.release();
  }
}

/** Counts that any run may use, in a folder that is its user's to name, or else beside the output; undefined = none. */
function cacheFolder(pipeline: Pipeline): string | undefined {
  const { cache } = pipeline.config;
  if (cache === false) return undefined;
  return cache === true ? join(dirname(pipeline.output), ".doremi-cache") : fromBase(pipeline, cache);
}
