/**
 * A Slurm of two nodes that is really there, where DOREMI_SLURM names the folder that scripts/slurm-here.mjs started it in;
 * with DOREMI_REQUIRE_SLURM=1 a missing one is a failure. Runs the built program: npm run build.
 */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CORPUS, TOKENIZER } from "../e2e/small.ts";

const slurm = process.env.DOREMI_SLURM ?? "";
const MAIN = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
const SLURM_HERE = fileURLToPath(new URL("../../scripts/slurm-here.mjs", import.meta.url));
const env = { ...process.env, SLURM_CONF: join(slurm, "slurm.conf") };

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "doremi-slurm-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const call = (program: string, ...args: string[]) => execFileSync(program, args, { env, encoding: "utf8" });

/** @returns its path */
function pipelineFile(name: string, more: Record<string, unknown>): string {
  const path = join(folder, `${name}.yaml`);
  const pipeline = {
    version: 1,
    name,
    output: name,
    tokenizer: TOKENIZER,
    cache: false,
    data: { files: join(CORPUS, "folders/{domain}/part-*"), heldOut: { fraction: 0.1, minDocuments: 1 } },
    resample: { budgetTokens: 60_000, maxEpochs: 4 },
    executor: {
      name: "slurm",
      tasks: 4,
      cpusPerTask: 2,
      memPerCpuGb: 0.5,
      pollSeconds: 0.3,
      train: { partition: "gpu" },
    },
    ...more,
  };
  writeFileSync(path, JSON.stringify(pipeline)); // YAML too
  return path;
}

