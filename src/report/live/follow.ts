/**
 * Turns a run's folder into what is known of the run, again and again while it goes on, perhaps in another process. A
 * reader and nothing else: it takes no lock, changes no file, and reads a bounded stretch of the logs at a time.
 */
import { readdir, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { z } from "zod";
import { readBoundedFile } from "../../pipeline/bounded-file.ts";
import { isAlive, type RunStatus, readStatus, type StageStatus } from "../../pipeline/status.ts";
import { TRAJECTORY_LOG } from "../../stages/training-record.ts";
import { TRAJECTORY, trajectoryLayout } from "../../stages/trajectory.ts";
import { openTrajectory, TrajectoryTail } from "../../stages/trajectory-read.ts";
import { SeriesSampler } from "../series.ts";
import type { LiveRunState, LiveState, LiveTraining } from "./state.ts";

/** of one training's log, each time */
const READ_BYTES = 16 << 20;
/** Numbers held of each training: with few domains there is room for more points. */
const NUMBERS_LIMIT = 1_000_000;
const MOST_POINTS = 4000;
const FEWEST_POINTS = 200;
/** of one stage's done.json */
const DONE_LIMIT = 64 << 20;
/** Finished trajectories that were damaged or are being replaced are looked at again when they change. */
const LEARNS_WEIGHTS = /^proxy(-|$)/;

const countDone = z.object({ output: z.object({ domains: z.array(z.object({ name: z.string() })) }) });
const trainingDone = z.object({ output: z.object({ steps: z.number() }) });

/** A training that was seen. */
interface Followed {
  readonly sampler: SeriesSampler;
  readonly domains: readonly string[];
  readonly finished: boolean;
  /** of one that goes on */
  readonly tail?: TrajectoryTail;
  /** what the file was when it was read, or which run appends to the log */
  readonly version: string;
}

export interface FollowOptions {
  /** of each training's series; default: as many as a million numbers allow, at most 4000 */
  readonly points?: number;
}

/** Points of a training's series for so many domains. */
export function pointsFor(domains: number): number {
  return Math.min(MOST_POINTS, Math.max(FEWEST_POINTS, Math.floor(NUMBERS_LIMIT / (8 * domains + 8))));
}

export class RunFollower {
  readonly folder: string;
  readonly #points: number | undefined;
  readonly #trainings = new Map<string, Followed>();

  /** @param folder a run's output folder, which need not be there yet */
  constructor(folder: string, { points }: FollowOptions = {}) {
    this.folder = resolve(folder);
    this.#points = points;
  }

  /** What there is now. One call at a time. @throws the system's errors but for files that are not there (yet) */
  async read(): Promise<LiveState> {
    const status = (await readStatus(this.folder)) ?? null;
    const done = await this.#finishedStages();
    const stages = stagesOf(status, done);
    await this.#followTrainings(status, done);
    const order = stages.map(({ stage }) => stage);
    const trainings = [...this.#trainings]
      .filter(([, { sampler }]) => sampler.steps > 0)
      .sort(([a], [b]) => order.indexOf(a) - order.indexOf(b) || (a < b ? -1 : 1));
    const totals = await Promise.all(trainings.map(([stage]) => this.#totalSteps(stage, stages)));
    return {
      folder: this.folder,
      pipeline: status?.pipeline.name ?? (await this.#pipelineName()),
      state: await stateOf(status, done),
      status,
      stages,
      messages: status?.messages ?? [],
      trainings: trainings.map(
        ([stage, { domains, finished, sampler }], i): LiveTraining => ({
          stage,
          domains,
          finished,
          totalSteps: totals[i] ?? null,
          series: sampler.series(),
        }),
      ),
    };
  }

  /** Folders with a done-mark, oldest first. */
  async #finishedStages(): Promise<string[]> {
    const marks = await Promise.all(
      (await names(this.folder)).map(async (name) => {
        const mark = await stat(join(this.folder, name, "done.json")).catch(() => undefined);
        return mark ? [{ name, modifiedMs: mark.mtimeMs }] : [];
      }),
    );
    return marks
      .flat()
      .sort((a, b) => a.modifiedMs - b.modifiedMs)
      .map(({ name }) => name);
  }

  async #pipelineName(): Promise<string | null> {
    const mark = z.object({ pipeline: z.string() });
    return (await readJson(join(this.folder, ".doremi", "run.json"), mark))?.pipeline ?? null;
  }

  async #totalSteps(stage: string, stages: readonly StageStatus[]): Promise<number | null> {
    const progress = stages.find((entry) => entry.stage === stage)?.progress;
    if (progress?.unit === "steps") return progress.total;
    const done = await readJson(join(this.folder, stage, "done.json"), trainingDone);
    return done && done.output.steps > 0 ? done.output.steps : null;
  }

  async #followTrainings(status: RunStatus | null, done: readonly string[]): Promise<void> {
    const work = await names(join(this.folder, ".doremi", "work"));
    const seen = new Set<string>();
    for (const entry of work) {
      const stage = entry.slice(0, entry.lastIndexOf("-"));
      if (await this.#followLog(stage, join(this.folder, ".doremi", "work", entry), status)) seen.add(stage);
    }
    for (const stage of done) {
      if (!seen.has(stage) && (await this.#readFinished(stage))) seen.add(stage);
    }
    for (const stage of this.#trainings.keys()) if (!seen.has(stage)) this.#trainings.delete(stage);
  }

  /** @returns whether there is a log */
  async #followLog(stage: string, folder: string, status: RunStatus | null): Promise<boolean> {
    const path = join(folder, TRAJECTORY_LOG);
    if (!(await stat(path).catch(() => undefined))) return false;
    const domains = await this.#domainNames();
    if (!domains) return false;
    const layout = trajectoryLayout(domains.length, LEARNS_WEIGHTS.test(stage));
    // A run that goes on after another one writes the steps after its checkpoint again.
    const version = `${folder} ${status?.startedAt}`;
    const fresh = (): Followed => ({
      sampler: new SeriesSampler(layout, this.#points ?? pointsFor(domains.length)),
      tail: new TrajectoryTail(path, layout),
      ...{ domains, version, finished: false },
    });
    const known = this.#trainings.get(stage);
    let followed = known?.version === version && known.tail ? known : fresh();
    const stretch = await followed.tail!.read(READ_BYTES);
    if (stretch === "cut") followed = fresh();
    else if (stretch) followed.sampler.add(stretch);
    this.#trainings.set(stage, followed);
    return true;
  }

  /** @returns whether the stage has a trajectory */
  async #readFinished(stage: string): Promise<boolean> {
    const path = join(this.folder, stage, TRAJECTORY);
    const found = await stat(path).catch(() => undefined);
    if (!found) return false;
    const version = `${found.ino} ${found.size} ${found.mtimeMs}`;
    if (this.#trainings.get(stage)?.version === version) return true;
    const trajectory = await openTrajectory(path).catch(() => undefined); // being replaced, or damaged
    if (!trajectory) return this.#trainings.has(stage);
    try {
      const { domains, layout } = trajectory;
      const sampler = new SeriesSampler(layout, this.#points ?? pointsFor(domains.length));
      for await (const stretch of trajectory.stretches()) sampler.add(stretch);
      this.#trainings.set(stage, { sampler, domains, finished: true, version });
      return true;
    } finally {
      await trajectory.close();
    }
  }

  /** In the order of a record's figures. */
  async #domainNames(): Promise<string[] | undefined> {
    const counted = await readJson(join(this.folder, "count", "done.json"), countDone);
    return counted?.output.domains.map(({ name }) => name);
  }
}

function stagesOf(status: RunStatus | null, done: readonly string[]): readonly StageStatus[] {
  const known = status?.stages ?? [];
  const others = done.filter((stage) => !known.some((entry) => entry.stage === stage));
  const before = others.map(
    (stage): StageStatus => ({ stage, state: "done", startedAt: null, endedAt: null, progress: null }),
  );
  return [...before, ...known];
}

async function stateOf(status: RunStatus | null, done: readonly string[]): Promise<LiveRunState> {
  if (!status) return done.length > 0 ? "done" : "waiting";
  return status.state === "running" && !(await isAlive(status)) ? "gone" : status.state;
}

/** Of the folders in a folder; none where it is not there. */
async function names(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isDirectory() && entry.name !== ".doremi").map(({ name }) => name);
}

async function readJson<T>(path: string, schema: z.ZodType<T>): Promise<T | undefined> {
  const text = await readBoundedFile(path, DONE_LIMIT).catch(() => undefined);
  if (text === undefined) return undefined;
  try {
    return schema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}
