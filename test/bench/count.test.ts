/** The counting benchmark: its arithmetic on made-up runs, and a short run of it without any peer in Python. */
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import type { Contest } from "../../bench/count/contenders.ts";
import { goalsOf, timesAsFast } from "../../bench/count/figures.ts";
import type { ContestResult, Run } from "../../bench/count/measure.ts";
import { parseOptions } from "../../bench/count/options.ts";
import { reportOf } from "../../bench/count/report.ts";
import { runProgram } from "../../bench/process.ts";
import { median } from "../../bench/statistics.ts";
import { REPOSITORY } from "../tokenizer/vectors.ts";

function result(contest: Partial<Contest>, seconds: Record<string, number[]>, run: Partial<Run> = {}): ContestResult {
  const base = { loadSeconds: 0.1, tokens: 7, peakBytes: 2e8, mainThreadSeconds: 0.5 };
  const names = Object.keys(seconds);
  return {
    contest: {
      ...{ part: "counter", vocabulary: "r50k", data: "whole", bytes: 1e8 },
      ...contest,
      contenders: names.map((name) => ({
        name,
        rounds: seconds[name]!.length,
        command: () => ({ program: "", args: [] }),
      })),
    },
    runs: names.flatMap((contender) =>
      seconds[contender]!.map((s, round) => ({ ...base, contender, round, seconds: [s, s / 2], ...run })),
    ),
  };
}

it("takes the middle run, and compares round by round", () => {
  expect([median([3, 1, 2]), median([4, 1, 2, 3])]).toEqual([2, 2.5]);
  // the second round met a busy machine: both took twice as long in it
  expect(timesAsFast(result({}, { doremi: [1, 2, 1], gigatoken: [3, 6, 3] }), "doremi", "gigatoken")).toBe(3);
  expect(timesAsFast(result({}, { doremi: [1, 2, 4], datatrove: [30] }), "doremi", "datatrove")).toBe(30);
});

it("judges every goal by its own measure", () => {
  const goals = goalsOf([
    result({}, { doremi: [2], gigatoken: [3] }),
    result({ vocabulary: "llama2" }, { doremi: [2], gigatoken: [3] }),
    result({ data: "sample" }, { doremi: [1], tiktoken: [9], tokenizers: [31], "gpt-tokenizer": [4] }),
    result({ part: "end-to-end", data: "repeated" }, { "doremi, 2 workers": [2], gigatoken: [4], datasets: [40] }),
    result({ part: "scaling", data: "repeated" }, { "doremi, 1 worker": [19], "doremi, 2 workers": [10] }),
  ]);
  expect(goals.map(({ what, found, met }) => [what, found, met])).toEqual([
    ["counting alone, r50k, gigatoken", "1.50 ×", true],
    ["counting alone, llama2, gigatoken", "1.50 ×", false],
    ["counting alone, r50k, tiktoken", "9.00 ×", false],
    ["counting alone, r50k, tokenizers", "31.00 ×", true],
    ["end to end, the text repeated, gigatoken", "2.00 ×", true],
    ["end to end, the text repeated, datasets", "20.00 ×", false],
    ["end to end, the text repeated, memory", "200 MB", true],
    ["end to end, the text repeated, main thread", "25.0 %", false],
    ["doremi, 2 workers against one", "1.90 ×", true],
  ]);
});

it("says where a peer counts other tokens", () => {
  const agreeing = result({}, { doremi: [1], gigatoken: [1] });
  const [ours, theirs] = agreeing.runs as [Run, Run];
  const about = {
    date: "2000-01-01",
    machine: "2 cores",
    doremi: "0",
    peers: {},
    documents: 1,
    bytes: 1e8,
    domains: 1,
  };
  const page = (results: ContestResult[]) =>
    reportOf({ ...about, options: { runs: 1, slowRuns: 1, repetitions: 10, workers: 2 } }, results);
  expect(page([agreeing])).not.toContain("differs");
  expect(page([{ ...agreeing, runs: [ours, { ...theirs, tokens: 8 }] }])).toContain("8 (differs)");
});

it("refuses options that mean nothing", () => {
  expect(parseOptions(["--help"])).toBeNull();
  expect(() => parseOptions(["--parts", "counting"])).toThrow(/--parts: must be of counter, end-to-end, scaling/);
  expect(() => parseOptions(["--runs", "0.5"])).toThrow(/--runs: must be a whole number/);
  expect(() => parseOptions(["--fast"])).toThrow(/--fast/);
});

it("tells what a program took, and what it said when it failed", async () => {
  const run = (code: string) => runProgram({ program: process.execPath, args: ["-e", code] });
  const busy = await run(
    "const b = Buffer.alloc(150e6, 1); const t = Date.now(); while (Date.now() - t < 300); console.log(b[0])",
  );
  expect(busy.stdout).toBe("1\n");
  expect(busy.seconds).toBeGreaterThan(0.3);
  if (process.platform === "linux") {
    expect(busy.peakBytes).toBeGreaterThan(150e6);
    expect(busy.mainThreadSeconds).toBeGreaterThan(0.1);
  }
  await expect(run("console.error('no such file'); process.exit(3)")).rejects.toThrow(/exit 3\nno such file/);
});

it("measures, and writes a page that names no file of this machine", async () => {
  const folder = await mkdtemp(join(tmpdir(), "doremi-bench-test-"));
  try {
    const out = join(folder, "count.md");
    const size = ["--megabytes", "1", "--runs", "1", "--parts", "counter", "--vocabularies", "r50k"];
    const args = ["--import", "tsx", "bench/count/main.ts", ...size, "--out", out];
    await promisify(execFile)(process.execPath, args, { cwd: REPOSITORY });
    const page = await readFile(out, "utf8");
    expect(page).toMatch(/\| r50k \| the text once \| doremi \| [\d.]+ \| [\d.]+ \|/);
    expect(page).toMatch(/\| r50k \| every fourth document \| gpt-tokenizer \| [\d.]+ \|/);
    expect(page).not.toContain("differs");
    for (const place of [REPOSITORY, tmpdir(), folder]) expect(page).not.toContain(place);
  } finally {
    await rm(folder, { recursive: true });
  }
});
