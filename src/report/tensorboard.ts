/**
 * TensorBoard's event files of a run, a folder for each model, kept up to date while it goes on, perhaps in another process:
 *
 *     <folder>/<stage>/events.out.tfevents.<seconds>.doremi-<key>
 *
 * They grow with the log of each training. What is in them is compared with the log, not trusted: where a run went on from
 * an earlier checkpoint and came to other numbers, a further file says from which step on they are told again, and
 * TensorBoard forgets the others. Files of a training that is no more, since settings or data changed, are deleted.
 */
import { type FileHandle, open, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import {
  crc32c,
  eventRecord,
  openingRecord,
  restartRecord,
  type ScalarEvent,
  scalarFields,
  stepOfScalars,
  storedEvents,
} from "../formats/tensorboard.ts";
import { DoremiError } from "../lib/errors.ts";
import { makeFolder } from "../lib/make-folder.ts";
import { type TrajectoryStretch, TrajectoryTail } from "../stages/trajectory-read.ts";
import { type Metric, metricsOf } from "./metrics.ts";
import { findTrainings, openForm, readTraining, type Training, type TrainingForm } from "./trainings.ts";

/** bytes of a log at once */
const READ_BYTES = 4 << 20;
const OWN_FILE = /^events\.out\.tfevents\.(\d+)\.doremi-([0-9a-f]+)$/;

/** A training, and how many steps of it the event files have. */
export interface WrittenTraining {
  readonly stage: string;
  readonly steps: number;
  readonly finished: boolean;
}

export class TensorboardFolder {
  readonly path: string;
  readonly #run: string;
  readonly #stages = new Map<string, StageEvents>();

  /** @param run output folder of a run, which need not be there yet @param path made when there is something to write */
  constructor(run: string, path: string) {
    this.#run = run;
    this.path = path;
  }

  /**
   * Writes what is new. One call at a time; the last one when the run is over.
   *
   * @returns the trainings in the order in which they were finished, those that go on last
   * @throws DoremiError tensorboard-in-use, and what a damaged trajectory has; the system's errors
   */
  async update(): Promise<WrittenTraining[]> {
    const written: WrittenTraining[] = [];
    for (const training of await findTrainings(this.#run)) {
      const { stage, key, finished } = training;
      let events = this.#stages.get(stage);
      if (events?.key !== key) {
        await events?.close();
        this.#stages.delete(stage);
        events = await StageEvents.open(this.#run, join(this.path, stage), key);
        this.#stages.set(stage, events);
      }
      try {
        await events.update(training);
      } catch (error) {
        this.#stages.delete(stage); // the next look begins with what is in the files
        await events.abandon();
        throw error;
      }
      written.push({ stage, steps: events.steps, finished });
    }
    return written;
  }

  async close(): Promise<void> {
    for (const events of this.#stages.values()) await events.close();
    this.#stages.clear();
  }
}

/** Of one training. */
class StageEvents {
  readonly key: string;
  readonly #run: string;
  readonly #folder: string;
  /** of each step that is in the files, what it says */
  readonly #checksums: number[] = [];
  #file: OwnFile | undefined;
  /** other trainings' files of this stage */
  #stale: string[] = [];
  /** s, of the last event */
  #wallTime = 0;
  #tail: TrajectoryTail | undefined;
  #form: TrainingForm | undefined;
  /** ms since 1970, when the log was last read to its end */
  #readMs: number | undefined;
  /** of the finished trajectory that was compared */
  #version: string | undefined;

  private constructor(run: string, folder: string, key: string) {
    this.#run = run;
    this.#folder = folder;
    this.key = key;
  }

  /** Reads what earlier runs have written of this training. */
  static async open(run: string, folder: string, key: string): Promise<StageEvents> {
    const events = new StageEvents(run, folder, key);
    const own: { name: string; seconds: number }[] = [];
    for (const name of await readdir(folder).catch(() => [])) {
      const [, seconds, of] = OWN_FILE.exec(name) ?? [];
      if (of === key) own.push({ name, seconds: Number(seconds) });
      else if (of !== undefined) events.#stale.push(name);
    }
    own.sort((a, b) => a.seconds - b.seconds);
    for (const { name } of own) await events.#read(join(folder, name));
    return events;
  }

  get steps(): number {
    return this.#checksums.length;
  }

  async close(): Promise<void> {
    await this.#file?.close();
    this.#file = undefined;
  }

  /** Closes without writing what waits. */
  async abandon(): Promise<void> {
    await this.#file?.abandon().catch(() => {});
    this.#file = undefined;
  }

  async #read(path: string): Promise<void> {
    const handle = await open(path, "r+");
    try {
      let end = 0;
      for await (const event of storedEvents(handle)) {
        end = event.end;
        this.#wallTime = Math.max(this.#wallTime, event.wallTime);
        const step = stepOfScalars(event.fields);
        if (step === undefined) continue;
        this.#checksums.length = Math.min(this.#checksums.length, step - 1);
        if (step === this.#checksums.length + 1) this.#checksums.push(crc32c(event.fields));
      }
      await this.#file?.close();
      await handle.truncate(end); // what a process that was killed had half written
      this.#file = new OwnFile(handle, path, end);
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  async update(training: Training): Promise<void> {
    if (!training.finished) return this.#readLog(training);
    if (this.#version === training.version) return;
    const times = this.#timesOf(training.modifiedMs / 1000, training.steps ?? undefined);
    const steps = await readTraining(this.#run, training, (stretch, form) => this.#take(stretch, form, times));
    if (steps !== undefined && steps < this.steps) await this.#restart(steps + 1);
    await this.#file?.flush();
    this.#version = training.version;
  }

  async #readLog({ stage, path, bytes, modifiedMs }: Training): Promise<void> {
    this.#form ??= await openForm(this.#run, stage);
    if (!this.#form) return;
    const { layout } = this.#form;
    this.#tail ??= new TrajectoryTail(path, layout);
    const now = Date.now();
    const there = Math.floor(bytes / (layout.width * Float64Array.BYTES_PER_ELEMENT));
    const times = this.#timesOf(this.#readMs === undefined ? modifiedMs / 1000 : now / 1000, there);
    for (;;) {
      const stretch = await this.#tail.read(READ_BYTES);
      if (stretch === undefined) break;
      if (stretch !== "cut") await this.#take(stretch, this.#form, times);
    }
    await this.#file?.flush();
    this.#readMs = now;
  }

  /**
   * When a step was taken, in s. Steps that were taken since the last look are spread over the time since; of those from
   * before the first look it is not known, and a second stands for each.
   *
   * @param end s, of the last step @param total steps there are, where it is known
   */
  #timesOf(end: number, total: number | undefined): (step: number) => number {
    const [from, start] = [this.steps, this.#readMs];
    if (total === undefined) return () => end;
    if (start === undefined) return (step) => end - Math.max(0, total - step);
    const each = (end - start / 1000) / Math.max(1, total - from);
    return (step) => start / 1000 + each * Math.min(Math.max(0, step - from), total - from);
  }

  async #take(stretch: TrajectoryStretch, form: TrainingForm, timeOf: (step: number) => number): Promise<void> {
    for (const [step, metrics] of metricsOf(stretch, form.layout, form.domains)) {
      const fields = scalarFields(step, scalarsOf(metrics));
      const checksum = crc32c(fields);
      if (step <= this.steps) {
        if (this.#checksums[step - 1] === checksum) continue;
        await this.#restart(step);
      }
      this.#file ??= await this.#create();
      this.#wallTime = Math.max(this.#wallTime, timeOf(step));
      await this.#file.add(eventRecord(this.#wallTime, fields));
      this.#checksums.push(checksum);
    }
  }

  async #restart(step: number): Promise<void> {
    this.#checksums.length = step - 1;
    await this.#file?.close();
    this.#file = await this.#create(step);
  }

  /** A further file. @param step from which on it tells the steps again */
  async #create(step?: number): Promise<OwnFile> {
    await makeFolder(this.#folder);
    // TensorBoard reads a folder's files in the order of their names.
    const others = (await readdir(this.#folder)).map((name) => Number(OWN_FILE.exec(name)?.[1] ?? 0));
    const seconds = Math.max(Math.floor(Date.now() / 1000), Math.max(0, ...others) + 1);
    const path = join(this.#folder, `events.out.tfevents.${seconds}.doremi-${this.key}`);
    const file = new OwnFile(await open(path, "wx"), path, 0);
    const stale = this.#stale;
    this.#stale = [];
    await file.add(openingRecord(seconds));
    const from = step ?? (stale.length > 0 ? 1 : undefined);
    if (from !== undefined) await file.add(restartRecord(seconds, from));
    await file.flush();
    for (const name of stale) await rm(join(this.#folder, name), { force: true });
    return file;
  }
}

/** What is appended to a file, a piece at a time. */
class OwnFile {
  readonly #handle: FileHandle;
  readonly #path: string;
  #size: number;
  #waiting: Buffer[] = [];
  #waitingBytes = 0;

  constructor(handle: FileHandle, path: string, size: number) {
    this.#handle = handle;
    this.#path = path;
    this.#size = size;
  }

  async add(record: Buffer): Promise<void> {
    this.#waiting.push(record);
    this.#waitingBytes += record.length;
    if (this.#waitingBytes >= READ_BYTES) await this.flush();
  }

  /** @throws DoremiError tensorboard-in-use where somebody else has written to the file */
  async flush(): Promise<void> {
    if (this.#waiting.length === 0) return;
    if ((await this.#handle.stat()).size !== this.#size) {
      throw new DoremiError(
        "bad-configuration",
        "tensorboard-in-use",
        `${this.#path}: one process at a time may write the event files of a run, and another one has written to this one`,
        { file: this.#path },
      );
    }
    const bytes = Buffer.concat(this.#waiting);
    this.#waiting = [];
    this.#waitingBytes = 0;
    for (let done = 0; done < bytes.length; ) {
      const { bytesWritten } = await this.#handle.write(bytes, done, bytes.length - done, this.#size);
      done += bytesWritten;
      this.#size += bytesWritten;
    }
  }

  async close(): Promise<void> {
    try {
      await this.flush();
    } finally {
      await this.#handle.close();
    }
  }

  async abandon(): Promise<void> {
    await this.#handle.close();
  }
}

function scalarsOf(metrics: readonly Metric[]): ScalarEvent["scalars"] {
  return metrics.map(({ name, domain, value }) => [domain === null ? name : `${name}/${domain}`, value] as const);
}
