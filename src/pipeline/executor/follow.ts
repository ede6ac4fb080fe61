/**
 * Takes a run through its steps on a cluster: submits what is not done and not in the queue, waits, submits again what
 * failed, a bounded number of times. All that it needs to know stands in the output folder and in the queue, so that it
 * may be killed and begun again at any time. Knows nothing of a particular cluster.
 */
import { setTimeout as wait } from "node:timers/promises";
import { DoremiError, type ErrorKind, EXIT_STATUS } from "../../lib/errors.ts";
import type { StageEvent } from "../../stages/stage.ts";
import type { Cluster, Step, SubmittedJob, TaskEnd, TaskState } from "./contract.ts";
import { lastAttempt } from "./logs.ts";
import type { JobRecord } from "./record.ts";
import { ranges } from "./steps.ts";

/** Exit statuses of doremi after which another try would end the same. */
const FINAL: ReadonlySet<number> = new Set([
  EXIT_STATUS.usage,
  EXIT_STATUS["bad-data"],
  EXIT_STATUS["missing-input"],
  EXIT_STATUS["bad-configuration"],
]);
/** The state is saved, and the task goes on when it is submitted again. */
const INTERRUPTED: ReadonlySet<number> = new Set([75, 130, 143]);
/** Of a failed task's log, in the message. */
const SHOWN_LINES = 12;

export interface FollowOptions {
  readonly cluster: Cluster;
  readonly steps: readonly Step[];
  /** absolute path of the output folder */
  readonly output: string;
  readonly record: JobRecord;
  readonly retries: number;
  readonly pollMs: number;
  readonly signal: AbortSignal;
  emit(event: StageEvent): void;
  /** tasks of the step that have nothing left to do, by what they wrote */
  finished(step: Step): Promise<ReadonlySet<number>>;
}

/** @throws DoremiError task-failed, task-cancelled, interrupted */
export async function follow(options: FollowOptions): Promise<void> {
  for (const at of options.steps.keys()) await new StepFollower(options, at).run();
}

class StepFollower {
  readonly #options: FollowOptions;
  readonly #at: number;
  readonly #step: Step;
  /** tasks that were seen neither in the queue nor done: a shared file system may show late what was written */
  #missed: ReadonlySet<number> = new Set();

  constructor(options: FollowOptions, at: number) {
    this.#options = options;
    this.#at = at;
    this.#step = options.steps[at]!;
  }

  async run(): Promise<void> {
    const { emit, record, cluster, finished } = this.#options;
    const step = this.#step;
    const started = performance.now();
    for (let look = 0; ; look++) {
      const jobs = record.of(step.name);
      const active = tasksIn(await this.#call(() => cluster.active(jobs)));
      // A single job is asked for what it left when it is over, an array while it runs.
      const done = step.array || active.size === 0 ? await finished(step) : new Set<number>();
      if (done.size === step.tasks) {
        emit(
          look === 0 && jobs.length === 0
            ? { type: "unchanged", stage: step.name }
            : { type: "done", stage: step.name, durationMs: performance.now() - started },
        );
        return;
      }
      if (look === 0) emit({ type: "start", stage: step.name });
      const left = [...Array(step.tasks).keys()].filter((task) => !done.has(task) && !active.has(task));
      const submitted = new Set(jobs.flatMap(({ tasks }) => tasks));
      const gone = left.filter((task) => submitted.has(task));
      const failed = gone.filter((task) => this.#missed.has(task));
      this.#missed = new Set(gone);
      const again = await this.#judge(failed);
      await this.#submit([...left.filter((task) => !submitted.has(task)), ...again].sort((a, b) => a - b));
      if (look === 0) await this.#chain();
      if (step.array) {
        const running = [...active.values()].filter((state) => state === "running").length;
        emit({
          type: "progress",
          stage: step.name,
          done: done.size,
          total: step.tasks,
          unit: "tasks",
          figures: { running },
        });
      }
      await this.#pause();
    }
  }

  /** Which of the failed tasks are worth another try. @throws DoremiError where one is not */
  async #judge(failed: readonly number[]): Promise<number[]> {
    const { record, cluster, retries, emit } = this.#options;
    const step = this.#step;
    for (const task of failed) {
      const tries = record.of(step.name).filter(({ tasks }) => tasks.includes(task));
      const end = await this.#call(() => cluster.end(tries.at(-1)!, task));
      const interrupted = end.status !== null && INTERRUPTED.has(end.status) && !end.cancelled;
      const worth = interrupted || (!end.cancelled && !(end.status !== null && FINAL.has(end.status)));
      if (!worth || (!interrupted && (cluster.retries || tries.length > retries))) {
        await this.#cancelFollowing();
        throw await this.#failure(task, end, tries.length);
      }
      emit({
        type: "note",
        stage: step.name,
        message: `${this.#nameOf(task)} ended ${endText(end)} and is submitted again`,
      });
    }
    return [...failed];
  }

  async #submit(tasks: readonly number[]): Promise<void> {
    const { cluster, record, emit } = this.#options;
    const step = this.#step;
    if (tasks.length === 0) return;
    const attempt = 1 + Math.max(0, ...record.of(step.name).map((job) => job.attempt));
    await this.#cancelFollowing(); // they wait for the jobs that failed
    const id = await cluster.submit({ step, tasks, attempt, after: [] });
    await record.add({ id, step: step.name, tasks, attempt });
    const which = step.array ? ` tasks ${ranges(tasks)}` : "";
    emit({ type: "note", stage: step.name, message: `submitted${which} as job ${id}` });
    await this.#chain();
  }

