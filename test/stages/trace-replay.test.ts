/** Golden losses as recordings, through the real files: a replay must give the weights of the golden runs. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { DOREMI_PRESETS, type DoReMiSettings, type ObjectiveSettings } from "../../src/mixture/objective-settings.ts";
import { createObjective } from "../../src/mixture/objectives.ts";
import { Replay } from "../../src/mixture/replay.ts";
import { completeObjective } from "../../src/stages/proxy/objective.ts";
import { findRecording } from "../../src/stages/trace-find.ts";
import { openRecording } from "../../src/stages/trace-read.ts";
import { type ReplayOptions, replayRecording } from "../../src/stages/trace-replay.ts";
import { TrajectoryLog } from "../../src/stages/trajectory.ts";
import { expectClose, GOLDEN, readGolden } from "../mixture/golden.ts";
import { domainNames, type GoldenInputs, recordedProxy, recordsOf, writeRun } from "./recorded.ts";

interface GoldenRun {
  readonly inputs: string;
  readonly eta: number;
  readonly eps: number;
  readonly alpha0?: number[] | "uniform";
  readonly sampling?: number[] | "uniform";
  readonly float64: readonly { readonly alpha: number[]; readonly avg: number[] }[];
}

const SETS = ["k2_small_excess", "k3_missing", "k5_full", "k7_missing", "k22_missing"];
/** Printed with 15 digits; both sides add up some hundred doubles a step. */
const TOLERANCE = 1e-9;
const FLOOR = 1e-6;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "doremi-replay-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const inputsOf = (set: string) => readGolden<GoldenInputs>(`doremi/inputs_${set}.json`);

/** The folder of a run of the set's losses. */
async function runOf(set: string, objective: ObjectiveSettings = DOREMI_PRESETS.paper): Promise<string> {
  const run = mkdtempSync(join(folder, "run-"));
  const inputs = inputsOf(set);
  const proxy = recordedProxy(inputs, objective);
  await writeRun(
    run,
    proxy,
    recordsOf(inputs, proxy, (step) => heldOut(inputs.k, step)),
  );
  return run;
}

const heldOut = (K: number, step: number) =>
  step % 10 === 1 ? Float64Array.from({ length: K }, (_, k) => 3 + k / step) : undefined;

async function replayed(path: string, settings: readonly ObjectiveSettings[], options?: ReplayOptions) {
  const recording = await openRecording(path);
  try {
    return await replayRecording(recording, settings, options);
  } finally {
    await recording.close();
  }
}

describe.each(SETS)("losses of %s, recorded and replayed", (set) => {
  // One accumulates two steps into one update, which is no step of ours.
  const names = readdirSync(new URL("doremi/", GOLDEN)).filter((name) =>
    new RegExp(`^(paper|official)_${set}_(?!grad_accumulation)`).test(name),
  );
  const runs = names.map((name) => ({ name, golden: readGolden<GoldenRun>(`doremi/${name}`) }));
  const settingsOf = (name: string, { eta, eps }: GoldenRun): DoReMiSettings => ({
    ...DOREMI_PRESETS[name.startsWith("paper") ? "paper" : "official"],
    eta,
    smoothing: eps,
  });
  const usual = runs.filter(({ golden: { alpha0 = "uniform" } }) => alpha0 === "uniform");
  let path: string;
  beforeAll(async () => {
    path = await runOf(set);
  });

  it.each(["trace", "trajectory"])("as Algorithm 1 and the official code have it, from the %s", async (file) => {
    expect(usual).toHaveLength(8);
    const settings = usual.map(({ name, golden }) => settingsOf(name, golden));
    const steps: number[][] = [];
    const { objectives, reproduction } = await replayed(join(path, `${file}.arrow`), settings, {
      onStep: (step, weights) => {
        steps.push([step, weights.length]);
        for (const [i, { golden }] of usual.entries()) {
          expectClose(weights[i + 1]!.alpha, golden.float64[step - 1]!.alpha, TOLERANCE, FLOOR);
          expectClose(weights[i + 1]!.average, golden.float64[step - 1]!.avg, TOLERANCE, FLOOR);
        }
      },
    });
    expect(steps).toEqual(Array.from({ length: 50 }, (_, i) => [i + 1, 9]));
    for (const [i, { golden }] of usual.entries())
      expectClose(objectives[i]!.average, golden.float64.at(-1)!.avg, TOLERANCE, FLOOR);
    expect(reproduction).toMatchObject(
      file === "trace" ? { verdict: "exact", largest: 0, step: null } : { step: null, verdict: /exact|rounded/ },
    );
  });

  const others = runs.filter((run) => !usual.includes(run));
  it.each(others.map(({ name, golden }) => [name, golden] as const))("%s, from its own start", async (name, golden) => {
    const { alpha0, sampling } = golden as { alpha0: number[]; sampling: number[] };
    // Printed with four digits, they do not add up to one; the official code normalises them.
    const sum = alpha0.reduce((a, b) => a + b);
    const inputs = inputsOf(set);
    const proxy = recordedProxy(inputs, DOREMI_PRESETS.paper, { sampling });
    const trace = await writeRun(mkdtempSync(join(folder, "other-")), proxy, recordsOf(inputs, proxy));
    const { objectives } = await replayed(trace, [settingsOf(name, golden)], { start: alpha0.map((w) => w / sum) });
    expectClose(objectives[0]!.average, golden.float64.at(-1)!.avg, TOLERANCE, FLOOR);
  });
});

