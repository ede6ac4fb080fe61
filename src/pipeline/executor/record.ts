/** The jobs that a run submitted, in a file of the output folder, so that the run goes on following them after it was killed. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { writeFileAtomic } from "../../lib/atomic-write.ts";
import type { StepName, SubmittedJob } from "./contract.ts";

const job = z.strictObject({
  id: z.string(),
  step: z.enum(["count", "merge", "train", "resample"]),
  tasks: z.array(z.int()),
  attempt: z.int(),
});

const file = z.strictObject({
  doremi: z.literal("jobs"),
  /** of the run that they are of: see RunPlace */
  key: z.string(),
  executor: z.enum(["slurm", "kubernetes"]),
  jobs: z.array(job),
});

type RecordFile = z.output<typeof file>;

export class JobRecord {
  readonly #path: string;
  readonly #head: Pick<RecordFile, "key" | "executor">;
  #jobs: readonly SubmittedJob[];

  private constructor(path: string, head: Pick<RecordFile, "key" | "executor">, jobs: readonly SubmittedJob[]) {
    this.#path = path;
    this.#head = head;
    this.#jobs = jobs;
  }

  /** What an earlier run left; undefined where there is nothing that can be read. */
  static async read(folder: string): Promise<RecordFile | undefined> {
    const text = await readFile(join(folder, "jobs.json"), "utf8").catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return undefined;
      throw error;
    });
    if (text === undefined) return undefined;
    try {
      return file.safeParse(JSON.parse(text)).data;
    } catch {
      return undefined;
    }
  }

  /** @param jobs that are known already */
  static create(folder: string, head: Pick<RecordFile, "key" | "executor">, jobs: readonly SubmittedJob[]): JobRecord {
    return new JobRecord(join(folder, "jobs.json"), head, jobs);
  }

  get jobs(): readonly SubmittedJob[] {
    return this.#jobs;
  }

  of(step: StepName): SubmittedJob[] {
    return this.#jobs.filter((job) => job.step === step);
  }

  async add(job: SubmittedJob): Promise<void> {
    await this.#write([...this.#jobs, job]);
  }

  async remove(jobs: readonly SubmittedJob[]): Promise<void> {
    const ids = new Set(jobs.map(({ id }) => id));
    await this.#write(this.#jobs.filter(({ id }) => !ids.has(id)));
  }

  async #write(jobs: readonly SubmittedJob[]): Promise<void> {
    this.#jobs = jobs;
    const content: RecordFile = {
      doremi: "jobs",
      ...this.#head,
      jobs: jobs.map(({ tasks, ...rest }) => ({ ...rest, tasks: [...tasks] })),
    };
    await writeFileAtomic(this.#path, `${JSON.stringify(content, null, 2)}\n`);
  }
}
