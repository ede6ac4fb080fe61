/**
 * Runs stages in order. For each: check its input, compute its key, skip it when the finished output has this key,
 * else run it in a work folder, check its output and publish. Knows nothing of what the stages do.
 */
import { DoremiError } from "../lib/errors.ts";
import { sha256Json } from "../lib/hash.ts";
import { throwIfAborted, type WorkerPool } from "../stages/pool.ts";
import type { Stage, StageContext, StageEvent, TrainingExecution } from "../stages/stage.ts";
import type { DoneMark, OutputFolder } from "./output-folder.ts";

/** Outputs of the stages that are done, by name. */
export type Outputs = Readonly<Record<string, unknown>>;

/** A stage and how its input follows from the pipeline and the outputs before it. */
export interface BoundStage {
  // biome-ignore lint/suspicious/noExplicitAny: the runner checks both ends against the stage's own schemas
  readonly stage: Stage<any, any>;
  input(outputs: Outputs): unknown;
  /** Refuses settings that the outputs up to this stage's show to be wrong, before more work is done with them. */
  check?(outputs: Outputs, folder: OutputFolder): Promise<void>;
}

export interface RunnerOptions {
  readonly folder: OutputFolder;
  readonly pool: WorkerPool;
  readonly seed: number;
  readonly training: TrainingExecution;
  readonly cache?: string | undefined;
  readonly signal: AbortSignal;
  emit(event: StageEvent): void;
}

export interface StageReport {
  readonly stage: string;
  readonly status: "done" | "unchanged";
}

export async function runStages(
  stages: readonly BoundStage[],
  options: RunnerOptions,
): Promise<{ reports: StageReport[]; outputs: Outputs }> {
  const outputs: Record<string, unknown> = {};
  const reports: StageReport[] = [];
  for (const bound of stages) {
    throwIfAborted(options.signal);
    const { name } = bound.stage;
    const input = check(bound.stage.input, bound.input(outputs), `${name}: input`);
    const { status, output } = await runStage(bound.stage, input, options);
    outputs[name] = output;
    reports.push({ stage: name, status });
    await bound.check?.(outputs, options.folder);
  }
  return { reports, outputs };
}

/** Would this stage have work to do? For plans. */
export async function isDone(
  bound: BoundStage,
  outputs: Outputs,
  folder: OutputFolder,
): Promise<{ done: boolean; output?: unknown }> {
  const { stage } = bound;
  const input = check(stage.input, bound.input(outputs), `${stage.name}: input`);
  const mark = await folder.done(stage.name);
  return mark?.key === stageKey(stage, input) ? { done: true, output: mark.output } : { done: false };
}

/** What of an earlier run a stage may take over: never what another version of it wrote. */
export function previousOf(
  stage: BoundStage["stage"],
  mark: DoneMark | undefined,
  folder: OutputFolder,
): StageContext["previous"] {
  return mark?.version === stage.version ? { folder: folder.folderOf(stage.name), output: mark.output } : undefined;
}

function stageKey(stage: BoundStage["stage"], input: unknown): string {
  return sha256Json({ stage: stage.name, version: stage.version, input });
}

async function runStage(
  stage: BoundStage["stage"],
  input: unknown,
  { folder, pool, seed, training, cache, signal, emit }: RunnerOptions,
): Promise<{ status: "done" | "unchanged"; output: unknown }> {
  const { name } = stage;
  const key = stageKey(stage, input);
  await folder.recover(name, key);
  await folder.dropOtherWork(name, key);
  const before = await folder.done(name);
  if (before?.key === key && !stage.always) {
    emit({ type: "unchanged", stage: name });
    return { status: "unchanged", output: check(stage.output, before.output, `${name}: kept output`) };
  }
  const started = performance.now();
  emit({ type: "start", stage: name });
  const context: StageContext = {
    folder: await folder.workFolder(name, key),
    previous: previousOf(stage, before, folder),
    folderOf: (other) => folder.folderOf(other),
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
    return { status: "unchanged", output };
  }
  await folder.publish({ stage: name, version: stage.version }, key, output);
  emit({ type: "done", stage: name, durationMs: performance.now() - started });
  return { status: "done", output };
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
