/**
 * The templates of integrations/: what they call is a command of ours with options that it has, an exit status that asks
 * for another try gets one and no other does, and the manifest's path arrives at the next step. The systems themselves
 * are not here: scripts run with a program in doremi's place.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { deflateSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { buildProgram } from "../../src/cli/program.ts";
import { EXIT_STATUS } from "../../src/lib/errors.ts";
import { callWithStandIn } from "./stand-in.ts";

const FOLDER = fileURLToPath(new URL("../../integrations", import.meta.url));
const RESUMABLE: number[] = [75, 130, 143];
const PERMANENT: number[] = Object.values(EXIT_STATUS).filter((status) => !RESUMABLE.includes(status));
const MANIFEST = "/runs/x y/manifest.json";

const read = (path: string) => readFileSync(join(FOLDER, path), "utf8");

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "doremi-integrations-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** @param args of a call of doremi; placeholders stand for one argument each */
function expectValid(args: readonly string[]): void {
  const [name, ...rest] = args;
  const command = buildProgram(() => {}).commands.find((one) => one.name() === name);
  expect(command, `doremi ${name}`).toBeDefined();
  const { operands, unknown } = command!.parseOptions(rest);
  expect(unknown).toEqual([]);
  expect(operands).toHaveLength(1);
}

describe("Argo", () => {
  const { spec } = parse(read("argo/workflow-template.yaml"));
  const template = (name: string) => spec.templates.find((one: { name: string }) => one.name === name);

  it("calls commands that there are, in the image that the Dockerfile makes", () => {
    for (const name of ["run", "verify"]) expectValid(template(name).container.args);
    const values = Object.fromEntries(
      spec.arguments.parameters.map((one: Record<string, string>) => [one.name, one.value]),
    );
    const dockerfile = readFileSync(join(FOLDER, "../Dockerfile"), "utf8");
    expect(dockerfile).toContain('ENTRYPOINT ["doremi"]');
    expect(dockerfile).toContain(`WORKDIR ${values.pipeline.replace("/pipelines/quickstart.yaml", "")}`);
    expect(values.output.startsWith(`${template("run").container.volumeMounts[0].mountPath}/`)).toBe(true);
  });

  it("tries again what goes on where it was, and nothing else", () => {
    const { expression } = template("run").retryStrategy;
    const statuses = /asInt\(lastRetry\.exitCode\) in \[([^\]]*)\]/.exec(expression)![1]!.split(",").map(Number);
    expect(statuses).toEqual(expect.arrayContaining(RESUMABLE));
    expect(statuses.filter((status) => PERMANENT.includes(status))).toEqual([]);
    expect(template("verify").retryStrategy).toBeUndefined();
  });

  it("hands the manifest to the step behind it and out of the template", () => {
    const { dag, outputs } = template("mixture");
    const [run, verify] = dag.tasks;
    const taken = `jsonpath(tasks.${run.name}.outputs.result, '$.manifest')`;
    expect(verify.dependencies).toEqual([run.name]);
    expect(verify.arguments.parameters).toEqual([{ name: "manifest", value: `{{=${taken}}}` }]);
    expect(template("verify").inputs.parameters).toEqual([{ name: "manifest" }]);
    expect(outputs.parameters).toEqual([{ name: "manifest", valueFrom: { expression: taken } }]);
  });
});

describe("Kubeflow", () => {
  /** The component's script as Python reads it. */
  const script = (name: string) =>
    new RegExp(`^${name} = """\\\\\\n([\\s\\S]*?)"""`, "m")
      .exec(read("kubeflow/pipeline.py"))![1]!
      .replaceAll("\\\\", "\\");
  const run = (runStatus: number) => {
    const [result, manifest] = [join(folder, "a/result"), join(folder, "b/manifest")];
    const command = ["sh", "-ec", script("RUN"), "mine.yaml", "/runs/x", result, manifest] as const;
    return callWithStandIn({ folder, command: [...command], runStatus });
  };

  it("passes the result and the manifest on", async () => {
    const { status, calls } = await run(0);
    expect(status).toBe(0);
    expectValid(calls[0]!.split(" "));
    expect(readFileSync(join(folder, "b/manifest"), "utf8")).toBe(MANIFEST);
    const verdict = join(folder, "c/verdict");
    const command: [string, ...string[]] = ["sh", "-ec", script("VERIFY"), "manifest.json", "{}", verdict];
    const verified = await callWithStandIn({ folder, command, runStatus: 0 });
    expect(verified.status).toBe(0);
    expectValid(verified.calls.at(-1)!.split(" "));
    expect(JSON.parse(readFileSync(verdict, "utf8")).ok).toBe(true);
  });

  it.each(RESUMABLE)("fails with %i, which Kubeflow tries again", async (status) => {
    expect((await run(status)).status).toBe(status);
  });

  it.each(PERMANENT)("hands %i on, for the step behind it to fail by", async (status) => {
    expect((await run(status)).status).toBe(0);
    const manifest = readFileSync(join(folder, "b/manifest"), "utf8");
    const result = readFileSync(join(folder, "a/result"), "utf8");
    const command: [string, ...string[]] = ["sh", "-ec", script("VERIFY"), manifest, result, join(folder, "c/verdict")];
    const verified = await callWithStandIn({ folder, command, runStatus: 0 });
    expect(verified.status).toBe(65);
    expect(verified.stderr).toContain("bad-thing");
  });
});

