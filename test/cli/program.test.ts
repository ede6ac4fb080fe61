/** The commands as a user sees them: help, faults of usage, exit statuses. In this process where that is enough. */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Command } from "commander";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { STAGES } from "../../src/cli/options.ts";
import { buildProgram } from "../../src/cli/program.ts";
import { STAGE_NAMES } from "../../src/pipeline/bindings.ts";

const ROOT = join(import.meta.dirname, "..", "..");
const MAIN = join(ROOT, "src", "cli", "main.ts");
const CORPUS = join(ROOT, "test", "files", "corpus", "folders");

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "doremi-cli-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

function doremi(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, ["--import", "tsx", MAIN, ...args], {
    encoding: "utf8",
    cwd: ROOT,
    env: { ...process.env, DOREMI_DEBUG: "", TMPDIR: folder },
  });
  const lines = stdout.split("\n").filter((line) => line !== "");
  return { status, stderr, lines, result: lines.length === 1 ? JSON.parse(lines[0]!) : undefined };
}

describe("help", () => {
  const commands = buildProgram(() => {}).commands;
  const helpOf = (command: Command) => {
    let text = "";
    command.configureOutput({ writeOut: (part) => (text += part) });
    command.outputHelp();
    return text;
  };

  it("has the commands of the contract", () => {
    expect(commands.map((command) => command.name())).toEqual([
      "init",
      "run",
      "plan",
      "count",
      "merge",
      "train",
      "resample",
      "evaluate",
      "verify",
      "materialize",
      "export",
      "inspect",
      "replay",
      "weights",
      "report",
      "watch",
      "metrics",
      "doctor",
    ]);
  });

  it.each(commands.map((command) => [command.name(), command] as const))(
    "of %s explains every option and ends in an example",
    (name, command) => {
      const text = helpOf(command);
      expect(text).toMatch(new RegExp(`Example:\\n {2}\\$ doremi ${name} `));
      expect(command.options.filter((option) => option.description === "")).toEqual([]);
      expect(Math.max(...text.split("\n").map((line) => line.length))).toBeLessThanOrEqual(120);
    },
  );

  it("knows the stages of the pipeline", () => {
    expect(STAGES).toEqual(STAGE_NAMES);
  });
});

describe("faults of usage", () => {
  it("unknown command: status 2, the nearest one, one line on stdout", () => {
    const { status, stderr, result } = doremi("rnu", "x.yaml");
    expect(status).toBe(2);
    expect(result).toEqual({
      command: null,
      error: { code: "unknown-command", message: expect.stringContaining("Did you mean run?") },
    });
    expect(stderr).toMatch(/^doremi: unknown command 'rnu' .*\nTry: doremi --help\n$/);
  });

  it("the help of an unknown command: the same", () => {
    const { status, stderr, result } = doremi("help", "rnu");
    expect(status).toBe(2);
    expect(result).toMatchObject({
      error: { code: "unknown-command", message: expect.stringContaining("did you mean run?") },
    });
    expect(stderr).toMatch(/^doremi: unknown command 'rnu' .*\nTry: doremi --help\n$/);
    expect(doremi("help", "run").status).toBe(0);
  });

  it("unknown option: status 2 and the nearest one", () => {
    const { status, result } = doremi("run", "x.yaml", "--wrokers", "3");
    expect(status).toBe(2);
    expect(result).toEqual({
      command: "run",
      error: { code: "unknown-option", message: expect.stringContaining("--workers") },
    });
  });

  it("a bad value: status 2 and the rule", () => {
    const { status, result } = doremi("resample", "x.yaml", "--budget", "many");
    expect(status).toBe(2);
    expect(result.error).toMatchObject({ code: "invalid-argument", message: expect.stringContaining("300M") });
  });

  it("count without anything to count: status 2", () => {
    const { status, result } = doremi("count", "--data", "x/*", "--log-format", "text");
    expect(status).toBe(2);
    expect(result).toMatchObject({ command: "count", error: { message: expect.stringContaining("--tokenizer") } });
  });
});

