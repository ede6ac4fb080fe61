/**
 * The trainings of a run's folder: those that are finished, and those that go on, perhaps in another process, or wait for
 * the run to go on. Reads and changes nothing.
 */
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { readBoundedFile } from "../pipeline/bounded-file.ts";
import { TRAJECTORY_LOG } from "../stages/training-record.ts";
import { TRAJECTORY, type TrajectoryLayout, trajectoryLayout } from "../stages/trajectory.ts";
import { openTrajectory, type TrajectoryStretch, TrajectoryTail } from "../stages/trajectory-read.ts";

/** of one stage's done.json */
const DONE_LIMIT = 64 << 20;
/** of a log, at once */
const READ_BYTES = 16 << 20;
const LEARNS_WEIGHTS = /^proxy(-|$)/;
/** The characters of a stage's key that name a folder of work. */
const KEY_LENGTH = 16;

const countDone = z.object({ output: z.object({ domains: z.array(z.object({ name: z.string() })) }) });
const trainingDone = z.object({ key: z.string(), output: z.object({ steps: z.number().optional() }) });

/** Where a training is found. */
export interface Training {
  /** the folder's name: proxy, or proxy-round-2-seed-3 */
  readonly stage: string;
  /** what it is of: another when the settings or the data that it depends on have changed */
  readonly key: string;
  /** of the trajectory of one that is finished, or the log of one that is not */
  readonly path: string;
  readonly finished: boolean;
  /** that it took; null of one that is not finished */
  readonly steps: number | null;
  readonly bytes: number;
  /** ms since 1970, when the file was last written */
  readonly modifiedMs: number;
  /** another when a finished trajectory is another file */
  readonly version: string;
}

/** Finished ones in the order in which they were, then the others. Of a stage that is done again, what goes on now. */
export async function findTrainings(run: string): Promise<Training[]> {
  const work = join(run, ".doremi", "work");
  const open = await Promise.all(
    (await folderNames(work)).map((entry) => {
      const split = entry.lastIndexOf("-");
      const named = { stage: entry.slice(0, split), key: entry.slice(split + 1), finished: false, steps: null };
      return trainingAt(join(work, entry, TRAJECTORY_LOG), () => named);
    }),
  );
  const finished = await Promise.all(
    (await folderNames(run)).map((stage) =>
      trainingAt(join(run, stage, TRAJECTORY), async () => {
        const done = await readJson(join(run, stage, "done.json"), trainingDone);
        return done && { stage, key: done.key.slice(0, KEY_LENGTH), finished: true, steps: done.output.steps ?? null };
      }),
    ),
  );
  const byStage = new Map<string, Training>();
  for (const training of [...finished, ...open]) if (training) byStage.set(training.stage, training);
  return [...byStage.values()].sort(
    (a, b) => Number(b.finished) - Number(a.finished) || a.modifiedMs - b.modifiedMs || (a.stage < b.stage ? -1 : 1),
  );
}

type Named = Pick<Training, "stage" | "key" | "finished" | "steps">;

async function trainingAt(
  path: string,
  named: () => Named | Promise<Named | undefined>,
): Promise<Training | undefined> {
  const file = await stat(path).catch(() => undefined);
  const names = file && (await named());
  if (!names) return undefined;
  return {
    ...names,
    path,
    bytes: file.size,
    modifiedMs: file.mtimeMs,
    version: `${path} ${file.ino} ${file.size} ${file.mtimeMs}`,
  };
}

/** What the records of a training hold. */
export interface TrainingForm {
  readonly domains: readonly string[];
  readonly layout: TrajectoryLayout;
}

/** Of a training that goes on, whose log has no names in it; undefined where the domains are not known. */
export async function openForm(run: string, stage: string): Promise<TrainingForm | undefined> {
  const counted = await readJson(join(run, "count", "done.json"), countDone);
  const domains = counted?.output.domains.map(({ name }) => name);
  return domains && { domains, layout: trajectoryLayout(domains.length, LEARNS_WEIGHTS.test(stage)) };
}

/**
 * All steps that a training has by now.
 *
 * @param take called for a stretch at a time, in order
 * @returns how many steps there were; undefined where its domains are not known
 * @throws DoremiError missing-file, wrong-file, not-a-trajectory, corrupt-file, of one that is finished
 */
export async function readTraining(
  run: string,
  { stage, path, finished }: Training,
  take: (stretch: TrajectoryStretch, form: TrainingForm) => Promise<void> | void,
): Promise<number | undefined> {
  let steps = 0;
  const counted = async (stretch: TrajectoryStretch, form: TrainingForm) => {
    await take(stretch, form);
    steps += stretch.steps;
  };
  if (!finished) {
    const form = await openForm(run, stage);
    if (!form) return undefined;
    const tail = new TrajectoryTail(path, form.layout);
    for (let stretch = await tail.read(READ_BYTES); stretch; stretch = await tail.read(READ_BYTES)) {
      if (stretch === "cut") break;
      await counted(stretch, form);
    }
    return steps;
  }
  const trajectory = await openTrajectory(path);
  try {
    for await (const stretch of trajectory.stretches()) await counted(stretch, trajectory);
    return steps;
  } finally {
    await trajectory.close();
  }
}

/** Of the folders in a folder; none where it is not there. */
export async function folderNames(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isDirectory() && entry.name !== ".doremi").map(({ name }) => name);
}

/** Undefined where it is not there, too large, or something else. */
export async function readJson<T>(path: string, schema: z.ZodType<T>): Promise<T | undefined> {
  const text = await readBoundedFile(path, DONE_LIMIT).catch(() => undefined);
  if (text === undefined) return undefined;
  try {
    return schema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}