describe("Dagster", () => {
  async function run(runStatus: number | "signal", signal?: NodeJS.Signals) {
    const messages = join(folder, "messages");
    const parameters = deflateSync(JSON.stringify({ path: messages })).toString("base64");
    const ending = await callWithStandIn({
      folder,
      command: [process.execPath, join(FOLDER, "dagster/doremi-pipes.mjs"), "run", "mine.yaml", "--output", "/runs/x"],
      runStatus,
      env: { DAGSTER_PIPES_MESSAGES: parameters },
      ...(signal && { signal }),
    });
    const sent = readFileSync(messages, "utf8").trim().split("\n");
    return { ...ending, messages: sent.map((line) => JSON.parse(line)) };
  }

  it.each([0, ...RESUMABLE, ...PERMANENT])("reports the line and status %i in a Pipes session", async (status) => {
    const { messages, calls, ...ending } = await run(status);
    expect(ending.status).toBe(0);
    expectValid(calls[0]!.split(" "));
    expect(messages.map(({ method }) => method)).toEqual(["opened", "report_custom_message", "closed"]);
    expect(new Set(messages.map((message) => message.__dagster_pipes_version))).toEqual(new Set(["0.1"]));
    const { payload } = messages[1].params;
    expect(payload.status).toBe(status);
    if (status === 0) expect(payload.result.manifest).toBe(MANIFEST);
    else expect(payload.result.error.code).toBe("bad-thing");
  });

  it.each([
    ["SIGTERM", 143],
    ["SIGINT", 130],
  ] as const)("passes %s on", async (signal, status) => {
    const { messages } = await run("signal", signal);
    expect(messages[1].params.payload.status).toBe(status);
  });
});

describe("Slurm", () => {
  const run = (runStatus: number | "signal", signal?: NodeJS.Signals) =>
    callWithStandIn({
      folder,
      command: ["bash", join(FOLDER, "slurm/doremi.sbatch")],
      runStatus,
      env: { PIPELINE: "mine.yaml", OUTPUT: join(folder, "out"), SLURM_JOB_ID: "42" },
      ...(signal && { signal }),
    });

  it("verifies the manifest and leaves its path for the next job", async () => {
    const { status, calls } = await run(0);
    expect(status).toBe(0);
    expect(calls).toHaveLength(2);
    expectValid(calls[0]!.split(" "));
    expect(calls[1]).toContain(`verify ${MANIFEST}`);
    expectValid(calls[1]!.replace(MANIFEST, "manifest.json").split(" "));
    expect(readFileSync(join(folder, "out/manifest.path"), "utf8")).toBe(`${MANIFEST}\n`);
  });

  it("passes SIGUSR1 on, which comes before the time is up, and queues the job anew", async () => {
    const { status, calls } = await run("signal", "SIGUSR1");
    expect(status).toBe(75);
    expect(calls.slice(1)).toEqual(["scontrol requeue 42"]);
  });

  it("passes SIGTERM on, and leaves it to Slurm whether the job comes back", async () => {
    const { status, calls } = await run("signal", "SIGTERM");
    expect(status).toBe(143);
    expect(calls).toHaveLength(1);
  });

  it.each(PERMANENT)("ends with %i, once", async (status) => {
    const ending = await run(status);
    expect(ending.status).toBe(status);
    expect(ending.calls).toHaveLength(1);
    expect(ending.stderr).toContain("bad-thing");
  });
});

describe("Airflow, Dagster and Nextflow", () => {
  it.each([
    ["airflow/doremi_dag.py", /RESUMABLE = \{([^}]*)\}/],
    ["dagster/doremi_assets.py", /RESUMABLE = \{([^}]*)\}/],
    ["nextflow/main.nf", /task\.exitStatus in \[([^\]]*)\]/],
  ])("%s tries again what goes on where it was, and nothing else", (path, list) => {
    const statuses = list.exec(read(path))![1]!.split(",").map(Number);
    expect(statuses).toEqual(expect.arrayContaining(RESUMABLE));
    expect(statuses.filter((status) => PERMANENT.includes(status))).toEqual([]);
  });

  it("call commands that there are", () => {
    const lists = [...read("airflow/doremi_dag.py").matchAll(/arguments=\[("(?:run|verify)".*)\]/g)];
    expect(lists).toHaveLength(2);
    for (const [, list] of lists) expectValid(list!.split(/, /).map((one) => one.replace(/^"|"$/g, "")));
    const calls = [...read("nextflow/main.nf").matchAll(/\$\{params\.doremi\} (.*) > /g)];
    expect(calls).toHaveLength(2);
    for (const [, call] of calls) expectValid(call!.split(" "));
    const dagster = [...read("dagster/doremi_assets.py").matchAll(/doremi\(context, pipes, (.*)\)/g)];
    expect(dagster).toHaveLength(2);
    for (const [, call] of dagster) expectValid(call!.split(", ").map((one) => one.replace(/"/g, "")));
  });
});

const python = spawnSync("python3", ["--version"]).status === 0;
const sources = readdirSync(FOLDER, { recursive: true, encoding: "utf8" }).filter((path) => path.endsWith(".py"));

describe.skipIf(!python)(`Python${python ? "" : " (skipped: there is no python3)"}`, () => {
  it.each(sources)("%s compiles", (path) => {
    const compiled = join(folder, `${basename(path)}c`);
    const script = "import py_compile, sys; py_compile.compile(sys.argv[1], sys.argv[2], doraise=True)";
    const { status, stderr } = spawnSync("python3", ["-c", script, join(FOLDER, path), compiled], { encoding: "utf8" });
    expect(stderr).toBe("");
    expect(status).toBe(0);
  });
});

it("the commands of the README name files that there are", () => {
  const named = [...read("README.md").matchAll(/\bintegrations\/([\w./-]+\.\w+)/g)].map(([, path]) => path!);
  const linked = [...read("README.md").matchAll(/\]\(([^)]+)\)/g)].map(([, path]) => path!);
  expect(new Set(linked).size).toBe(6);
  for (const path of [...named, ...linked]) expect(() => read(path)).not.toThrow();
});
