/** Following the steps of a run, on a cluster that does what each test says. */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { DoremiError } from "../../../src/lib/errors.ts";
import type { Cluster, Step, Submission, SubmittedJob, TaskEnd } from "../../../src/pipeline/executor/contract.ts";
import { follow } from "../../../src/pipeline/executor/follow.ts";
import { JobRecord } from "../../../src/pipeline/executor/record.ts";
import { logPath } from "../../../src/pipeline/executor/steps.ts";
import type { StageEvent } from "../../../src/stages/stage.ts";
import { temporaryFolder } from "../../e2e/small.ts";

const STEPS: Step[] = [
  { name: "count", tasks: 4, array: true, command: "" },
  { name: "merge", tasks: 1, array: false, command: "" },
];

type Outcome = "done" | "lost" | "runs" | Partial<TaskEnd>;

/** Ends its tasks between two looks, each as `outcome` says. */
class FakeCluster implements Cluster {
  readonly name = "slurm";
  readonly chains: boolean;
  readonly retries = false;
  readonly submissions: Submission[] = [];
  readonly cancelled: string[] = [];
  readonly done = new Set<string>();
  readonly #ends = new Map<string, TaskEnd>();
  readonly #live = new Map<string, Map<number, "pending" | "running">>();
  readonly #outcome: (step: string, task: number, attempt: number) => Outcome;
  failures = 0;

  constructor(outcome: (step: string, task: number, attempt: number) => Outcome = () => "done", chains = true) {
    this.#outcome = outcome;
    this.chains = chains;
  }

  async submit(submission: Submission): Promise<string> {
    this.submissions.push(submission);
    const id = String(100 + this.submissions.length);
    this.#live.set(id, new Map(submission.tasks.map((task) => [task, "pending"])));
    return id;
  }

