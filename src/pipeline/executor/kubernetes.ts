/** Kubernetes as a cluster: indexed Jobs, by kubectl with the user's context. */
import { stringify } from "yaml";
import { writeFileAtomic } from "../../lib/atomic-write.ts";
import { DoremiError } from "../../lib/errors.ts";
import type { KubernetesSettings } from "../schema/executor.ts";
import type { Cluster, RunPlace, StepName, Submission, SubmittedJob, TaskEnd, TaskState } from "./contract.ts";
import { CONTAINER, jobManifest, RUN_LABEL, STEP_LABEL, TASKS_ANNOTATION } from "./kubernetes-manifest.ts";
import { lastAttempt } from "./logs.ts";
import { call } from "./programs.ts";
import { jobFile, tasksOf } from "./steps.ts";

/** Of a Job, as far as it is looked at. */
interface Job {
  readonly metadata: {
    readonly name: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly deletionTimestamp?: string;
  };
  readonly status?: {
    readonly active?: number;
    readonly completedIndexes?: string;
    readonly failedIndexes?: string;
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
  };
}

interface Pod {
  readonly metadata: { readonly annotations?: Readonly<Record<string, string>>; readonly creationTimestamp?: string };
  readonly status?: {
    readonly reason?: string;
    readonly containerStatuses?: readonly {
      readonly name: string;
      readonly state?: { readonly terminated?: { readonly exitCode: number; readonly reason?: string } };
    }[];
  };
}

const INDEX = "batch.kubernetes.io/job-completion-index";

export class KubernetesCluster implements Cluster {
  readonly name = "kubernetes";
  readonly chains = false;
  readonly retries = true;
  readonly #settings: KubernetesSettings;
  readonly #place: RunPlace;

  constructor(settings: KubernetesSettings, place: RunPlace) {
    this.#settings = settings;
    this.#place = place;
  }

  async submit(submission: Submission): Promise<string> {
    const { step, attempt } = submission;
    const path = jobFile(this.#place.output, step.name, attempt, "yaml");
    const manifest = jobManifest(submission, this.#settings, this.#place);
    await writeFileAtomic(path, stringify(manifest, { lineWidth: 0, aliasDuplicateObjects: false }));
    const said = await this.#kubectl("create", "--filename", path, "--output", "name");
    return said.trim().replace(/^job(\.batch)?\//, "");
  }

  async active(jobs: readonly SubmittedJob[]): Promise<Map<string, ReadonlyMap<number, TaskState>>> {
    const states = new Map<string, ReadonlyMap<number, TaskState>>(jobs.map(({ id }) => [id, new Map()]));
    if (jobs.length === 0) return states;
    const found = new Map((await this.#jobs()).map((job) => [job.metadata.name, job]));
    for (const { id, tasks } of jobs) {
      const job = found.get(id);
      if (job) states.set(id, activeTasks(job, tasks));
    }
    return states;
  }

  async find(known: readonly SubmittedJob[]): Promise<SubmittedJob[]> {
    const ids = new Set(known.map(({ id }) => id));
    return (await this.#jobs()).flatMap((job) => {
      const { name: id, labels = {}, annotations = {} } = job.metadata;
      const tasks = tasksOf(annotations[TASKS_ANNOTATION] ?? "");
      if (ids.has(id) || activeTasks(job, tasks).size === 0) return [];
      return [{ id, step: labels[STEP_LABEL] as StepName, tasks, attempt: 1 }];
    });
  }

  async end({ id, step, tasks }: SubmittedJob, task: number): Promise<TaskEnd> {
    const { status } = await lastAttempt(this.#place.output, step, task);
    const there = (await this.#jobs()).some(({ metadata }) => metadata.name === id);
    if (!there) return { status, reason: "its Job was deleted", cancelled: true };
    const list = await this.#kubectl("get", "pods", "--selector", `job-name=${id}`, "--output", "json");
    const index = String(tasks.indexOf(task));
    const pod = (JSON.parse(list) as { items: Pod[] }).items
      .filter(({ metadata }) => metadata.annotations?.[INDEX] === index)
      .sort((a, b) => ((a.metadata.creationTimestamp ?? "") < (b.metadata.creationTimestamp ?? "") ? -1 : 1))
      .at(-1);
    const ended = pod?.status?.containerStatuses?.find(({ name }) => name === CONTAINER)?.state?.terminated;
    const reason = ended?.reason ?? pod?.status?.reason ?? "";
    return { status: ended?.exitCode ?? status, reason: reason === "Error" ? "" : reason, cancelled: false };
  }

  async cancel(jobs: readonly SubmittedJob[]): Promise<void> {
    if (jobs.length === 0) return;
    await this.#kubectl("delete", "jobs", "--ignore-not-found", "--wait=false", ...jobs.map(({ id }) => id));
  }

  cancelCommand(jobs: readonly SubmittedJob[]): string {
    const { namespace } = this.#settings;
    const where = namespace === undefined ? "" : ` --namespace ${namespace}`;
    return `kubectl delete jobs ${jobs.map(({ id }) => id).join(" ")}${where}`;
  }

  /** All of this run's. */
  async #jobs(): Promise<Job[]> {
    const text = await this.#kubectl(
      "get",
      "jobs",
      "--selector",
      `${RUN_LABEL}=${this.#place.key}`,
      "--output",
      "json",
    );
    try {
      return (JSON.parse(text) as { items: Job[] }).items;
    } catch (cause) {
      throw new DoremiError("cannot-write", "cluster", "kubectl get jobs: must print a list as JSON, and did not", {
        cause,
      });
    }
  }

  #kubectl(...args: string[]): Promise<string> {
    const { namespace } = this.#settings;
    return call("kubectl", namespace === undefined ? args : [...args, "--namespace", namespace]);
  }
}

/** Those of its tasks that are neither done nor given up. */
function activeTasks({ metadata, status = {} }: Job, tasks: readonly number[]): Map<number, TaskState> {
  const over = (status.conditions ?? []).some(
    ({ type, status: holds }) => (type === "Complete" || type === "Failed") && holds === "True",
  );
  if (over || metadata.deletionTimestamp !== undefined) return new Map();
  const ended = new Set([...tasksOf(status.completedIndexes ?? ""), ...tasksOf(status.failedIndexes ?? "")]);
  const left = tasks.filter((_, index) => !ended.has(index));
  // A Job says how many of its pods there are, not of which index.
  return new Map(left.map((task, i) => [task, i < (status.active ?? 0) ? "running" : "pending"]));
}
