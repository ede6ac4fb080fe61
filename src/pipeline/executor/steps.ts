/** The steps of a run on a cluster, and where their files are, as plain data. Pure. */
import { basename, join } from "node:path";
import type { StageName } from "../bindings.ts";
import { PARTS } from "../parts.ts";
import type { Step, StepName } from "./contract.ts";

/** As a POSIX shell takes it. */
export function quoted(text: string): string {
  return /^[\w./:@%+=,-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

export interface StepsOptions {
  readonly tasks: number;
  readonly until: StageName;
  /** are there models to train */
  readonly trains: boolean;
  /** absolute path of the copy of the pipeline file */
  readonly file: string;
  /** folder that its relative paths start from */
  readonly base: string;
  readonly output: string;
  /** further options that all commands which read the pipeline file take */
  readonly options: readonly string[];
}

/** The command of a task without the program: `$task` is its index, `$workers` the processors that it has. */
export function planSteps({ tasks, until, trains, file, base, output, options }: StepsOptions): Step[] {
  const common = [quoted(file), "--base", quoted(base), "--output", quoted(output), ...options.map(quoted)].join(" ");
  const log = "--log-format text";
  const work = `${common} --workers "$workers"`;
  const run = (stage: StageName) => `run ${work} --executor local --until ${stage} ${log}`;
  const parts = `${quoted(join(output, PARTS))}/*-of-${String(tasks).padStart(5, "0")}`;
  const steps: Step[] = [
    {
      name: "count",
      tasks,
      array: true,
      command: `count ${work} --shard-index "$task" --num-shards ${tasks} ${log}`,
    },
    { name: "merge", tasks: 1, array: false, command: `merge ${parts} --output ${quoted(output)} ${log}` },
  ];
  if (until === "discover" || until === "count") return steps;
  // What streams into the training is tokenized by its job.
  const trained = until === "resample" ? "proxy" : until;
  if (trains) steps.push({ name: "train", tasks: 1, array: false, command: run(trained) });
  if (until === "resample") steps.push({ name: "resample", tasks: 1, array: false, command: run("resample") });
  return steps;
}

/** The log of a task: all of its attempts, one after the other. */
export function logPath(output: string, step: StepName, task: number): string {
  return join(output, "logs", step, `${String(task).padStart(5, "0")}.log`);
}

/** The script or manifest of a submission. */
export function jobFile(output: string, step: StepName, attempt: number, extension: string): string {
  return join(output, "jobs", `${step}${attempt > 1 ? `-${attempt}` : ""}.${extension}`);
}

/** Of the pipeline file in the output folder. */
export function copyPath(output: string, sha256: string, path: string): string {
  return join(output, "jobs", `${sha256.slice(0, 12)}-${basename(path)}`);
}

/** Letters, digits and - of a name, for names of jobs. */
export function jobName(pipeline: string, step: StepName, key: string): string {
  const plain = pipeline
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .slice(0, 24)
    .replace(/^-+|-+$/g, "");
  return ["doremi", plain, step, key].filter((part) => part !== "").join("-");
}

/** 0,1,2,5 → "0-2,5" */
export function ranges(tasks: readonly number[]): string {
  const found: [number, number][] = [];
  for (const task of tasks) {
    const last = found.at(-1);
    if (last && last[1] === task - 1) last[1] = task;
    else found.push([task, task]);
  }
  return found.map(([start, end]) => (start === end ? `${start}` : `${start}-${end}`)).join(",");
}

/** "0-2,5" → 0,1,2,5 @param text also "0-6:2%4" as Slurm says it */
export function tasksOf(text: string): number[] {
  return text
    .replace(/[%].*$/, "")
    .split(",")
    .filter((part) => part !== "")
    .flatMap((part) => {
      const [, start, end = start, step = "1"] = /^(\d+)(?:-(\d+))?(?::(\d+))?$/.exec(part) ?? [];
      const tasks: number[] = [];
      for (let task = Number(start); task <= Number(end); task += Number(step)) tasks.push(task);
      return tasks;
    });
}