/** The command in the background, and what it ended with. */
function start(...args: string[]) {
  const child = spawn(process.execPath, [MAIN, ...args, "--log-format", "json"], {
    env,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const text = { out: "", err: "" };
  child.stdout.on("data", (data) => {
    text.out += data;
  });
  child.stderr.on("data", (data) => {
    text.err += data;
  });
  const ended = once(child, "close").then(([status]) => {
    return { status: status as number | null, result: text.out === "" ? {} : JSON.parse(text.out), err: text.err };
  });
  return { child, ended };
}

async function until(what: string, condition: () => boolean): Promise<void> {
  for (const end = Date.now() + 40_000; !condition(); await wait(100)) {
    if (Date.now() > end) throw new Error(`waited in vain for ${what}: ${call("squeue", "--array")}`);
  }
}

const jobsOf = (output: string): { id: string; step: string; tasks: number[] }[] =>
  existsSync(join(output, "jobs/jobs.json"))
    ? JSON.parse(readFileSync(join(output, "jobs/jobs.json"), "utf8")).jobs
    : [];

const logsOf = (output: string, step: string) =>
  readdirSync(join(output, "logs", step)).map((name) => readFileSync(join(output, "logs", step, name), "utf8"));

/** Files of the stages, by path: what one machine and many must agree in. */
function bytesOf(output: string, stages: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    stages.flatMap((stage) =>
      readdirSync(join(output, stage), { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile() && !/^(done|result)\.json$/.test(entry.name))
        .map((entry) => join(entry.parentPath, entry.name))
        .map((path) => [path.slice(output.length), readFileSync(path, "latin1")]),
    ),
  );
}

describe.runIf(slurm !== "" || process.env.DOREMI_REQUIRE_SLURM === "1")("a Slurm cluster", () => {
  it("counts to the bytes of one machine where a node dies in the middle of the array, and whoever follows it", async () => {
    // No document is counted before the gate is open, so that the array is in its middle until then.
    const gate = join(folder, "gate");
    const module = join(folder, "waits.mjs");
    const sleeping = "Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50)";
    writeFileSync(
      module,
      `import { existsSync } from "node:fs";\nexport default (batch) => { while (!existsSync(${JSON.stringify(gate)})) ${sleeping}; return batch; };\n`,
    );
    const data = {
      files: join(CORPUS, "folders/{domain}/part-*"),
      heldOut: { fraction: 0.1, minDocuments: 1 },
      transform: module,
    };
    const file = pipelineFile("dies", { data });
    const output = join(folder, "dies");
    const first = start("run", file, "--until", "count");
    const running = () =>
      call("squeue", "--noheader", "--array", "--states=RUNNING", "--format=%N %j")
        .split("\n")
        .filter((line) => line.includes("doremi-dies-count"));
    await until("tasks on both nodes", () =>
      ["n1", "n2"].every((node) => running().some((line) => line.startsWith(node))),
    );
    await until("the jobs that wait for them", () => jobsOf(output).length === 2);
    first.child.kill("SIGKILL");
    await first.ended;
    const submitted = jobsOf(output);
    call(process.execPath, SLURM_HERE, "kill", slurm, "n1");
    writeFileSync(gate, "");
    const second = start("run", file, "--until", "count");
    const alone = start("run", file, "--executor", "local", "--until", "count", "--output", join(folder, "here"));
    call(process.execPath, SLURM_HERE, "node", slurm, "n1");
    const { status, result, err } = await second.ended;
    expect(err).not.toContain("submitted");
    expect({ status, result }).toMatchObject({ status: 0, result: { command: "run", status: "done" } });
    expect(jobsOf(output)).toEqual(submitted);
    expect(logsOf(output, "count").filter((log) => / restart 1$/m.test(log)).length).toBeGreaterThan(0);

    const here = await alone.ended;
    expect(here.status).toBe(0);
    expect(bytesOf(output, ["discover", "count"])).toEqual(bytesOf(join(folder, "here"), ["discover", "count"]));
    expect((await start("run", file, "--until", "count").ended).result).toMatchObject({ status: "unchanged" });
  }, 90_000);

  it("trains on its GPU partition through the end of the job's time, to the weights of an uninterrupted run", async () => {
    const train = {
      model: { layers: 1, width: 16, heads: 2, sequenceLength: 32 },
      ...{ batchSize: 4, threads: 1, checkpointEvery: 10, evaluationSequences: 4 },
      ...{ reference: { steps: 120 }, proxy: { steps: 20 } },
    };
    const file = pipelineFile("trains", { train });
    const output = join(folder, "trains");
    const run = start("run", file);
    const work = join(output, ".doremi/work");
    const training = () => existsSync(work) && readdirSync(work).some((name) => name.startsWith("reference-"));
    await until("the training", training);
    const { id } = jobsOf(output).find(({ step }) => step === "train")!;
    expect(call("squeue", "--noheader", "--format=%P %T", `--job=${id}`).trim()).toBe("gpu RUNNING");
    // As --signal=B:USR1@60 sends it a minute before the time is up.
    call("scancel", "--signal=USR1", "--batch", id);
    const alone = start("run", file, "--executor", "local", "--output", join(folder, "trained-here"));
    const { status, result } = await run.ended;
    expect({ status, result }).toMatchObject({ status: 0, result: { status: "done" } });
    const [log] = logsOf(output, "train");
    expect(log).toMatch(/=== exit status 75/);
    expect(log).toMatch(/ restart 1\n[\s\S]*=== exit status 0\n$/);

    const here = await alone.ended;
    const { output: _there, manifest: _path, ...learned } = result;
    expect(here.result).toMatchObject(learned);
    const stages = ["count", "tokenize", "reference/model", "proxy/model"];
    expect(bytesOf(output, stages)).toEqual(bytesOf(join(folder, "trained-here"), stages));
    const selection = (at: string) => readFileSync(join(at, "resample/selection.parquet"), "latin1");
    expect(selection(output)).toBe(selection(join(folder, "trained-here")));
  }, 90_000);

  it("stops at data that no further try would mend, with the end of the task's log, and lets go when it is told to", async () => {
    const copy = join(folder, "data/math");
    mkdirSync(copy, { recursive: true });
    cpSync(join(CORPUS, "folders/math"), copy, { recursive: true });
    writeFileSync(join(copy, "part-9.jsonl"), '{"text": "whole"}\n{"text": broken}\n');
    const data = { files: join(folder, "data/{domain}/part-*"), heldOut: "none" };
    const file = pipelineFile("fails", {
      data,
      executor: { name: "slurm", tasks: 2, memPerCpuGb: 0.1, pollSeconds: 0.3 },
    });
    const { status, result } = await start("run", file).ended;
    expect(status).toBe(65);
    expect(result.error.code).toBe("task-failed");
    expect(result.error.message).toMatch(
      /count: task \d of 2 must leave its results, and ended with exit status 65.*mend what its log says.*\n.*logs\/count\/0000\d\.log:[\s\S]*part-9\.jsonl/,
    );
    expect(jobsOf(join(folder, "fails")).map(({ step }) => step)).toEqual(["count"]);
    await until("the queue to be empty", () => !call("squeue", "--noheader", "--format=%j").includes("doremi-fails"));

    const held = start(
      "run",
      pipelineFile("held", { executor: { name: "slurm", pollSeconds: 0.3, sbatchArgs: { hold: true } } }),
    );
    await until("its jobs", () => jobsOf(join(folder, "held")).length === 4);
    held.child.kill("SIGINT");
    const stopped = await held.ended;
    expect(stopped.status).toBe(130);
    const ids = jobsOf(join(folder, "held")).map(({ id }) => id);
    expect(stopped.result.error.message).toContain(
      `to cancel them: scancel ${ids.join(" ")}; run the same command again`,
    );
    call("scancel", ...ids);
  }, 60_000);
});
