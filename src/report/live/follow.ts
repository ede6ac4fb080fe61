/**
 * Turns a run's folder into what is known of the run, again and again while it goes on, perhaps in another process. A
 * reader and nothing else: it takes no lock, changes no file, and reads a bounded stretch of the logs at a time.
 */
import { stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { z } from "zod";
import { isAlive, type RunStatus, readStatus, type StageStatus } from "../../pipeline/status.ts";
import { type TrajectoryStretch, TrajectoryTail } from "../../stages/trajectory-read.ts";
import { SeriesSampler } from "../series.ts";
import {
  findTrainings,
  folderNames,
  openForm,
  readJson,
  readTraining,
  type Training,
  type TrainingForm,
} from "../trainings.ts";
import type { LiveRunState, LiveState, LiveTraining } from "./state.ts";

/** of one training's log, each time */
const READ_BYTES = 16 << 20;
/** Numbers held of each training: with few domains there is room for more points. */
const NUMBERS_LIMIT = 1_000_000;
const MOST_POINTS = 4000;
const FEWEST_POINTS = 200;
const trainingDone = z.object({ output: z.object({ steps: z.number() }) });

/** A training that was seen. */
interface Followed extends TrainingForm {
  readonly sampler: SeriesSampler;
  readonly finished: boolean;
  /** of one that goes on */
  readonly tail?: TrajectoryTail;
  /** of a finished one what the file was when it was read, of another the path of its log */
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
    const state = await stateOf(status, done);
    const stages = stagesOf(status, done, state);
    await this.#followTrainings();
    const order = stages.map(({ stage }) => stage);
    const trainings = [...this.#trainings]
      .filter(([, { sampler }]) => sampler.steps > 0)
      .sort(([a], [b]) => order.indexOf(a) - order.indexOf(b) || (a < b ? -1 : 1));
    const totals = await Promise.all(trainings.map(([stage]) => this.#totalSteps(stage, stages)));
    return {
      folder: this.folder,
      pipeline: status?.pipeline.name ?? (await this.#pipelineName()),
      state,
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
      (await folderNames(this.folder)).map(async (name) => {
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

  async #followTrainings(): Promise<void> {
    const found = await findTrainings(this.folder);
    for (const training of found) {
      await (training.finished ? this.#readFinished(training) : this.#followLog(training));
    }
    const stages = new Set(found.map(({ stage }) => stage));
    for (const stage of this.#trainings.keys()) if (!stages.has(stage)) this.#trainings.delete(stage);
  }

  async #followLog({ stage, path }: Training): Promise<void> {
    let followed = this.#trainings.get(stage);
    if (followed?.version !== path || !followed.tail) {
      const form = await openForm(this.folder, stage);
      if (!form) return;
      followed = { ...this.#empty(form, false), tail: new TrajectoryTail(path, form.layout), version: path };
    }
    const stretch = await followed.tail!.read(READ_BYTES);
    if (stretch === "cut") followed = { ...followed, ...this.#empty(followed, false) };
    else if (stretch) followed.sampler.add(stretch);
    this.#trainings.set(stage, followed);
  }

  async #readFinished(training: Training): Promise<void> {
    const { stage, version } = training;
    if (this.#trainings.get(stage)?.version === version) return;
    let followed: Followed | undefined;
    const take = (stretch: TrajectoryStretch, form: TrainingForm) => {
      followed ??= { ...this.#empty(form, true), version };
      followed.sampler.add(stretch);
    };
    // One that is being replaced, or is damaged, is shown as it was.
    await readTraining(this.folder, training, take).catch(() => undefined);
    if (followed) this.#trainings.set(stage, followed);
  }

  #empty({ domains, layout }: TrainingForm, finished: boolean): Omit<Followed, "version" | "tail"> {
    const sampler = new SeriesSampler(layout, this.#points ?? pointsFor(domains.length));
    return { sampler, domains, layout, finished };
  }
}

/** A run that is gone could not say that its stages have stopped. */
function stagesOf(status: RunStatus | null, done: readonly string[], run: LiveRunState): readonly StageStatus[] {
  const known = (status?.stages ?? []).map((entry): StageStatus => {
    return run === "gone" && entry.state === "running" ? { ...entry, state: "stopped" } : entry;
  });
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