describe("failures", () => {
  it("a missing pipeline file: status 66, a JSON line on both outputs where stderr is no terminal", () => {
    const { status, stderr, result } = doremi("run", "nowhere.yaml");
    expect(status).toBe(66);
    expect(result).toEqual({
      command: "run",
      error: {
        code: "missing-file",
        message: expect.stringContaining("nowhere.yaml"),
        file: expect.stringContaining("nowhere.yaml"),
      },
    });
    expect(JSON.parse(stderr)).toMatchObject({ event: "error", code: "missing-file" });
  });

  it("a plan with files missing: the plan, and the status that a run would end with", () => {
    const file = join(folder, "missing.yaml");
    writeFileSync(file, "version: 1\nname: x\noutput: out\ntokenizer: r50k\ndata:\n  files: nowhere/{domain}/*\n");
    const { status, result } = doremi("plan", file, "--json");
    expect(status).toBe(66);
    expect(result).toMatchObject({
      command: "plan",
      missing: [{ message: expect.stringContaining("no file matches") }],
    });
  });

  it("a wrong setting: status 78, one readable line without a stack", () => {
    const file = join(folder, "wrong.yaml");
    writeFileSync(file, "version: 1\nname: x\noutput: out\ntokenizer: r50k\ndata:\n  flies: a/*\n");
    const { status, stderr, result } = doremi("run", file, "--log-format", "text");
    expect(status).toBe(78);
    expect(result.error).toMatchObject({ code: "unknown-key", line: 6 });
    expect(stderr).toMatch(/^doremi run: .*wrong\.yaml:6: .*“files”.*\n$/);
  });
});

describe("count", () => {
  it("counts files without a pipeline file and leaves nothing behind", () => {
    const { status, stderr, result } = doremi(
      ...["count", "--data", `${CORPUS}/{domain}/part-*`, "--tokenizer", "r50k", "--log-format", "text"],
    );
    expect(stderr).toMatch(/domain +documents/);
    expect(status).toBe(0);
    const expected: Record<string, { documents: number; bytes: number; tokens: { r50k: number } }> = JSON.parse(
      readFileSync(`${CORPUS}.counts.json`, "utf8"),
    ).domains;
    const domains = Object.entries(expected).map(([name, { documents, bytes, tokens }]) => [
      name,
      { documents, bytes, tokens: { r50k: tokens.r50k } },
    ]);
    expect(result).toMatchObject({ command: "count", domains: Object.fromEntries(domains), skipped: [] });
    expect(Object.keys(result.domains)).toEqual(Object.keys(expected));
    expect(result.shards).toEqual({ counted: 5, kept: 0, cached: 0 });
    expect(leftovers()).toEqual([]);
  });

  it("estimates from a sample under names of its own, so that no script takes it for counts", () => {
    const { status, stderr, result } = doremi(
      ...["count", "--data", `${CORPUS}/{domain}/part-*`, "--tokenizer", "r50k", "cl100k", "--sample", "50%"],
      ...["--log-format", "text"],
    );
    expect(status).toBe(0);
    expect(stderr).toMatch(/95 % interval[\s\S]*Estimated from \d+ of \d+ row groups/);
    expect(result.domains).toBeUndefined();
    expect(result.sample).toMatchObject({ fraction: 0.5, seed: 1 });
    const { tokens } = JSON.parse(readFileSync(`${CORPUS}.counts.json`, "utf8")).domains.math;
    // A domain of so few units is read whole.
    expect(result.estimates.math.tokens.r50k).toEqual({ estimate: tokens.r50k, low: tokens.r50k, high: tokens.r50k });
    expect(leftovers()).toEqual([]);
  });

  it("SIGTERM: status 143, says so in JSON, leaves nothing behind", async () => {
    const args = ["count", "--data", `${CORPUS}/{domain}/part-*`, "--tokenizer", "r50k"];
    const child = spawn(process.execPath, ["--import", "tsx", MAIN, ...args], {
      cwd: ROOT,
      env: { ...process.env, TMPDIR: folder },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let [stdout, stderr] = ["", ""];
    child.stdout.on("data", (chunk) => {
      stdout += chunk;
    });
    child.stderr.on("data", (chunk) => {
      if (stderr === "") child.kill("SIGTERM");
      stderr += chunk;
    });
    const [status] = await once(child, "close");
    expect(status).toBe(143);
    expect(JSON.parse(stdout)).toMatchObject({ command: "count", error: { code: "interrupted" } });
    const events = stderr
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line).event);
    expect(events).toEqual(expect.arrayContaining(["stopping", "error"]));
    expect(leftovers()).toEqual([]);
  });

  function leftovers(): string[] {
    return readdirSync(folder).filter((name) => name.startsWith("doremi-count-"));
  }
});

it("a reader that leaves early is no failure", async () => {
  const child = spawn(
    process.execPath,
    ["--import", "tsx", MAIN, "inspect", join(CORPUS, "math/part-00000.jsonl.gz")],
    {
      cwd: ROOT,
      stdio: ["ignore", "pipe", "pipe"],
    },
  );
  child.stdout.destroy();
  child.stderr.destroy();
  const [status] = await once(child, "exit");
  expect(status).toBe(0);
});
