/**
 * Runs a pipeline on a cluster: this process submits jobs and follows them. What is done is told by the output folder,
 * what goes on by the queue, so that the same command goes on where an earlier one was killed.
 */
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { writeFileAtomic } from "../../lib/atomic-write.ts";
import { DoremiError } from "../../lib/errors.ts";
import { sha256, sha256Json } from "../../lib/hash.ts";
import { makeFolder } from "../../lib/make-folder.ts";
import { describeCorpus, discoverShards } from "../../stages/discover/run.ts";
import type { StageEvent } from "../../stages/stage.ts";
import { bindStages, discoverInputOf, type StageName } from "../bindings.ts";
import { lockFolder } from "../folder-lock.ts";
import type { Pipeline } from "../load.ts";
import { OutputFolder } from "../output-folder.ts";
import { finishedParts } from "../parts.ts";
import { type Prepared, prepare } from "../prepare.ts";
import { refusePublishing } from "../publish.ts";
import { type RunResult, resultOf } from "../run.ts";
import { isDone, nameOf, type Outputs, previousOf } from "../runner.ts";
import type { ExecutorSettings } from "../schema/executor.ts";
import type { Cluster, RunPlace, Step, StepName } from "./contract.ts";
import { follow } from "./follow.ts";
import { KubernetesCluster } from "./kubernetes.ts";
import { JobRecord } from "./record.ts";
import { SlurmCluster } from "./slurm.ts";
import { copyPath, logPath, planSteps } from "./steps.ts";

type ClusterSettings = Exclude<ExecutorSettings, { name: "local" }>;

export interface ClusterOptions {
  readonly until: StageName;
  /** options for every job that reads the pipeline file, such as --max-memory 2GB */
  readonly options?: readonly string[];
  /** how doremi is started on the nodes; default: as here */
  readonly program?: readonly string[];
  readonly signal: AbortSignal;
  readonly onEvent?: (event: StageEvent) => void;
}

/** @throws DoremiError */
export async function runOnCluster(
  pipeline: Pipeline,
  settings: ClusterSettings,
  { until, options = [], program = thisProgram(), signal, onEvent = () => {} }: ClusterOptions,
): Promise<RunResult> {
  const { output, config, base } = pipeline;
  refusePublishing(pipeline, "a run on a cluster");
  if (pipeline.path === undefined) {
    throw new DoremiError(
      "bad-configuration",
      "no-pipeline-file",
      `executor: ${settings.name} needs a pipeline file, which its jobs read, and this pipeline was made in memory; load it from a file`,
    );
  }
  const prepared = await prepare(pipeline);
  await new OutputFolder(output).claim(config.name);
  const jobs = join(output, "jobs");
  await makeFolder(jobs);
  const lock = await lockFolder(jobs, output);
  try {
    // What the jobs read: a later change of the file is another run's.
    const text = await readFile(pipeline.path, "utf8");
    const file = copyPath(output, sha256(text), pipeline.path);
    await writeFileAtomic(file, text);
    const key = sha256Json({ output, text, base, options }).slice(0, 8);
    const place: RunPlace = { pipeline: config.name, output, key };
    const cluster = clusterOf(settings, place, program);
    const record = await attach(jobs, cluster, place, settings, program);
    const stop = AbortSignal.any([signal, lock.lost]);
    const work = await FinishedWork.open(prepared, until, settings.tasks, stop);
    const trains = work.trains;
    const steps = planSteps({ tasks: settings.tasks, until, trains, file, base, output, options });
    for (const { name } of steps) await makeFolder(dirname(logPath(output, name, 0)));
    const before = await work.result();
    if (!before) {
      await follow({
        cluster,
        steps,
        output,
        record,
        retries: settings.retries,
        pollMs: settings.pollSeconds * 1000,
        signal: stop,
        emit: onEvent,
        finished: (step) => work.of(step),
      });
    }
    const result = before ?? (await work.result());
    if (result) return { ...result, status: before ? "unchanged" : "done" };
    throw new DoremiError(
      "interrupted",
      "changed-meanwhile",
      `${output}: the jobs ended well, and now there is more to do; did the corpus change meanwhile? Run the same command again`,
      { file: output },
    );
  } catch (error) {
    throw lock.lost.aborted ? lock.lost.reason : error;
  } finally {
    await lock.release();
  }
}

/** Node and the script that this process is, from dist or from the sources. */
function thisProgram(): string[] {
  const fromSource = import.meta.url.endsWith(".ts");
  const main = fileURLToPath(new URL(`../../cli/main.${fromSource ? "ts" : "js"}`, import.meta.url));
  return [process.execPath, ...(fromSource ? ["--import", "tsx"] : []), main];
}

