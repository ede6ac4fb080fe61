/**
 * Runs stages in order, or one beside the other where it can read what the other is writing. For each: check its input,
 * compute its key, skip it when the finished output has this key, else run it in a work folder, check its output and
 * publish. Knows nothing of what the stages do.
 */
import { join, sep } from "node:path";
import { DoremiError } from "../lib/errors.ts";
import { canonicalJson, sha256Json } from "../lib/hash.ts";
import { throwIfAborted, type WorkerPool } from "../stages/pool.ts";
import type { Stage, StageContext, StageEvent, TrainingExecution } from "../stages/stage.ts";
import type { DoneMark, OutputFolder } from "./output-folder.ts";

/** Outputs of the stages that are done, by name. */
export type Outputs = Readonly<Record<string, unknown>>;

/** A stage and how its input follows from the pipeline and the outputs before it. */
export interface BoundStage {
  // biome-ignore lint/suspicious/noExplicitAny: the runner checks both ends against the stage's own schemas
  readonly stage: Stage<any, any>;
  /** its folder, and its name in outputs, events and reports; default: the stage's, which may then stand here once only */
  readonly name?: string;
  /** which of several the stage means by a name that it looks up: `{ tokenize: "tokenize-2" }` */
  readonly others?: Readonly<Record<string, string>>;
  /**
   * True where what is known by now leaves it nothing to do: it does not run, and has no output. Of a stage that streams
   * it is asked before the stage that it would read from has begun.
   */
  skip?(outputs: Outputs): boolean;
  input(outputs: Outputs): unknown;
  /** Refuses settings that the outputs up to this stage's show to be wrong, before more work is done with them. */
  check?(outputs: Outputs, folder: OutputFolder): Promise<void>;
  /** Asked before what the stage made is put in place: refuses it where what it was made of has changed meanwhile. */
  confirm?(outputs: Outputs, folder: OutputFolder, signal: AbortSignal): Promise<void>;
}

export interface RunnerOptions {
  readonly folder: OutputFolder;
  readonly pool: WorkerPool;
  readonly seed: number;
  readonly training: TrainingExecution;
  readonly cache?: string | undefined;
  readonly signal: AbortSignal;
  emit(event: StageEvent): void;
  /** told of each stage that is done, or was before */
  settled?(stage: string): Promise<void>;
}

export interface StageReport {
  readonly stage: string;
  readonly status: "done" | "unchanged";
}

export function nameOf({ stage, name = stage.name }: BoundStage): string {
  return name;
}

export async function runStages(
  stages: readonly BoundStage[],
  options: RunnerOptions,
): Promise<{ reports: StageReport[]; outputs: Outputs }> {
  const outputs: Record<string, unknown> = {};
  const reports: StageReport[] = [];
  /** stages whose files were made or looked at in this run */
  const intact = new Set<string>();
  for (let at = 0; at < stages.length; at++) {
    throwIfAborted(options.signal);
    const bound = stages[at]!;
    if (bound.skip?.(outputs)) continue;
    const before = stages.slice(0, at);
    const damaged = await findDamaged(bound, before, outputs, intact, options);
    if (damaged !== undefined) {
      at = await restartAt(damaged, before, reports, options);
      continue;
    }
    const following = stages[at + 1];
    // What a check would refuse must not have begun.
    const streamed = following?.stage.streams && !bound.check && !following.skip?.(outputs) ? following : undefined;
    const done = await runAhead(bound, streamed, outputs, options).catch((error: unknown) => error as Error);
    if (!Array.isArray(done)) {
      const blamed = await damagedFileOf(done, before, intact, options);
      if (blamed === undefined) throw done;
      at = await restartAt(blamed, before, reports, options);
      continue;
    }
    for (const [i, { stage, status, output }] of done.entries()) {
      outputs[stage] = output;
      reports.push({ stage, status });
      if (status === "done") intact.add(stage);
      await stages[at + i]!.check?.(outputs, options.folder);
      await options.settled?.(stage);
    }
    at += done.length - 1;
  }
  return { reports, outputs };
}

/** A file of a finished stage that is not what the stage wrote. */
interface Damaged {
  readonly stage: string;
  readonly path: string;
}

