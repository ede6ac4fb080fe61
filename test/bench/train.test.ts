/** The training benchmark: its arithmetic on made-up runs, and a short run of it without PyTorch. */
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { caseOf, limitMs } from "../../bench/train/cases.ts";
import { type Contest, describeContest, OURS, PEAK, planContests } from "../../bench/train/contenders.ts";
import { differenceOf, goalsOf, timeOf, timesAsFast, weightsAgreement } from "../../bench/train/figures.ts";
import { writeJob } from "../../bench/train/job.ts";
import { type ContestResult, type Line, type Run, runContest, type StepsLine } from "../../bench/train/measure.ts";
import { parseOptions } from "../../bench/train/options.ts";
import { shareRows, timeByOperation } from "../../bench/train/profile.ts";
import { reportOf } from "../../bench/train/report.ts";
import { trainingFlops } from "../../src/trainer/model.ts";
import { REPOSITORY } from "../tokenizer/vectors.ts";

const OPTIONS = parseOptions(["--python", "python3"])!;
const INPUTS = { jobs: "jobs", recipes: "recipes", compiled: "compiled" };
const contests = planContests(OPTIONS, INPUTS);

/** Of four steps of bench/train/peers.py, case a, job cached, mode sdpa, torch 2.15.0. */
const TORCH_LOSSES = [8.358431816101074, 8.367846488952637, 8.368505477905273, 8.382174491882324];
const TORCH_ALPHA = [
  ...[0.13021082571981785, 0.1234791244165641, 0.13638434279391334, 0.11173567758012908],
  ...[0.11465835338603109, 0.13510410605673615, 0.1188829932227696, 0.1295445768240389],
];

/** Steps that take so many ms after a warm-up of 9 s. */
const steps = (ms: number, losses = [8, 7, 6]): Line => ({ losses, milliseconds: [9000, 9000, ms, ms], alpha: null });

function result(pick: Partial<Contest>, lines: Record<string, readonly Line[]>, run: Partial<Run> = {}): ContestResult {
  const contest = contests.find((one) =>
    Object.entries(pick).every(([key, value]) => Reflect.get(one, key) === value),
  )!;
  const base = { wallSeconds: 60, peakBytes: 4e8, otherShare: 0.01 };
  return {
    contest,
    failures: [],
    runs: Object.entries(lines).flatMap(([contender, own]) =>
      own.map((line, round) => ({ ...base, contender, round, line, ...run })),
    ),
  };
}

describe("figures", () => {
  it("leave the warm-up out and compare round by round", () => {
    // the second round met a busy machine: both took twice as long in it
    const busy = result(
      { part: "steps", case: "a" },
      { [OURS]: [steps(200), steps(400)], "torch sdpa": [steps(300), steps(600)] },
    );
    expect(timeOf(busy.runs[0]!)).toBe(200);
    expect(timesAsFast(busy, "torch sdpa")).toBe(1.5);
  });

  it("do not compare with a program whose losses or weights are others, or no number", () => {
    const of = (line: Line) => result({ part: "steps", case: "a" }, { [OURS]: [steps(200)], "torch sdpa": [line] });
    expect(differenceOf(of(steps(300, [8, 7, 6.00005])), "torch sdpa")).toBeCloseTo(5e-5, 8);
    expect(goalsOf([of(steps(300, [8, 7, 6.00005]))])).toHaveLength(2);
    expect(goalsOf([of(steps(300, [8, 7, 6.001]))])).toEqual([]);
    expect(goalsOf([of(steps(300, [8, Number.NaN, 6]))])).toEqual([]);
  });

  it("judge every goal by its own measure", () => {
    const limit = limitMs(caseOf.a, 128);
    // 2·3 FLOP for each weight of the layers and the output, and 12·T·D·L for attention, each token
    expect(limit * 128e6).toBe(trainingFlops(caseOf.a.model, 1024));
    expect(limit).toBeCloseTo((1024 * (6 * (12 * 4 * 256 ** 2 + 4096 * 256) + 12 * 128 * 256 * 4)) / 128e6, 6);
    const goals = goalsOf([
      result(
        { part: "steps", case: "a" },
        {
          [PEAK]: [{ gflops: 100 }, { gflops: 128 }],
          [OURS]: [steps(limit * 1.2), steps(limit * 1.2)],
          "torch eager": [steps(limit * 2), steps(limit * 2)],
          "torch compile+sdpa": [steps(limit * 1.1), steps(limit * 1.1)],
        },
      ),
      result(
        { part: "proxy", case: "b" },
        { [OURS]: [steps(100)], "torch sdpa": [steps(150)], "torch sdpa, cached": [steps(90)] },
      ),
      result({ part: "opening" }, { [OURS]: [{ seconds: 1.5 }] }),
      result(
        { part: "recipe", recipe: "r50k" },
        {
          [OURS]: [
            {
              rounds: [
                [1, 0],
                [0.6, 0.4],
              ],
            },
            { rounds: [[0.7, 0.3]] },
          ],
          "torch sdpa": [{ rounds: [[0.64, 0.36]] }, { rounds: [[0.68, 0.32]] }],
        },
      ),
    ]);
    expect(goals.map(({ what, found, met }) => [what, found, met])).toEqual([
      ["a step of a, torch compile+sdpa", "0.92 ×", false],
      ["a step of a, the limit", "1.20 ×", false],
      ["memory of a", "400 MB", false],
      ["a proxy step of b, torch sdpa, resident", "1.50 ×", true],
      ["opening 280M", "1.50 s", true],
      ["the recipe, r50k, torch sdpa", "1.00 ×", false],
      ["the recipe's weights, r50k, largest difference of a domain's mean", "0.0100", true],
    ]);
  });

  it("hold the programs' mean weights against how far seeds are apart", () => {
    const runs = (...weights: number[]) => weights.map((weight) => ({ rounds: [[weight, 1 - weight]] }));
    const agreement = weightsAgreement(
      result({ part: "recipe" }, { [OURS]: runs(0.5, 0.52), "torch sdpa": runs(0.6, 0.61) }),
    )!;
    expect(agreement.between).toBeCloseTo(0.095, 9);
    expect(agreement.seeds).toBeCloseTo(0.02, 9);
  });
});

