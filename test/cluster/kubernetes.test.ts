/** The flow of indexed Jobs, with a kubectl that runs their pods here; the manifests against Kubernetes' own schemas. */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Job } from "kubernetes-models/batch/v1";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { jobManifest } from "../../src/pipeline/executor/kubernetes-manifest.ts";
import { planSteps } from "../../src/pipeline/executor/steps.ts";
import { parsePipeline } from "../../src/pipeline/load.ts";
import type { KubernetesSettings } from "../../src/pipeline/schema/executor.ts";
import { CORPUS, TOKENIZER } from "../e2e/small.ts";

const MAIN = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
const FAKE = fileURLToPath(new URL("fake-kubectl.mjs", import.meta.url));

let folder: string;
let env: NodeJS.ProcessEnv;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "doremi-kubernetes-"));
  const bin = join(folder, "bin");
  mkdirSync(bin);
  writeFileSync(join(bin, "kubectl"), `#!/bin/sh\nexec '${process.execPath}' '${FAKE}' "$@"\n`);
  chmodSync(join(bin, "kubectl"), 0o755);
  env = { ...process.env, PATH: `${bin}:${process.env.PATH}`, FAKE_KUBERNETES: join(folder, "cluster") };
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const executor = { name: "kubernetes", image: "doremi:0.1.0", volumes: [{ claim: "shared", mountPath: "/shared" }] };

const settings = (more: object) =>
  parsePipeline(
    JSON.stringify({
      version: 1,
      name: "x",
      output: "y",
      tokenizer: "r50k",
      data: { files: "z" },
      executor: { ...executor, ...more },
    }),
    "p.yaml",
  ).executor as KubernetesSettings;

const steps = planSteps({
  ...{ tasks: 4, until: "resample", trains: true },
  ...{ file: "/shared/out/jobs/p.yaml", base: "/shared", output: "/shared/out", options: [] },
});
const place = { pipeline: "The Pile", output: "/shared/out", key: "0a1b2c3d" };

interface Manifest {
  readonly metadata: Record<string, unknown>;
  readonly spec: {
    readonly template: {
      readonly spec: { readonly containers: { readonly command: string[]; readonly resources: unknown }[] };
    };
  };
}

const manifest = (step: number, tasks: number[], more: object = {}) =>
  jobManifest({ step: steps[step]!, tasks, attempt: 1, after: [] }, settings(more), place) as unknown as Manifest;

describe("the manifest of a Job", () => {
  it("holds to Kubernetes' schema, every step's", () => {
    const more = {
      gpus: 1,
      nodeSelector: { pool: "a" },
      serviceAccount: "me",
      namespace: "ml",
      podSpec: { tolerations: [] },
    };
    for (const [at] of steps.entries())
      for (const with_ of [{}, more]) {
        new Job(manifest(at, at === 0 ? [0, 2] : [0], with_) as never).validate();
      }
    const broken = manifest(0, [0]);
    expect(() =>
      new Job({ ...broken, spec: { ...broken.spec, backoffLimitPerIndex: "two" } } as never).validate(),
    ).toThrow(/backoffLimitPerIndex must be integer/);
  });

  it("is of indexed tasks that are tried again one by one, but for what no further try would mend", () => {
    expect(manifest(0, [0, 1, 2, 3], { workers: 2, retries: 5 })).toMatchObject({
      metadata: { generateName: "doremi-the-pile-count-0a1b2c3d-", annotations: { "doremi/tasks": "0-3" } },
      spec: {
        ...{ completionMode: "Indexed", completions: 4, parallelism: 2, backoffLimitPerIndex: 5 },
        podFailurePolicy: {
          rules: [
            { action: "FailIndex", onExitCodes: { values: [2, 65, 66, 78] } },
            { action: "Ignore", onExitCodes: { values: [75, 130, 143] } },
            { action: "Ignore", onPodConditions: [{ type: "DisruptionTarget", status: "True" }] },
          ],
        },
        template: { spec: { restartPolicy: "Never", volumes: [{ persistentVolumeClaim: { claimName: "shared" } }] } },
      },
    });
    const train = manifest(2, [0], { cpu: 2, train: { gpus: 1, memory: "64Gi" } });
    expect(train.spec.template.spec.containers[0]!.resources).toEqual({
      requests: { cpu: "2", memory: "64Gi", "nvidia.com/gpu": "1" },
      limits: { cpu: "2", memory: "64Gi", "nvidia.com/gpu": "1" },
    });
  });

  it("tells each pod its task, also where some of all are submitted again", () => {
    const logs = join(folder, "pods/logs/count");
    mkdirSync(logs, { recursive: true });
    const command = ["sh", "-c", 'echo "$@"', "doremi"];
    const of = { ...place, output: join(folder, "pods") };
    for (const [tasks, index, task] of [
      [[0, 1, 2, 3], 2, 2],
      [[1, 3], 1, 3],
    ] as const) {
      const made = jobManifest(
        { step: steps[0]!, tasks, attempt: 2, after: [] },
        settings({ command, cpu: "2500m" }),
        of,
      );
      const [program, ...words] = (made as unknown as Manifest).spec.template.spec.containers[0]!.command;
      execFileSync(program!, words, { env: { ...process.env, JOB_COMPLETION_INDEX: String(index) } });
      const log = readFileSync(join(logs, `0000${task}.log`), "utf8");
      expect(log).toMatch(new RegExp(`^=== \\S+ count ${task}, pod `));
      expect(log).toContain(`--workers 2 --shard-index ${task} --num-shards 4`);
      expect(log).toMatch(/=== exit status 0\n$/);
    }
  });
});