function clusterOf(settings: ClusterSettings, place: RunPlace, program: readonly string[]): Cluster {
  switch (settings.name) {
    case "slurm":
      return new SlurmCluster(settings, place, program);
    case "kubernetes":
      return new KubernetesCluster(settings, place);
    default:
      return settings satisfies never;
  }
}

/**
 * The jobs of this run that an earlier process left in the queue.
 * @throws DoremiError other-jobs, where jobs of other settings still write into the folder
 */
async function attach(
  jobs: string,
  cluster: Cluster,
  place: RunPlace,
  settings: ClusterSettings,
  program: readonly string[],
): Promise<JobRecord> {
  const found = await JobRecord.read(jobs);
  const head = { key: place.key, executor: settings.name };
  if (found && found.executor === settings.name) {
    const of = found.key === place.key ? cluster : clusterOf(settings, { ...place, key: found.key }, program);
    const states = await of.active(found.jobs);
    const known = found.jobs.filter(({ id }) => (states.get(id)?.size ?? 0) > 0);
    if (of === cluster) return JobRecord.create(jobs, head, [...known, ...(await cluster.find(known))]);
    if (known.length > 0) {
      throw new DoremiError(
        "bad-configuration",
        "other-jobs",
        `${place.output}: jobs of one pipeline file at a time write into an output folder, and those of another, or of an earlier state of this one, are in the queue (${known.map(({ id }) => id).join(", ")}); ` +
          `wait for them, or cancel them: ${of.cancelCommand(known)}`,
        { file: place.output },
      );
    }
  }
  return JobRecord.create(jobs, head, await cluster.find([]));
}

/** What is done, by what stands in the output folder. */
class FinishedWork {
  readonly #prepared: Prepared;
  readonly #until: StageName;
  readonly #tasks: number;
  readonly #corpus: string;
  readonly #signal: AbortSignal;
  #counted: boolean;

  private constructor(
    prepared: Prepared,
    until: StageName,
    tasks: number,
    corpus: string,
    signal: AbortSignal,
    counted: boolean,
  ) {
    this.#prepared = prepared;
    this.#until = until;
    this.#tasks = tasks;
    this.#corpus = corpus;
    this.#signal = signal;
    this.#counted = counted;
  }

  static async open(prepared: Prepared, until: StageName, tasks: number, signal: AbortSignal): Promise<FinishedWork> {
    const { corpus } = await describeCorpus(discoverInputOf(prepared), signal);
    const counted = (await finishedStages(prepared, "count", signal)) !== undefined;
    return new FinishedWork(prepared, until, tasks, corpus, signal, counted);
  }

  /** Are there models to train? */
  get trains(): boolean {
    return bindStages(this.#prepared, this.#until).some(
      (stage) => nameOf(stage) === "proxy" || nameOf(stage) === "tokenize",
    );
  }

  async of(step: Step): Promise<ReadonlySet<number>> {
    const all = new Set(Array(step.tasks).keys());
    if (step.name === "count") return this.#counted ? all : finishedParts(this.#prepared, this.#tasks, this.#corpus);
    return (await finishedStages(this.#prepared, this.#last(step.name), this.#signal)) ? all : new Set();
  }

  #last(step: Exclude<StepName, "count">): StageName {
    if (step === "merge") return "count";
    return step === "train" && this.#until === "resample" ? "proxy" : this.#until;
  }

  /** Of the whole run; undefined where something is left to do. */
  async result(): Promise<Omit<RunResult, "status"> | undefined> {
    const { pipeline } = this.#prepared;
    const outputs = await finishedStages(this.#prepared, this.#until, this.#signal);
    if (!outputs) return undefined;
    const stages = Object.keys(outputs).map((stage) => ({ stage, status: "unchanged" as const }));
    return { output: pipeline.output, stages, ...resultOf(pipeline, outputs) };
  }
}

/** The outputs of all stages up to one, of the corpus as it is now; undefined where a run would have something to do. */
async function finishedStages(prepared: Prepared, until: StageName, signal: AbortSignal): Promise<Outputs | undefined> {
  const folder = new OutputFolder(prepared.pipeline.output);
  const [discovering, ...following] = bindStages(prepared, until);
  const mark = await folder.done("discover");
  // Shards are not opened to learn that nothing was done with them.
  if (!mark || !(await folder.done("count"))) return undefined;
  const previous = previousOf(discovering!, mark, folder);
  const { output } = await discoverShards(discoverInputOf(prepared), { previous, signal, emit: () => {} });
  const outputs: Record<string, unknown> = { discover: output };
  for (const stage of following) {
    if (stage.skip?.(outputs)) continue;
    const found = await isDone(stage, outputs, folder);
    if (!found.done) return undefined;
    outputs[nameOf(stage)] = found.output;
  }
  return outputs;
}
