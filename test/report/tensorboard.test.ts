/**
 * TensorBoard's event files beside a run: every step once, whatever became of the run in between. What is read back is read
 * by this file's own rules of TensorBoard, and where its package is there by that.
 */
import { appendFileSync, mkdirSync, readdirSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { besideTensorboard, writeTensorboard } from "../../src/cli/tensorboarding.ts";
import { stepOfScalars, storedEvents } from "../../src/formats/tensorboard.ts";
import { runPipeline } from "../../src/pipeline/run.ts";
import { metricsOf } from "../../src/report/metrics.ts";
import { TensorboardFolder } from "../../src/report/tensorboard.ts";
import { findTrainings, readTraining } from "../../src/report/trainings.ts";
import type { StageEvent } from "../../src/stages/stage.ts";
import { TrajectoryLog } from "../../src/stages/trajectory.ts";
import { python, runScript } from "../consumers/reading.ts";
import { smallPipeline, smallTraining, temporaryFolder } from "../e2e/small.ts";

/** [step, value in float32, wall time in s] */
type Point = [step: number, value: number, wallTime: number];
type Points = Readonly<Record<string, readonly Point[]>>;

/** What TensorBoard makes of a folder: files in the order of their names; a restart drops what came before of its steps. */
async function pointsOf(folder: string): Promise<Points> {
  const points: Record<string, Point[]> = {};
  for (const name of readdirSync(folder).sort()) {
    const handle = await open(join(folder, name));
    for await (const { fields, wallTime } of storedEvents(handle)) {
      const step = stepOfScalars(fields);
      if (step === undefined) {
        const restart = restartOf(fields);
        if (restart === undefined) continue;
        for (const tag of Object.keys(points)) points[tag] = points[tag]!.filter(([at]) => at < restart);
      } else {
        for (const [tag, value] of scalarsOf(fields)) {
          points[tag] ??= [];
          points[tag].push([step, value, wallTime]);
        }
      }
    }
    await handle.close();
  }
  return Object.fromEntries(Object.entries(points).filter(([, of]) => of.length > 0));
}

function restartOf(fields: Buffer): number | undefined {
  let [at, step, scale] = [0, 0, 1];
  if (fields[at++] !== 0x10) return undefined;
  for (; ; at++, scale *= 128) {
    step += (fields[at]! & 127) * scale;
    if (fields[at]! < 128) break;
  }
  return fields.subarray(at + 1).equals(Buffer.from([0x3a, 2, 8, 1])) ? step : undefined; // session_log { status: START }
}

/** Values of a summary: { tag = 1, simple_value = 2 } each. */
function* scalarsOf(fields: Buffer): Generator<[tag: string, value: number]> {
  let at = 1;
  const varint = () => {
    let [value, scale] = [0, 1];
    for (; fields[at]! >= 128; at++, scale *= 128) value += (fields[at]! & 127) * scale;
    return value + fields[at++]! * scale;
  };
  varint(); // the step
  at++;
  for (const end = varint() + at; at < end; ) {
    at++;
    varint();
    at++;
    const length = varint();
    const tag = fields.subarray(at, at + length).toString();
    at += length + 1;
    yield [tag, fields.readFloatLE(at)];
    at += 4;
  }
}

/** The same of the run's own records. */
async function expectedOf(run: string): Promise<Readonly<Record<string, Record<string, [number, number][]>>>> {
  const stages: Record<string, Record<string, [number, number][]>> = {};
  for (const training of await findTrainings(run)) {
    const points: Record<string, [number, number][]> = {};
    await readTraining(run, training, ({ ...stretch }, { layout, domains }) => {
      for (const [step, metrics] of metricsOf(stretch, layout, domains)) {
        for (const { name, domain, value } of metrics) {
          const tag = domain === null ? name : `${name}/${domain}`;
          points[tag] ??= [];
          points[tag].push([step, Math.fround(value)]);
        }
      }
    });
    stages[training.stage] = points;
  }
  return stages;
}

/** Both readers see every step once, in order, at times that do not run backwards. */
async function expectComplete(run: string, folder: string): Promise<void> {
  const expected = await expectedOf(run);
  expect(readdirSync(folder).sort()).toEqual(Object.keys(expected).sort());
  const light = python("light");
  if (light === null && process.env.DOREMI_REQUIRE_CONSUMERS === "1") throw new Error("no environment of consumers");
  const package_ =
    light && ((await runScript("light", "event_files.py", folder, 60_000)).runs as Record<string, Points>);
  for (const [stage, tags] of Object.entries(expected)) {
    const read = await pointsOf(join(folder, stage));
    for (const points of package_ ? [read, package_[stage]!] : [read]) {
      const found = Object.entries(points).map(([tag, of]) => [tag, of.map(([step, value]) => [step, value])]);
      expect(Object.fromEntries(found)).toEqual(tags);
      for (const of of Object.values(points)) {
        const times = of.map(([, , wallTime]) => wallTime);
        expect(times).toEqual([...times].sort((a, b) => a - b));
      }
    }
  }
}

const ownFiles = (folder: string) => readdirSync(folder).filter((name) => name.includes(".doremi-"));

/** A folder that looks like a run's in the middle of its proxy. */
class MadeRun {
  readonly folder = join(temporaryFolder(), "run");
  readonly events = join(this.folder, "tensorboard");
  #log: TrajectoryLog;
  readonly #domains = ["web", "math"];

  constructor(key = "00112233445566aa") {
    mkdirSync(join(this.folder, "count"), { recursive: true });
    const output = { domains: this.#domains.map((name) => ({ name })) };
    writeFileSync(join(this.folder, "count/done.json"), JSON.stringify({ key: "c", output }));
    this.#log = this.open(key);
  }

  open(key: string): TrajectoryLog {
    this.#log?.close();
    const path = join(this.folder, `.doremi/work/reference-${key}/trajectory.log`);
    this.#log = new TrajectoryLog(path, this.#domains, null);
    return this.#log;
  }

  /** Steps behind each other, whose losses tell which life of the training they are of. */
  train(from: number, to: number, life: number): void {
    for (let step = from; step <= to; step++) {
      this.#log.add({
        step,
        loss: step + life / 8,
        learningRate: 0.5,
        gradientNorm: 1,
        tokens: 64,
        durationMs: 1,
        waitMs: 0,
      });
    }
  }
}