it("sums a profile up by kind of operation, without the runs that warm up", () => {
  const kernel = (op_name: string, ts: number, dur: number) => ({
    ...{ cat: "Node", name: `node_${ts}_kernel_time`, ts, dur, args: { op_name } },
  });
  const run = (ts: number) => ({ cat: "Session", name: "model_run", ts, dur: 100 });
  const fence = { ...kernel("Gemm", 15, 50), name: "node_fence_before" };
  const first = [run(0), kernel("Gemm", 1, 1000)];
  const second = [run(10), kernel("Gemm", 11, 600), kernel("MatMul", 12, 200), kernel("Add", 13, 195), fence];
  const times = timeByOperation([...first, ...second, kernel("Sqrt", 14, 5)], 1);
  expect([...times]).toEqual([
    ["Gemm", 600],
    ["MatMul", 200],
    ["Add", 195],
    ["Sqrt", 5],
  ]);
  expect(shareRows(times)).toEqual([
    ["products of matrices (Gemm, MatMul)", "80.0 %"],
    ["Add", "19.5 %"],
    ["1 others", "0.5 %"],
  ]);
});

it("plans every case in turns, and doremi alone without a Python", () => {
  expect(contests.map(describeContest)).toEqual([
    ...["steps a", "proxy a", "steps b", "proxy b", "steps c", "opening", "recipe 4096", "recipe r50k"],
  ]);
  const names = (all: readonly Contest[]) =>
    new Set(all.flatMap(({ contenders }) => contenders.map(({ name }) => name)));
  expect(names(contests)).toContain("torch compile+sdpa");
  expect(names(planContests(parseOptions([])!, INPUTS))).toEqual(new Set([OURS]));
  // each round of the recipe has a seed of its own
  const [ours] = contests.at(-1)!.contenders;
  expect([0, 1].map((round) => ours!.command(round).args.at(-2))).toEqual(["1", "2"]);
  expect(() => parseOptions(["--cases", "a,d"])).toThrow('--cases: must be of a, b, c; found "d"');
  expect(() => parseOptions(["--runs", "0"])).toThrow(/--runs/);
});

it("goes on without a peer that fails, says why, and names no folder", async () => {
  const node = (code: string) => () => ({ program: process.execPath, args: ["-e", code] });
  const ours = { name: OURS, command: node(`console.log('{"seconds":1}')`) };
  const broken = { name: "torch compile", command: node("console.error('no /usr/bin/g++ here'); process.exit(1)") };
  const contest: Contest = { part: "opening", contenders: [ours, broken] };
  const found = await runContest(contest, 2, OURS, () => {});
  expect(found.runs.map(({ contender, round }) => [contender, round])).toEqual([
    [OURS, 0],
    [OURS, 1],
  ]);
  const about = { date: "2026-01-01", machine: "2 cores", doremi: "1", peers: {}, options: OPTIONS };
  expect(reportOf(about, [found])).toContain("- opening, torch compile: no g++ here");
  await expect(
    runContest({ ...contest, contenders: [{ ...broken, name: OURS }] }, 1, OURS, () => {}),
  ).rejects.toThrow();
});

it("trains on the batches whose losses PyTorch has too", async () => {
  const folder = await mkdtemp(join(tmpdir(), "doremi-bench-test-"));
  try {
    await writeJob(folder, "a", true);
    const args = ["--import", "tsx", "bench/train/steps.ts", folder, "cached", String(TORCH_LOSSES.length), "2"];
    const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: REPOSITORY });
    const { losses, milliseconds, alpha } = JSON.parse(stdout) as StepsLine;
    expect(milliseconds).toHaveLength(TORCH_LOSSES.length);
    for (const [step, loss] of TORCH_LOSSES.entries()) expect(losses[step]).toBeCloseTo(loss, 4);
    for (const [domain, weight] of TORCH_ALPHA.entries()) expect(alpha![domain]).toBeCloseTo(weight, 6);
  } finally {
    await rm(folder, { recursive: true });
  }
}, 180_000);

it("measures, prints JSON, and writes a page that names no file of this machine", async () => {
  const folder = await mkdtemp(join(tmpdir(), "doremi-bench-test-"));
  try {
    const out = join(folder, "train.md");
    const args = ["--import", "tsx", "bench/train/main.ts", "--runs", "1", "--parts", "opening", "--out", out];
    const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: REPOSITORY });
    const { goals } = JSON.parse(stdout) as { goals: { what: string }[] };
    expect(goals.map(({ what }) => what)).toEqual(["opening 280M"]);
    const page = await readFile(out, "utf8");
    expect(page).toMatch(/\| doremi \| [\d.]+ \|/);
    for (const place of [REPOSITORY, tmpdir(), folder]) expect(page).not.toContain(place);
  } finally {
    await rm(folder, { recursive: true });
  }
}, 180_000);
