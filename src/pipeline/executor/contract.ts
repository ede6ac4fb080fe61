/** What running a pipeline on a cluster is made of: types only. */

/** What a run is divided into, in this order. */
export type StepName = "count" | "merge" | "train" | "resample";

/** Jobs of a kind: an array of tasks that count, or one task. */
export interface Step {
  readonly name: StepName;
  readonly tasks: number;
  /** is the step an array, whose tasks are told their index */
  readonly array: boolean;
  /** arguments of doremi, as a shell takes them: `$task` stands for the index, `$workers` for its processors */
  readonly command: string;
}

/** Tasks of a step that are to be put into the queue together. */
export interface Submission {
  readonly step: Step;
  /** indices, ascending */
  readonly tasks: readonly number[];
  /** 1 for the first time */
  readonly attempt: number;
  /** jobs that have to end well before */
  readonly after: readonly string[];
}

/** A job that was submitted. */
export interface SubmittedJob {
  readonly id: string;
  readonly step: StepName;
  readonly tasks: readonly number[];
  readonly attempt: number;
}

export type TaskState = "pending" | "running";

/** How a task ended that left nothing done. */
export interface TaskEnd {
  /** exit status of doremi; null where it was not there to say one */
  readonly status: number | null;
  /** in the cluster's words; "" where it says nothing */
  readonly reason: string;
  /** somebody took it out of the queue */
  readonly cancelled: boolean;
}

/** A scheduler, as far as following jobs needs it. */
export interface Cluster {
  readonly name: "slurm" | "kubernetes";
  /** Can jobs wait in the queue for others? Else a step is submitted when the one before it is done. */
  readonly chains: boolean;
  /** Does it begin tasks that failed again by itself, as often as the settings say? */
  readonly retries: boolean;
  /** Puts tasks into the queue. @returns the job's id */
  submit(submission: Submission): Promise<string>;
  /** Tasks that are in the queue or run, by job id. A job that is over, or unknown, has none. */
  active(jobs: readonly SubmittedJob[]): Promise<Map<string, ReadonlyMap<number, TaskState>>>;
  /** Jobs of this run that are in the queue and not known: a run that was killed may not have written them down. */
  find(known: readonly SubmittedJob[]): Promise<SubmittedJob[]>;
  end(job: SubmittedJob, task: number): Promise<TaskEnd>;
  cancel(jobs: readonly SubmittedJob[]): Promise<void>;
  /** what a person types to cancel them */
  cancelCommand(jobs: readonly SubmittedJob[]): string;
}

/** What every job of a run needs to know. */
export interface RunPlace {
  /** name of the pipeline */
  readonly pipeline: string;
  /** absolute path of the output folder */
  readonly output: string;
  /** tells this run's jobs from those of other output folders and pipeline files: part of their names */
  readonly key: string;
}
