/** Slurm as a cluster: sbatch, squeue, scontrol, scancel. Needs no accounting: what is done is seen by what was written. */
import { writeFileAtomic } from "../../lib/atomic-write.ts";
import { DoremiError } from "../../lib/errors.ts";
import type { SlurmSettings } from "../schema/executor.ts";
import type { Cluster, RunPlace, StepName, Submission, SubmittedJob, TaskEnd, TaskState } from "./contract.ts";
import { lastAttempt } from "./logs.ts";
import { call } from "./programs.ts";
import { slurmScript } from "./slurm-script.ts";
import { jobFile, jobName, tasksOf } from "./steps.ts";

/** Of squeue: states of a job that is not over. */
const RUNNING: ReadonlySet<string> = new Set([
  "RUNNING",
  "CONFIGURING",
  "COMPLETING",
  "SUSPENDED",
  "STOPPED",
  "SIGNALING",
  "STAGE_OUT",
]);
const PENDING: ReadonlySet<string> = new Set([
  "PENDING",
  "REQUEUED",
  "REQUEUE_HOLD",
  "REQUEUE_FED",
  "RESIZING",
  "SPECIAL_EXIT",
]);

const STEPS: readonly StepName[] = ["count", "merge", "train", "resample"];

/** A line of squeue. */
interface Queued {
  readonly job: string;
  readonly tasks: readonly number[];
  readonly state: TaskState;
  readonly name: string;
}

export class SlurmCluster implements Cluster {
  readonly name = "slurm";
  readonly chains = true;
  readonly retries = false;
  readonly #settings: SlurmSettings;
  readonly #place: RunPlace;
  readonly #program: readonly string[];

  constructor(settings: SlurmSettings, place: RunPlace, program: readonly string[]) {
    this.#settings = settings;
    this.#place = place;
    this.#program = program;
  }

  async submit(submission: Submission): Promise<string> {
    const { step, attempt } = submission;
    const path = jobFile(this.#place.output, step.name, attempt, "sbatch");
    await writeFileAtomic(path, slurmScript(submission, this.#settings, this.#place, this.#program));
    const said = await call("sbatch", ["--parsable", path]);
    // With the cluster's name behind it where there are several.
    const id = said.trim().split(";")[0]!;
    if (!/^\d+$/.test(id)) {
      throw new DoremiError(
        "cannot-write",
        "cluster",
        `sbatch --parsable: must print a job's number, found “${said.trim()}”`,
      );
    }
    return id;
  }

  async active(jobs: readonly SubmittedJob[]): Promise<Map<string, ReadonlyMap<number, TaskState>>> {
    const states = new Map(jobs.map(({ id }) => [id, new Map<number, TaskState>()]));
    if (jobs.length === 0) return states;
    // By name: squeue fails where one of several numbers is not known any more.
    for (const { job, tasks, state } of await this.#queue(new Set(jobs.map(({ step }) => step)))) {
      for (const task of tasks) states.get(job)?.set(task, state);
    }
    return states;
  }

  async find(known: readonly SubmittedJob[]): Promise<SubmittedJob[]> {
    const ids = new Set(known.map(({ id }) => id));
    const found = new Map<string, SubmittedJob>();
    for (const { job, tasks, name } of await this.#queue(new Set(STEPS))) {
      if (ids.has(job)) continue;
      const step = STEPS.find((step) => this.#nameOf(step) === name)!;
      const all = [...new Set([...(found.get(job)?.tasks ?? []), ...tasks])].sort((a, b) => a - b);
      found.set(job, { id: job, step, tasks: all, attempt: 1 });
    }
    return [...found.values()];
  }

  async end({ id, step, tasks }: SubmittedJob, task: number): Promise<TaskEnd> {
    const job = step === "count" && tasks.length > 0 ? `${id}_${task}` : id;
    // It forgets a job after some minutes; the log does not.
    const shown = await call("scontrol", ["show", "job", "--oneliner", job]).catch(() => "");
    const state = /\bJobState=(\S+)/.exec(shown)?.[1] ?? "";
    const { status } = await lastAttempt(this.#place.output, step, task);
    return { status, reason: state, cancelled: state.startsWith("CANCELLED") };
  }

  async cancel(jobs: readonly SubmittedJob[]): Promise<void> {
    if (jobs.length > 0)
      await call(
        "scancel",
        jobs.map(({ id }) => id),
      );
  }

  cancelCommand(jobs: readonly SubmittedJob[]): string {
    return `scancel ${jobs.map(({ id }) => id).join(" ")}`;
  }

  #nameOf(step: StepName): string {
    return jobName(this.#place.pipeline, step, this.#place.key);
  }

  async #queue(steps: ReadonlySet<StepName>): Promise<Queued[]> {
    const names = [...steps].map((step) => this.#nameOf(step)).join(",");
    const text = await call("squeue", [
      "--noheader",
      "--array",
      "--states=all",
      `--name=${names}`,
      "--format=%F|%K|%T|%j",
    ]);
    return text.split("\n").flatMap((line) => {
      const [job, index, state, name] = line.trim().split("|");
      if (!job || index === undefined || state === undefined || name === undefined) return [];
      const known = RUNNING.has(state) ? "running" : PENDING.has(state) ? "pending" : undefined;
      return known ? [{ job, tasks: /^\d/.test(index) ? tasksOf(index) : [0], state: known, name }] : [];
    });
  }
}
