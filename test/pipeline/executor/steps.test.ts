import { execFileSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import type { Submission } from "../../../src/pipeline/executor/contract.ts";
import { slurmScript } from "../../../src/pipeline/executor/slurm-script.ts";
import { jobName, logPath, planSteps, ranges, tasksOf } from "../../../src/pipeline/executor/steps.ts";
import { parsePipeline } from "../../../src/pipeline/load.ts";
import type { SlurmSettings } from "../../../src/pipeline/schema/executor.ts";

const settings = (yaml: string) =>
  parsePipeline(`version: 1\nname: x\noutput: y\ntokenizer: r50k\ndata: { files: z }\nexecutor: ${yaml}\n`, "p.yaml")
    .executor as SlurmSettings;

const plan = (more: Partial<Parameters<typeof planSteps>[0]> = {}) =>
  planSteps({
    ...{ tasks: 3, until: "resample", trains: true },
    ...{ file: "/out put/jobs/p.yaml", base: "/it's here", output: "/out put", options: ["--no-cache"] },
    ...more,
  });

const place = { pipeline: "My Pile (v2)", output: "/out put", key: "0a1b2c3d" };
const script = (submission: Partial<Submission>, yaml = "slurm") =>
  slurmScript({ step: plan()[0]!, tasks: [0, 1, 2], attempt: 1, after: [], ...submission }, settings(yaml), place, [
    "/opt/my node",
    "main.js",
  ]);
const directives = (text: string) => text.split("\n").flatMap((line) => /^#SBATCH --(.*)$/.exec(line)?.[1] ?? []);

describe("the steps of a run on a cluster", () => {
  it("are the ones that its last stage needs", () => {
    const names = (more: Parameters<typeof plan>[0]) => plan(more).map(({ name }) => name);
    expect(names({})).toEqual(["count", "merge", "train", "resample"]);
    expect(names({ trains: false })).toEqual(["count", "merge", "resample"]);
    expect(names({ until: "count" })).toEqual(["count", "merge"]);
    expect(names({ until: "reference" })).toEqual(["count", "merge", "train"]);
    expect(plan({ until: "reference" }).at(-1)!.command).toContain("--until reference");
    expect(plan().at(-2)!.command).toContain("--executor local --until proxy");
  });

  it("are commands that a shell reads as they are meant", () => {
    const print = `print() { printf '%s\\n' "$@"; }; task=2; workers=4; print ${plan()[0]!.command}`;
    expect(execFileSync("bash", ["-c", print], { encoding: "utf8" }).trim().split("\n")).toEqual([
      ...["count", "/out put/jobs/p.yaml", "--base", "/it's here", "--output", "/out put", "--no-cache"],
      ...["--workers", "4", "--shard-index", "2", "--num-shards", "3", "--log-format", "text"],
    ]);
  });

  it("have tasks, logs and names that follow from them", () => {
    expect(ranges([0, 1, 2, 5, 7, 8])).toBe("0-2,5,7-8");
    expect(tasksOf("0-2,5,7-8")).toEqual([0, 1, 2, 5, 7, 8]);
    expect(tasksOf("0-6:2%4")).toEqual([0, 2, 4, 6]);
    expect(logPath("/out", "count", 17)).toBe("/out/logs/count/00017.log");
    expect(jobName("My Pile (v2)", "count", "0a1b2c3d")).toBe("doremi-my-pile-v2-count-0a1b2c3d");
    expect(jobName("数据", "merge", "0a1b2c3d")).toBe("doremi-merge-0a1b2c3d");
  });
});

describe("a batch script", () => {
  it("says what sbatch is to do, in datatrove's terms", () => {
    const yaml =
      "{ name: slurm, workers: 2, partition: cpu, qos: high, time: 1-00, cpusPerTask: 8, memPerCpuGb: 1.5, sbatchArgs: { account: mine, exclusive: true, comment: a b }, mailUser: me@here }";
    expect(directives(script({ tasks: [0, 2] }, yaml))).toEqual([
      ...["job-name=doremi-my-pile-v2-count-0a1b2c3d", "array=0,2%2", "partition=cpu", "qos=high", "time=1-00"],
      ...["nodes=1", "ntasks=1", "cpus-per-task=8", "mem-per-cpu=1536M"],
      ...["output='/out put/logs/count/%5a.log'", "open-mode=append", "requeue", "signal=B:USR1@60"],
      ...["mail-user=me@here", "mail-type=FAIL", "account=mine", "exclusive", "comment='a b'"],
    ]);
  });

  it("has the resources of its step, and waits for the one before", () => {
    const yaml =
      "{ name: slurm, partition: cpu, sbatchArgs: { account: mine }, train: { partition: gpu, sbatchArgs: { gres: gpu:1 } } }";
    const found = directives(script({ step: plan()[2]!, tasks: [0], after: ["12", "13"] }, yaml));
    expect(found).toEqual(expect.arrayContaining(["partition=gpu", "account=mine", "gres=gpu:1", "cpus-per-task=4"]));
    expect(found).toEqual(expect.arrayContaining(["dependency=afterok:12:13", "kill-on-invalid-dep=yes"]));
    expect(found.filter((line) => line.startsWith("array"))).toEqual([]);
    expect(found).toContain("output='/out put/logs/train/00000.log'");
  });

  it("is one that bash reads, starts what it is told to, and is queued again when its time is up", () => {
    for (const text of [
      script({}),
      script({ attempt: 2 }, "{ name: slurm, requeue: false, envCommand: module load node }"),
    ]) {
      execFileSync("bash", ["-n"], { input: text });
    }
    expect(script({})).toContain(`'/opt/my node' main.js count '/out put/jobs/p.yaml'`);
    expect(script({})).toMatch(/if \[ "\$status" -eq 75 \]; then scontrol requeue/);
    const once = script({}, "{ name: slurm, requeue: false, envCommand: module load node }");
    expect(once).not.toContain("scontrol");
    expect(directives(once)).toContain("no-requeue");
    expect(once).toMatch(/^module load node$/m);
  });
});

describe("settings of the executor", () => {
  it.each([
    ["slum", /p\.yaml:6: “executor” must be "local" or "slurm"/],
    ["{ name: slrm }", /p\.yaml:6: “executor\.name” must be "local" or "slurm" or "kubernetes", found "slrm"/],
    ["\n  name: slurm\n  taks: 3", /p\.yaml:8: unknown key “executor\.taks”; did you mean “tasks”/],
    [
      "\n  name: slurm\n  train:\n    partitio: gpu",
      /p\.yaml:9: unknown key “executor\.train\.partitio”; did you mean “partition”/,
    ],
    ["\n  name: slurm\n  time: soon", /p\.yaml:8: “executor\.time” must be a time limit such as 04:00:00/],
    ["\n  name: kubernetes\n  image: doremi", /p\.yaml:6: needs “executor\.volumes”/],
  ])("are refused with their line: %j", (yaml, message) => {
    expect(() => settings(yaml)).toThrow(message);
  });

  it("have datatrove's names and values of their own", () => {
    expect(settings("slurm")).toMatchObject({
      name: "slurm",
      tasks: 8,
      cpusPerTask: 4,
      memPerCpuGb: 2,
      requeue: true,
      retries: 2,
    });
    expect(settings("local")).toEqual({ name: "local" });
  });
});