  async active(jobs: readonly SubmittedJob[]) {
    if (this.failures-- > 0) throw new DoremiError("cannot-write", "cluster", "squeue: slurm_load_jobs error");
    const seen = new Map(jobs.map(({ id }) => [id, new Map(this.#live.get(id))]));
    for (const { id, step, attempt } of jobs) this.#advance(id, step, attempt);
    return seen;
  }

  #advance(id: string, step: string, attempt: number): void {
    const after = this.submissions[Number(id) - 101]!.after;
    if (after.some((job) => (this.#live.get(job)?.size ?? 0) > 0)) return; // waits
    for (const task of [...(this.#live.get(id)?.keys() ?? [])]) {
      const outcome = this.#outcome(step, task, attempt);
      if (outcome === "runs") continue;
      this.#live.get(id)!.delete(task);
      if (outcome === "done") this.done.add(`${step} ${task}`);
      else if (outcome !== "lost")
        this.#ends.set(`${id} ${task}`, { status: null, reason: "", cancelled: false, ...outcome });
    }
  }

  async find() {
    return [];
  }

  async end({ id }: SubmittedJob, task: number): Promise<TaskEnd> {
    return this.#ends.get(`${id} ${task}`) ?? { status: null, reason: "", cancelled: false };
  }

  async cancel(jobs: readonly SubmittedJob[]) {
    for (const { id } of jobs) {
      this.cancelled.push(id);
      this.#live.delete(id);
    }
  }

  cancelCommand = (jobs: readonly SubmittedJob[]) => `scancel ${jobs.map(({ id }) => id).join(" ")}`;
}

let output: string;
let events: StageEvent[];
beforeEach(() => {
  output = temporaryFolder();
  events = [];
});

function run(
  cluster: FakeCluster,
  { signal = new AbortController().signal, retries = 2, jobs = [] as SubmittedJob[] } = {},
) {
  const record = JobRecord.create(output, { key: "k", executor: "slurm" }, jobs);
  const finished = async ({ name, tasks }: Step) =>
    new Set([...Array(tasks).keys()].filter((task) => cluster.done.has(`${name} ${task}`)));
  const emit = (event: StageEvent) => events.push(event);
  return follow({ cluster, steps: STEPS, output, record, retries, pollMs: 1, signal, emit, finished });
}

const submitted = ({ submissions }: FakeCluster) =>
  submissions.map(({ step, tasks, attempt, after }) => ({
    step: step.name,
    tasks: [...tasks],
    attempt,
    after: [...after],
  }));

describe("following a run", () => {
  it("submits all steps at once, each to wait for the one before", async () => {
    const cluster = new FakeCluster();
    await run(cluster);
    expect(submitted(cluster)).toEqual([
      { step: "count", tasks: [0, 1, 2, 3], attempt: 1, after: [] },
      { step: "merge", tasks: [0], attempt: 1, after: ["101"] },
    ]);
    expect(events.filter(({ type }) => type === "done").map(({ stage }) => stage)).toEqual(["count", "merge"]);
  });

  it("submits a step when the one before is done, where the cluster cannot wait", async () => {
    const cluster = new FakeCluster(() => "done", false);
    await run(cluster);
    expect(submitted(cluster).map(({ step, after }) => [step, after])).toEqual([
      ["count", []],
      ["merge", []],
    ]);
  });

  it("leaves out what is done, and follows what is in the queue without submitting it again", async () => {
    const cluster: FakeCluster = new FakeCluster(() => (cluster.submissions.length < 3 ? "runs" : "done"));
    cluster.done.add("count 1");
    await cluster.submit({ step: STEPS[0]!, tasks: [0, 2], attempt: 1, after: [] });
    const job: SubmittedJob = { id: "101", step: "count", tasks: [0, 2], attempt: 1 };
    await run(cluster, { jobs: [job] });
    expect(submitted(cluster).slice(1)).toMatchObject([
      { step: "count", tasks: [3] },
      { step: "merge", after: ["101", "102"] },
    ]);
  });

  it("submits failed tasks again, those alone, and what waited for them", async () => {
    const cluster = new FakeCluster((step, task, attempt) =>
      step === "count" && task === 2 && attempt < 3 ? { status: null, reason: "NODE_FAIL" } : "done",
    );
    await run(cluster);
    expect(submitted(cluster)).toEqual([
      { step: "count", tasks: [0, 1, 2, 3], attempt: 1, after: [] },
      { step: "merge", tasks: [0], attempt: 1, after: ["101"] },
      { step: "count", tasks: [2], attempt: 2, after: [] },
      { step: "merge", tasks: [0], attempt: 1, after: ["103"] },
      { step: "count", tasks: [2], attempt: 3, after: [] },
      { step: "merge", tasks: [0], attempt: 1, after: ["105"] },
    ]);
    expect(events).toContainEqual(
      expect.objectContaining({ type: "note", message: expect.stringMatching(/task 2 of 4 ended .*\(NODE_FAIL\)/) }),
    );
  });

  it("gives up after so many tries, with the end of the last one's log", async () => {
    const path = logPath(output, "count", 2);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, "=== count 2, job 1\nof the first\n=== exit status 70\n=== count 2, job 2\nout of luck\n");
    const cluster = new FakeCluster((step, task) =>
      step === "count" && task === 2 ? { reason: "OUT_OF_MEMORY" } : "done",
    );
    await expect(run(cluster, { retries: 1 })).rejects.toMatchObject({
      code: "task-failed",
      file: path,
      message: expect.stringMatching(
        /^count: task 2 of 4 must leave its results, and ended without saying an exit status \(OUT_OF_MEMORY\), the last of 2 times; mend[^\n]*\n {2}the end of .*00002\.log:\n {4}out of luck$/,
      ),
    });
    expect(submitted(cluster).filter(({ step }) => step === "count")).toHaveLength(2);
  });

  it.each([
    [{ status: 65 }, { code: "task-failed", kind: "bad-data" }],
    [{ status: 78 }, { code: "task-failed", kind: "bad-configuration" }],
    [{ status: 143, cancelled: true, reason: "CANCELLED" }, { code: "task-cancelled" }],
  ])("does not try again after %j", async (end, error) => {
    const cluster = new FakeCluster((step) => (step === "count" ? end : "runs"));
    await expect(run(cluster)).rejects.toMatchObject(error);
    expect(submitted(cluster).map(({ step }) => step)).toEqual(["count", "merge"]);
    expect(cluster.cancelled.length).toBe(1); // merge waits for what does not come
  });

  it("does not count a task whose time was up", async () => {
    const cluster = new FakeCluster((step, task, attempt) =>
      step === "count" && task === 0 && attempt < 9 ? { status: 75 } : "done",
    );
    await run(cluster, { retries: 0 });
    expect(submitted(cluster).filter(({ step }) => step === "count")).toHaveLength(9);
  });

  it("goes on where the scheduler does not answer for a while, and not for ever", async () => {
    const cluster = new FakeCluster();
    cluster.failures = 3;
    await run(cluster);
    expect(cluster.done.size).toBe(5);
    const gone = new FakeCluster();
    gone.failures = 100;
    await expect(run(gone)).rejects.toMatchObject({ code: "cluster" });
  });

  it("leaves the jobs alone when it is stopped, and says how to go on and how to cancel them", async () => {
    const stop = new AbortController();
    const cluster = new FakeCluster(() => "runs");
    const stopped = run(cluster, { signal: stop.signal });
    while (cluster.submissions.length < 2) await new Promise((resolve) => setTimeout(resolve, 1));
    stop.abort();
    await expect(stopped).rejects.toMatchObject({
      kind: "interrupted",
      message: expect.stringMatching(
        /its jobs go on \(count 101, merge 102\); to cancel them: scancel 101 102; run the same/,
      ),
    });
    expect(cluster.cancelled).toEqual([]);
  });
});