/** Before a stage that has work to do: are the files that it reads, and does not look at itself, what their stages wrote? */
async function findDamaged(
  bound: BoundStage,
  before: readonly BoundStage[],
  outputs: Outputs,
  intact: Set<string>,
  { folder, signal }: RunnerOptions,
): Promise<Damaged | undefined> {
  const { stage, others = {} } = bound;
  const read = stage.reads?.map((other) => others[other] ?? other);
  const unseen = before
    .filter((other) => !other.stage.checkedByReaders)
    .map(nameOf)
    .filter((name) => name in outputs && !intact.has(name) && (read?.includes(name) ?? true));
  if (unseen.length === 0 || (await isDone(bound, outputs, folder)).done) return undefined;
  for (const name of unseen) {
    const path = await folder.damagedFile(name, signal);
    if (path !== undefined) return { stage: name, path };
    intact.add(name);
  }
  return undefined;
}

/** The file that made a stage fail, where it is one of an earlier stage's that is no longer what that wrote. */
async function damagedFileOf(
  error: Error,
  before: readonly BoundStage[],
  intact: ReadonlySet<string>,
  { folder, signal }: RunnerOptions,
): Promise<Damaged | undefined> {
  if (!(error instanceof DoremiError) || error.kind !== "bad-data" || error.file === undefined) return undefined;
  const stage = before.map(nameOf).find((name) => error.file!.startsWith(join(folder.folderOf(name), sep)));
  if (stage === undefined || intact.has(stage)) return undefined;
  return (await folder.damagedFile(stage, signal)) === undefined ? undefined : { stage, path: error.file };
}

/** The damaged file's stage runs again; what followed from it is unchanged if its output is what it was. @returns the loop's place */
async function restartAt(
  { stage, path }: Damaged,
  before: readonly BoundStage[],
  reports: StageReport[],
  { folder, emit }: RunnerOptions,
): Promise<number> {
  const message = `${path}: is not what ${stage} wrote (its SHA-256 differs), so ${stage} runs again; is the disk sound?`;
  emit({ type: "note", stage, message });
  await folder.forget(stage);
  reports.length = reports.findIndex((report) => report.stage === stage);
  return before.findIndex((other) => nameOf(other) === stage) - 1;
}

interface Done extends StageReport {
  readonly output: unknown;
}

/**
 * Runs a stage, and beside it the one after it from when the first has announced its output. The second is in place only
 * after the first is; where either fails, the other is stopped.
 * @param following what may start early, if the first announces anything
 */
async function runAhead(
  bound: BoundStage,
  following: BoundStage | undefined,
  outputs: Outputs,
  options: RunnerOptions,
): Promise<Done[]> {
  const name = nameOf(bound);
  const stop = new AbortController();
  const signal = following ? AbortSignal.any([options.signal, stop.signal]) : options.signal;
  const failures: unknown[] = [];
  const fail = (error: unknown): never => {
    failures.push(error);
    stop.abort();
    throw error;
  };
  const ahead: { announced?: unknown; second?: Promise<Done> } = {};
  const input = check(bound.stage.input, bound.input(outputs), `${name}: input`);
  const first: Promise<Done> = runStage(bound, input, {
    ...options,
    signal,
    outputs,
    announce(announced, folder) {
      if (!following || ahead.second) return;
      ahead.announced = announced;
      ahead.second = start(following, { ...outputs, [name]: announced }, folder).catch(fail);
      ahead.second.catch(() => {}); // it is in `failures`
    },
  }).catch(fail);
  const start = async (bound: BoundStage, before: Outputs, folder: string): Promise<Done> =>
    runStage(bound, check(bound.stage.input, bound.input(before), `${nameOf(bound)}: input`), {
      ...options,
      signal,
      outputs: before,
      unfinished: { stage: name, folder, done: first },
    });
  const done = await first.catch(() => undefined);
  const second = await ahead.second?.catch(() => undefined);
  if (bound.confirm && isOfInput(failures[0])) {
    // What came of other bytes than were counted must not be gone on with, even if these come back.
    for (const begun of [bound, ...(following ? [following] : [])]) {
      await options.folder.dropOtherWork(nameOf(begun), undefined);
    }
  }
  if (!done || failures.length > 0) throw failures[0];
  if (!second) return [done];
  if (canonicalJson(done.output) !== canonicalJson(ahead.announced)) {
    throw new DoremiError("internal", "stage-contract", `${name}: output must be what the stage announced, and is not`);
  }
  return [done, second];
}