describe("a run on Kubernetes", () => {
  const corpus = { files: join(CORPUS, "folders/{domain}/part-*"), heldOut: { fraction: 0.1, minDocuments: 1 } };

  /** @returns the process, and how it ended */
  function start(name: string, tasks: number, data: object, ...args: string[]) {
    const path = join(folder, `${name}.yaml`);
    const pipeline = {
      ...{ version: 1, name, output: name, tokenizer: TOKENIZER, cache: false, data },
      resample: { weights: "natural", budgetTokens: 60_000, maxEpochs: 4 },
      executor: { ...executor, tasks, command: [process.execPath, MAIN], cpu: 1, pollSeconds: 0.3 },
    };
    writeFileSync(path, JSON.stringify(pipeline)); // YAML too
    const child = spawn(process.execPath, [MAIN, "run", path, ...args], { env, stdio: ["ignore", "pipe", "ignore"] });
    let out = "";
    child.stdout.on("data", (data) => {
      out += data;
    });
    const ended = once(child, "close").then(([status]) => ({ status, result: out === "" ? {} : JSON.parse(out) }));
    return { child, ended, output: join(folder, name) };
  }
  const calls = () => readFileSync(join(folder, "cluster/calls"), "utf8").split("\n");
  const selection = (output: string) => readFileSync(join(output, "resample/selection.parquet"), "latin1");

  it("is submitted step by step, gone on with when whoever follows it was killed, and gives what one machine does", async () => {
    const first = start("flow", 3, corpus);
    while (!readdirSync(folder).includes("cluster") || !calls().some((call) => call.startsWith("create")))
      await wait(50);
    first.child.kill("SIGKILL");
    await first.ended;
    const second = start("flow", 3, corpus);
    expect(await second.ended).toMatchObject({ status: 0, result: { status: "done" } });
    const { output } = second;
    expect(
      calls()
        .filter((call) => call.startsWith("create"))
        .map((call) => /jobs\/(\w+)\.yaml/.exec(call)?.[1]),
    ).toEqual([...["count", "merge", "resample"]]);
    for (const name of ["count", "merge", "resample"]) {
      new Job(parse(readFileSync(join(output, `jobs/${name}.yaml`), "utf8"))).validate();
    }
    const here = start("flow", 3, corpus, "--executor", "local", "--output", join(folder, "here"));
    expect((await here.ended).status).toBe(0);
    expect(selection(output)).toBe(selection(join(folder, "here")));
  });

  it("ends with what a pod said, and its exit status", async () => {
    const data = join(folder, "bad/part-0.jsonl");
    mkdirSync(join(data, ".."), { recursive: true });
    writeFileSync(data, '{"text": broken}\n');
    const domains = { bad: data };
    const { status, result } = await start("fails", 2, { domains, heldOut: "none" }).ended;
    expect(status).toBe(65);
    expect(result.error).toMatchObject({
      code: "task-failed",
      message: expect.stringMatching(/count: task \d of 2 .* exit status 65; mend[\s\S]*part-0\.jsonl/),
    });
  });
});