const VARIED = [
  { name: "doremi", preset: "official" },
  { name: "group-dro", stepSize: 0.05 },
  { name: "group-dro", adjustment: "held-out" },
  { name: "group-dro", update: "best-response" },
  { name: "topic-cvar" },
  { name: "cvar" },
  { name: "chi-square", size: 1, over: "domains" },
  { name: "kl", losses: "loss" },
  { name: "chi-square", size: 1, over: "sequences" },
  { name: "kl", over: "sequences", regularization: 0.5 },
  { name: "erm" },
].map((settings) => completeObjective.parse(settings));

describe("a replay of a run", () => {
  it.each(VARIED.map((settings) => [JSON.stringify(settings), settings] as const))(
    "gives its weights bit for bit: %s",
    async (_, settings) => {
      const path = await runOf("k7_missing", settings);
      const { run, objectives, reproduction } = await replayed(join(path, "trace.arrow"), [settings]);
      expect(reproduction).toEqual({ verdict: "exact", largest: 0, step: null });
      expect(objectives[0]!.average).toEqual(run.average);
      expect(objectives[0]!.alpha).toEqual(run.alpha);
    },
  );

  it("gives each objective what it alone would give, however many are replayed at once", async () => {
    const inputs = inputsOf("k7_missing");
    const proxy = recordedProxy(inputs);
    const { objectives } = await replayed(join(await runOf("k7_missing"), "trace.arrow"), VARIED);
    for (const [i, settings] of VARIED.entries()) {
      const alone = new Replay(createObjective(settings, proxy.facts), proxy.facts);
      for (const { step, proxy: record } of recordsOf(inputs, proxy))
        alone.step({ sequences: record!.sequences, heldOut: heldOut(7, step) });
      expect(objectives[i]!.average).toEqual(alone.average);
    }
    // They do differ: held-out losses, for one, are used.
    expect(objectives[1]!.average).not.toEqual(objectives[2]!.average);
  });

  it("says from which step on the recorded weights do not follow", async () => {
    const inputs = inputsOf("k3_missing");
    const proxy = recordedProxy(inputs);
    const records = recordsOf(inputs, proxy).map((record) =>
      record.step === 20 ? { ...record, proxy: { ...record.proxy!, alpha: Float64Array.of(0.25, 0.25, 0.5) } } : record,
    );
    const run = mkdtempSync(join(folder, "changed-"));
    const { reproduction } = await replayed(await writeRun(run, proxy, records), []);
    expect(reproduction).toMatchObject({ verdict: "different", step: 20 });
    expect(reproduction!.largest).toBeGreaterThan(0.01);
  });

  it("refuses recorded weights that are no numbers, which would agree with anything", async () => {
    const run = mkdtempSync(join(folder, "no-number-"));
    const inputs = inputsOf("k3_missing");
    const proxy = recordedProxy(inputs);
    const records = recordsOf(inputs, proxy);
    records[29]!.proxy!.alpha[1] = Number.NaN;
    await expect(replayed(await writeRun(run, proxy, records), [])).rejects.toMatchObject({
      code: "corrupt-file",
      message: expect.stringMatching(/a domain weight is not a number/),
    });
  });

  it("names the step whose losses are not finite", async () => {
    const inputs = inputsOf("k3_missing");
    const proxy = recordedProxy(inputs);
    const records = recordsOf(inputs, proxy);
    records[29]!.proxy!.sequences.excess[1] = Number.NaN;
    const run = mkdtempSync(join(folder, "nan-"));
    await expect(replayed(await writeRun(run, proxy, records), [])).rejects.toThrow(/trace\.arrow: step 30: .*finite/);
  });
});