/** Does the failure say that what was read is missing or not what it has to be? */
function isOfInput(failure: unknown): boolean {
  return failure instanceof DoremiError && (failure.kind === "bad-data" || failure.kind === "missing-input");
}

/** Would this stage have work to do? For plans. */
export async function isDone(
  bound: BoundStage,
  outputs: Outputs,
  folder: OutputFolder,
): Promise<{ done: boolean; key: string; output?: unknown }> {
  const { stage } = bound;
  const name = nameOf(bound);
  const input = check(stage.input, bound.input(outputs), `${name}: input`);
  const mark = await folder.done(name);
  const key = stageKey(stage, input);
  return mark?.key === key ? { done: true, key, output: mark.output } : { done: false, key };
}

/** What of an earlier run a stage may take over: never what another version of it wrote. */
export function previousOf(
  bound: BoundStage,
  mark: DoneMark | undefined,
  folder: OutputFolder,
): StageContext["previous"] {
  const same = mark?.version === bound.stage.version;
  return same ? { folder: folder.folderOf(nameOf(bound)), output: mark.output } : undefined;
}

function stageKey(stage: BoundStage["stage"], input: unknown): string {
  return sha256Json({ stage: stage.name, version: stage.version, input });
}

interface StageOptions extends RunnerOptions {
  /** of the stages before it */
  readonly outputs: Outputs;
  /** told of the output that the stage announces, and of the folder that it is writing into */
  announce?(output: unknown, folder: string): void;
  /** a stage that this one began before the end of */
  readonly unfinished?: { readonly stage: string; readonly folder: string; readonly done: Promise<unknown> };
}

async function runStage(bound: BoundStage, input: unknown, options: StageOptions): Promise<Done> {
  const { folder, pool, seed, training, cache, signal, unfinished } = options;
  const { stage, others = {} } = bound;
  const name = nameOf(bound);
  const instance = (other: string): string => {
    if (stage.reads?.includes(other) ?? true) return others[other] ?? other;
    throw new DoremiError(
      "internal",
      "stage-contract",
      `${name}: reads ${other}, which is not among what it says it reads`,
    );
  };
  const emit = (event: StageEvent): void => options.emit({ ...event, stage: name });
  const key = stageKey(stage, input);
  await folder.recover(name, key);
  await folder.dropOtherWork(name, key);
  const before = await folder.done(name);
  if (before?.key === key && !stage.always) {
    emit({ type: "unchanged", stage: name });
    return { stage: name, status: "unchanged", output: check(stage.output, before.output, `${name}: kept output`) };
  }
  const started = performance.now();
  emit({ type: "start", stage: name });
  const work = await folder.workFolder(name, key);
  const context: StageContext = {
    folder: work,
    previous: previousOf(bound, before, folder),
    folderOf: (other) => folder.folderOf(instance(other)),
    unfinishedFolderOf: (other) => (instance(other) === unfinished?.stage ? unfinished.folder : undefined),
    announce: (announced) => options.announce?.(check(stage.output, announced, `${name}: announced output`), work),
    seed,
    training,
    cache,
    signal,
    pool,
    emit,
  };
  const output = check(stage.output, await stage.run(input, context), `${name}: output`);
  if (stage.always && before?.key === key && sha256Json(before.output) === sha256Json(output)) {
    await folder.dropOtherWork(name, undefined);
    emit({ type: "unchanged", stage: name });
    return { stage: name, status: "unchanged", output };
  }
  await unfinished?.done;
  await bound.confirm?.(options.outputs, folder, signal);
  await folder.publish({ stage: name, version: stage.version }, key, output);
  emit({ type: "done", stage: name, durationMs: performance.now() - started });
  return { stage: name, status: "done", output };
}

function check(schema: BoundStage["stage"]["input"], value: unknown, what: string): unknown {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0]!;
  throw new DoremiError(
    "internal",
    "stage-contract",
    `${what} does not hold to its contract at ${issue.path.join(".")}: ${issue.message}`,
  );
}
