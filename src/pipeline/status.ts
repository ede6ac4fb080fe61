/**
 * How far a run is, for whoever looks at its folder from another process: `<output>/.doremi/status.json`. It is written
 * when the run starts, ends, and at most once a second in between, under a temporary name and renamed, so that a reader
 * finds the old one or the new one whole. It is a view and no record: no stage reads it, no key or hash depends on it, and a
 * run that cannot write it goes on. Of a run that was killed it stays behind as it was; `isAlive` tells.
 */
import { rename, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { basename, join } from "node:path";
import { z } from "zod";
import { toPlainError } from "../lib/errors.ts";
import { processExists, startOf, systemName } from "../lib/process-identity.ts";
import { VERSION } from "../lib/version.ts";
import type { StageEvent } from "../stages/stage.ts";
import { readBoundedFile } from "./bounded-file.ts";
import { Meter } from "./meter.ts";

const FORMAT = "doremi-status";
/** raised when a field changes its meaning */
const FORMAT_VERSION = 1;
const EVERY_MS = 1000;
/** Without news a sign of life will do. */
const IDLE_MS = 30_000;
/** Notes and warnings beyond these are in the stages' results only. */
const MESSAGES_LIMIT = 200;
/** Larger than any status that is written: settings, stages, messages. */
const FILE_LIMIT = 16 << 20;
/** A run on a machine that cannot be looked at, which has written nothing for so long, is gone. */
const SILENT_MS = 120_000;

/** ISO 8601, UTC */
const time = z.string();

const progress = z.object({
  done: z.number(),
  total: z.number(),
  unit: z.enum(["bytes", "steps", "shards", "tokens", "tasks"]),
  /** units per second over the last half minute; null while it is too early to say */
  perSecond: z.number().nullable(),
  secondsLeft: z.number().nullable(),
  /** such as the loss */
  figures: z.record(z.string(), z.number().nullable()),
});

const stageStatus = z.object({
  /** the folder's name: proxy, or proxy-round-2-seed-3 */
  stage: z.string(),
  /** skipped: what was known left it nothing to do; stopped: it was at work when the run ended otherwise than well */
  state: z.enum(["waiting", "running", "done", "unchanged", "skipped", "stopped"]),
  /** of the run that did the work, which may have been an earlier one; null where it is not known */
  startedAt: time.nullable(),
  endedAt: time.nullable(),
  progress: progress.nullable(),
});

const message = z.object({
  at: time,
  stage: z.string(),
  kind: z.enum(["note", "warning"]),
  message: z.string(),
  /** of a warning */
  code: z.string().optional(),
  step: z.number().optional(),
  domain: z.string().optional(),
});

const runStatus = z.object({
  format: z.literal(FORMAT),
  version: z.literal(FORMAT_VERSION),
  doremi: z.string(),
  node: z.string(),
  pipeline: z.object({ name: z.string(), path: z.string().nullable() }),
  /** the pipeline's, with every default filled in and options of the command line in place */
  settings: z.unknown(),
  /** arguments that the process was started with, the script's name first */
  command: z.array(z.string()),
  process: z.object({ system: z.string(), host: z.string(), pid: z.int(), started: z.string().nullable() }),
  state: z.enum(["running", "done", "unchanged", "failed", "interrupted"]),
  startedAt: time,
  updatedAt: time,
  endedAt: time.nullable(),
  /** in the order in which they run */
  stages: z.array(stageStatus),
  /** oldest first, the last ones of a run that says a great deal */
  messages: z.array(message),
  error: z.object({ code: z.string(), message: z.string() }).nullable(),
});

export type RunStatus = z.output<typeof runStatus>;
export type StageStatus = z.output<typeof stageStatus>;
export type StatusMessage = z.output<typeof message>;

/** Path of the file in an output folder. */
export function statusPath(output: string): string {
  return join(output, ".doremi", "status.json");
}

/** Undefined where there is none, or it is of another version or no status. */
export async function readStatus(output: string): Promise<RunStatus | undefined> {
  const text = await readBoundedFile(statusPath(output), FILE_LIMIT);
  if (text === undefined) return undefined;
  try {
    return runStatus.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

/** Whether the process that wrote the status is still there; of one elsewhere, whether it has written lately. */
export async function isAlive({ process: { system, pid, started }, updatedAt }: RunStatus): Promise<boolean> {
  if (system !== (await systemName())) return Date.now() - Date.parse(updatedAt) < SILENT_MS;
  const found = await startOf(pid);
  return started === null || found === null ? started === null && processExists(pid) : found === started;
}

export interface StatusOptions {
  readonly output: string;
  readonly pipeline: RunStatus["pipeline"];
  readonly settings: unknown;
  /** that the run will go through, in order */
  readonly stages: readonly string[];
}

/** Keeps the file. Start it when the folder is the run's, give it every event, and end it. */
export class StatusWriter {
  readonly #path: string;
  readonly #status: RunStatus;
  readonly #stages: Map<string, RunStatus["stages"][number]>;
  readonly #meters = new Map<string, Meter>();
  /** of an earlier run, by stage: when the work was done that this one finds done */
  readonly #before: ReadonlyMap<string, Pick<StageStatus, "startedAt" | "endedAt">>;
  readonly #timer: NodeJS.Timeout;
  #writing: Promise<void> = Promise.resolve();
  #writtenMs = 0;
  #changed = true;

  private constructor(path: string, status: RunStatus) {
    this.#path = path;
    this.#status = status;
    this.#stages = new Map(status.stages.map((entry) => [entry.stage, entry]));
    this.#before = new Map(status.stages.map(({ stage, startedAt, endedAt }) => [stage, { startedAt, endedAt }]));
    this.#timer = setInterval(() => {
      if (this.#changed || performance.now() - this.#writtenMs > IDLE_MS) this.#write();
    }, EVERY_MS).unref();
  }

  static async start({ output, pipeline, settings, stages }: StatusOptions): Promise<StatusWriter> {
    const before = await readStatus(output).catch(() => undefined);
    const now = new Date().toISOString();
    const { pid } = process;
    const writer = new StatusWriter(statusPath(output), {
      format: FORMAT,
      version: FORMAT_VERSION,
      doremi: VERSION,
      node: process.version,
      pipeline,
      settings,
      command: process.argv.slice(1).map((argument, i) => (i === 0 ? basename(argument) : argument)),
      process: { system: await systemName(), host: hostname(), pid, started: await startOf(pid) },
      state: "running",
      startedAt: now,
      updatedAt: now,
      endedAt: null,
      stages: stages.map((stage) => {
        const { startedAt = null, endedAt = null } = before?.stages.find((entry) => entry.stage === stage) ?? {};
        return { stage, state: "waiting", startedAt, endedAt, progress: null };
      }),
      messages: [],
      error: null,
    });
    writer.#write();
    return writer;
  }

  event(event: StageEvent): void {
    const { stage } = event;
    const entry = this.#stages.get(stage);
    const [now, nowMs] = [new Date().toISOString(), performance.now()];
    this.#changed = true;
    switch (event.type) {
      case "start":
        this.#meters.set(stage, new Meter(nowMs));
        if (entry) Object.assign(entry, { state: "running", startedAt: now, endedAt: null, progress: null });
        break;
      case "progress":
        this.#meterOf(stage, nowMs).update(event, nowMs);
        break;
      case "done":
        if (entry) Object.assign(entry, { state: "done", endedAt: now });
        break;
      case "unchanged":
        if (entry) Object.assign(entry, { state: "unchanged", progress: null, ...this.#before.get(stage) });
        this.#meters.delete(stage);
        break;
      case "note":
        this.#say({ at: now, stage, kind: "note", message: event.message });
        break;
      case "warning": {
        const { code, step, message, domain } = event;
        this.#say({ at: now, stage, kind: "warning", message, code, step, ...(domain !== undefined && { domain }) });
        break;
      }
      case "counted":
      case "trained":
        break;
      default:
        event satisfies never;
    }
  }

  /** No more is written: the folder is another run's now. */
  abandon(): void {
    clearInterval(this.#timer);
  }

  /** The last writing. @param failure what ended the run, where it did not end well */
  async end(outcome: { readonly status: "done" | "unchanged" } | { readonly failure: unknown }): Promise<void> {
    clearInterval(this.#timer);
    const status = this.#status;
    const isDone = "status" in outcome;
    if (isDone) {
      status.state = outcome.status;
    } else {
      const { code, message, kind } = toPlainError(outcome.failure);
      status.state = kind === "interrupted" ? "interrupted" : "failed";
      status.error = { code, message };
    }
    status.endedAt = new Date().toISOString();
    this.#readMeters();
    for (const entry of status.stages) {
      if (entry.state === "running") entry.state = "stopped";
      else if (entry.state === "waiting" && isDone) entry.state = "skipped";
    }
    this.#meters.clear();
    this.#write();
    await this.#writing;
  }

  #meterOf(stage: string, nowMs: number): Meter {
    const meter = this.#meters.get(stage) ?? new Meter(nowMs);
    this.#meters.set(stage, meter);
    return meter;
  }

  #say(message: StatusMessage): void {
    const { messages } = this.#status;
    messages.push(message);
    if (messages.length > MESSAGES_LIMIT) messages.shift();
  }

  #readMeters(): void {
    for (const [stage, meter] of this.#meters) {
      const reading = meter.read(performance.now());
      const entry = this.#stages.get(stage);
      if (!reading || !entry) continue;
      const { done, total, unit, figures, rate = null, secondsLeft = null } = reading;
      entry.progress = { done, total, unit, perSecond: rate, secondsLeft, figures: { ...figures } };
    }
  }

  #write(): void {
    this.#changed = false;
    this.#writtenMs = performance.now();
    this.#readMeters();
    this.#status.updatedAt = new Date().toISOString();
    const text = `${JSON.stringify(this.#status)}\n`;
    this.#writing = this.#writing.then(() => replaceFile(this.#path, text)).catch(() => {});
  }
}

/**
 * Under one temporary name, so that a run that is killed leaves no more than one, and without a flush: what a loss of power
 * takes of a view is no loss, and a run does not wait for the disk once a second.
 */
async function replaceFile(path: string, text: string): Promise<void> {
  const temporary = `${path}.tmp`;
  await writeFile(temporary, text);
  await rename(temporary, path);
}