describe("what a recording cannot tell", () => {
  it("excess over a reference, where there was none", async () => {
    const path = join(await runOf("k3_missing", { name: "erm" }), "trace.arrow");
    await expect(replayed(path, [DOREMI_PRESETS.paper])).rejects.toMatchObject({
      code: "needs-reference",
      message: expect.stringContaining("the run's own objective (erm) needs none"),
    });
    const { objectives } = await replayed(path, [completeObjective.parse({ name: "group-dro" })]);
    expect(objectives).toHaveLength(1);
  });

  it("sequences, from means by domain", async () => {
    const over = completeObjective.parse({ name: "cvar", over: "sequences" });
    const path = join(await runOf("k3_missing", over), "trajectory.arrow");
    await expect(replayed(path, [over])).rejects.toMatchObject({ code: "needs-sequences" });
    const { reproduction } = await replayed(path, [DOREMI_PRESETS.paper]);
    expect(reproduction).toBeNull();
  });

  it("adjustments of other domains, and by held-out loss that was not measured", async () => {
    const inputs = inputsOf("k3_missing");
    const proxy = recordedProxy(inputs);
    const run = mkdtempSync(join(folder, "unmeasured-"));
    const path = await writeRun(run, proxy, recordsOf(inputs, proxy));
    const adjusted = completeObjective.parse({ name: "group-dro", adjustments: [1, 2] });
    await expect(replayed(path, [adjusted])).rejects.toThrow(/as many as the domains, 3, found 2/);
    const { notes } = await replayed(path, [completeObjective.parse({ name: "group-dro", adjustment: "held-out" })]);
    expect(notes).toEqual([expect.stringContaining("No held-out loss was recorded")]);
  });
});

describe("where a recording is", () => {
  it("the file, the proxy's folder, the run's; a trajectory where no trace is kept; never a reference's", async () => {
    const run = mkdtempSync(join(folder, "whole-"));
    const inputs = inputsOf("k3_missing");
    const proxy = recordedProxy(inputs);
    for (const stage of ["proxy", "reference", ".doremi"]) mkdirSync(join(run, stage));
    await expect(findRecording(run)).rejects.toMatchObject({ code: "no-recording" });
    const reference = new TrajectoryLog(join(run, "reference", "log"), domainNames(3), null);
    await reference.write(join(run, "reference", "trajectory.arrow"));
    reference.drop();
    await expect(findRecording(run)).rejects.toMatchObject({ code: "no-recording" });
    const trace = await writeRun(join(run, "proxy"), proxy, recordsOf(inputs, proxy));
    for (const path of [trace, join(run, "proxy"), run]) expect(await findRecording(path)).toBe(trace);
    rmSync(trace);
    expect(await findRecording(run)).toBe(join(run, "proxy", "trajectory.arrow"));
    mkdirSync(join(run, "proxy-2"));
    await writeRun(join(run, "proxy-2"), proxy, recordsOf(inputs, proxy));
    await expect(findRecording(run)).rejects.toThrow(/holds 2 proxies; name one of .*proxy\/traj.*, .*proxy-2\/trace/);
    await expect(findRecording(join(run, "nowhere"))).rejects.toMatchObject({ code: "missing-file" });
  });
});