const losses = async (run: MadeRun) =>
  (await pointsOf(join(run.events, "reference"))).loss!.map(([step, loss]) => [step, loss]);

describe("event files beside a run", () => {
  it("hold every step of every training once, when the run was stopped and went on", { timeout: 120_000 }, async () => {
    const run = join(temporaryFolder(), "run");
    const folder = join(run, "tensorboard");
    const pipeline = smallPipeline(run, {
      train: { ...smallTraining(), reference: { steps: 40 }, proxy: { steps: 40 } },
      cache: false,
    });
    const events: StageEvent[] = [];
    const beside = <T>(work: () => Promise<T>) =>
      besideTensorboard({ run, folder, onEvent: (event) => events.push(event) }, work);
    const stop = new AbortController();
    const stopped = beside(() =>
      runPipeline(pipeline, {
        signal: stop.signal,
        onEvent: (event) => {
          if (event.type === "progress" && event.stage === "proxy" && event.done >= 23) stop.abort();
        },
      }),
    );
    await expect(stopped).rejects.toMatchObject({ kind: "interrupted" });
    await expectComplete(run, folder);
    expect((await pointsOf(join(folder, "proxy"))).loss!.length).toBeGreaterThanOrEqual(20);
    await beside(() => runPipeline(pipeline));
    await expectComplete(run, folder);
    expect((await pointsOf(join(folder, "proxy"))).loss!.length).toBe(40);
    // A run that goes on repeats itself: nothing had to be told again.
    expect(readdirSync(join(folder, "proxy")).length).toBe(1);
    const before = await pointsOf(join(folder, "proxy"));
    await beside(() => runPipeline(pipeline));
    expect(await pointsOf(join(folder, "proxy"))).toEqual(before);
    expect(events).toEqual([]);
    // Written afterwards they say the same.
    const after = join(temporaryFolder(), "after");
    const options = { follow: true, signal: new AbortController().signal };
    expect(await writeTensorboard(run, after, options)).toEqual([
      { stage: "reference", steps: 40, finished: true },
      { stage: "proxy", steps: 40, finished: true },
    ]);
    await expectComplete(run, after);
  });

  it("follow a training that goes on, and tell steps again that came out otherwise", async () => {
    const run = new MadeRun();
    const writer = new TensorboardFolder(run.folder, run.events);
    expect(await writer.update()).toEqual([{ stage: "reference", steps: 0, finished: false }]);
    run.train(1, 10, 0);
    expect(await writer.update()).toEqual([{ stage: "reference", steps: 10, finished: false }]);
    run.train(11, 13, 0);
    await writer.update();
    await expectComplete(run.folder, run.events);
    expect(ownFiles(join(run.events, "reference")).length).toBe(1);
    // From the checkpoint after step 8, on an engine whose numbers are others: fewer steps first, then more than before.
    run.train(9, 11, 1);
    await writer.update();
    expect((await losses(run)).slice(7)).toEqual([
      [8, 8],
      [9, 9.125],
      [10, 10.125],
      [11, 11.125],
    ]);
    run.train(12, 20, 1);
    await writer.update();
    run.train(5, 30, 2); // faster than anybody looked
    await writer.update();
    await expectComplete(run.folder, run.events);
    expect((await losses(run)).slice(3, 6)).toEqual([
      [4, 4],
      [5, 5.25],
      [6, 6.25],
    ]);
    await writer.close();
  });

  it("are gone on with by another process, from what a killed one had half written too", async () => {
    const run = new MadeRun();
    run.train(1, 10, 0);
    const first = new TensorboardFolder(run.folder, run.events);
    await first.update();
    await first.close();
    const folder = join(run.events, "reference");
    const [name] = readdirSync(folder);
    truncateSync(join(folder, name!), 16 + 300); // in the midst of a record
    run.train(7, 12, 3);
    const second = new TensorboardFolder(run.folder, run.events);
    await second.update();
    await second.close();
    await expectComplete(run.folder, run.events);
    appendFileSync(join(folder, name!), "something else");
    const third = new TensorboardFolder(run.folder, run.events);
    run.train(12, 15, 3);
    await third.update();
    await third.close();
    await expectComplete(run.folder, run.events);
  });

  it("of a training that is no more are deleted, and nobody else's", async () => {
    const run = new MadeRun();
    run.train(1, 10, 0);
    const writer = new TensorboardFolder(run.folder, run.events);
    await writer.update();
    const folder = join(run.events, "reference");
    const [old] = readdirSync(folder);
    const foreign = "events.out.tfevents.1700000000.host.1.0";
    writeFileSync(join(folder, foreign), "");
    run.open("ffeeddccbbaa9988");
    // What the runner does when it begins with other settings.
    rmSync(join(run.folder, ".doremi/work/reference-00112233445566aa"), { recursive: true });
    run.train(1, 4, 5);
    await writer.update();
    await writer.close();
    expect(readdirSync(folder)).toContain(foreign);
    expect(readdirSync(folder)).not.toContain(old);
    expect(await losses(run)).toEqual([1, 2, 3, 4].map((step) => [step, step + 5 / 8]));
    const handle = await open(join(folder, ownFiles(folder)[0]!));
    const restarts: (number | undefined)[] = [];
    for await (const { fields } of storedEvents(handle)) restarts.push(restartOf(fields));
    await handle.close();
    expect(restarts.filter((step) => step !== undefined)).toEqual([1]); // a TensorBoard that has read the others forgets them
  });

  it("are one process's to write", async () => {
    const run = new MadeRun();
    run.train(1, 3, 0);
    const writer = new TensorboardFolder(run.folder, run.events);
    await writer.update();
    const folder = join(run.events, "reference");
    appendFileSync(join(folder, readdirSync(folder)[0]!), "x");
    run.train(4, 5, 0);
    await expect(writer.update()).rejects.toMatchObject({ code: "tensorboard-in-use", kind: "bad-configuration" });
  });

  it("that cannot be written are told of, and the run goes on", async () => {
    const run = new MadeRun();
    run.train(1, 3, 0);
    writeFileSync(run.events, "a file where the folder should be");
    const events: StageEvent[] = [];
    const work = async () => "done";
    const beside = { run: run.folder, folder: run.events, onEvent: (event: StageEvent) => void events.push(event) };
    expect(await besideTensorboard(beside, work)).toBe("done");
    expect(events).toEqual([
      {
        type: "note",
        stage: "tensorboard",
        message: expect.stringMatching(/^no more event files are written: .*one of them is a file/),
      },
    ]);
  });
});