  /** Puts the steps after this one into the queue, each to wait for the one before it. */
  async #chain(): Promise<void> {
    const { cluster, record, steps } = this.#options;
    if (!cluster.chains) return;
    const states = await this.#call(() => cluster.active(record.jobs));
    const isActive = ({ id }: SubmittedJob) => (states.get(id)?.size ?? 0) > 0;
    // What was submitted a moment ago is in the queue, also where squeue does not say so yet.
    const newest = record.of(this.#step.name).at(-1);
    let before = record.of(this.#step.name).filter((job) => isActive(job) || job === newest);
    for (const step of steps.slice(this.#at + 1)) {
      const there = record.of(step.name).filter(isActive);
      if (there.length === 0) {
        const tasks = [...Array(step.tasks).keys()];
        const attempt = 1 + record.of(step.name).length;
        const id = await cluster.submit({ step, tasks, attempt, after: before.map((job) => job.id) });
        const job: SubmittedJob = { id, step: step.name, tasks, attempt };
        await record.add(job);
        before = [job];
      } else before = there;
    }
  }

  async #cancelFollowing(): Promise<void> {
    const { cluster, record, steps } = this.#options;
    const following = steps.slice(this.#at + 1).flatMap((step) => record.of(step.name));
    if (following.length === 0) return;
    const states = await this.#call(() => cluster.active(following));
    await cluster.cancel(following.filter(({ id }) => (states.get(id)?.size ?? 0) > 0));
    await record.remove(following);
  }

  /** A controller that does not answer for a while is no reason to stop. */
  async #call<T>(ask: () => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries++) {
      try {
        return await ask();
      } catch (error) {
        if (!(error instanceof DoremiError) || error.code !== "cluster" || tries >= 5) throw error;
        await this.#pause();
      }
    }
  }

  async #pause(): Promise<void> {
    const { pollMs, signal } = this.#options;
    await wait(pollMs, undefined, { signal }).catch(() => {});
    if (signal.aborted) throw await this.#stopped();
  }

  async #stopped(): Promise<DoremiError> {
    const { cluster, record } = this.#options;
    const states = await cluster.active(record.jobs).catch(() => undefined);
    const left = record.jobs.filter(({ id }) => (states ? (states.get(id)?.size ?? 0) > 0 : true));
    const jobs =
      left.length === 0
        ? "no job of it is in the queue"
        : `its jobs go on (${left.map(({ id, step }) => `${step} ${id}`).join(", ")}); to cancel them: ${cluster.cancelCommand(left)}`;
    return new DoremiError(
      "interrupted",
      "interrupted",
      `stopped following the run, and ${jobs}; run the same command again and it follows them from here`,
    );
  }

  #nameOf(task: number): string {
    const { name, array, tasks } = this.#step;
    return array ? `${name}: task ${task} of ${tasks}` : name;
  }

  async #failure(task: number, end: TaskEnd, tries: number): Promise<DoremiError> {
    const { output } = this.#options;
    const { path, lines } = await lastAttempt(output, this.#step.name, task);
    const shown = lines.slice(-SHOWN_LINES).map((line) => `\n    ${line}`);
    const log = shown.length > 0 ? `\n  the end of ${path}:${shown.join("")}` : `; ${path} says nothing`;
    const often = tries > 1 ? `, the last of ${tries} times` : "";
    const remedy = end.cancelled
      ? "run the same command again to submit it anew"
      : end.status === 0
        ? "did the corpus or the settings change meanwhile? Run the same command again"
        : "mend what its log says, then run the same command again: what is done is kept";
    const kinds = Object.entries(EXIT_STATUS) as [ErrorKind, number][];
    const kind = kinds.find(([, status]) => status === end.status)?.[0] ?? "interrupted";
    return new DoremiError(
      kind,
      end.cancelled ? "task-cancelled" : "task-failed",
      `${this.#nameOf(task)} must leave its results, and ended ${endText(end)}${often}; ${remedy}${log}`,
      { file: path },
    );
  }
}

/** Of all jobs together. */
function tasksIn(states: ReadonlyMap<string, ReadonlyMap<number, TaskState>>): Map<number, TaskState> {
  return new Map([...states.values()].flatMap((tasks) => [...tasks]));
}

function endText({ status, reason }: TaskEnd): string {
  const how = status === null ? "without saying an exit status" : `with exit status ${status}`;
  return reason === "" ? how : `${how} (${reason})`;
}
