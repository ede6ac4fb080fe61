/**
 * The contract between a stage and whoever runs it. A stage is a function from checked input to checked output that
 * writes only into its folder; the runner does the rest: keys, skipping, atomic publication, events.
 */
import type { z } from "zod";
import type { EngineName } from "../engine/engine.ts";
import type { TrainingWarning } from "../trainer/diagnosis-contract.ts";
import type { ReferenceLossSetting } from "./feed-contract.ts";
import type { WorkerPool } from "./pool.ts";

/** What happens during a run, for progress displays and logs. Plain data. */
export type StageEvent =
  | { readonly type: "start"; readonly stage: string }
  | { readonly type: "unchanged"; readonly stage: string }
  | {
      readonly type: "progress";
      readonly stage: string;
      readonly done: number;
      readonly total: number;
      /** what is being counted: bytes, steps, shards, tasks of a cluster's job */
      readonly unit: "bytes" | "steps" | "shards" | "tokens" | "tasks";
      /** further figures worth a line, such as the loss */
      readonly figures?: Readonly<Record<string, number>>;
    }
  /** something that the user should know and that does not stop the run; also kept in the stage's result */
  | { readonly type: "note"; readonly stage: string; readonly message: string }
  /** something that goes wrong in a training, and what to change; also kept in the stage's result */
  | ({ readonly type: "warning"; readonly stage: string } & TrainingWarning)
  /** what counting had to do, and what it was spared; only the time differs from run to run */
  | {
      readonly type: "counted";
      readonly stage: string;
      /** shards counted now, and taken over from earlier counts; of these, from the cache */
      readonly shards: number;
      readonly kept: number;
      readonly cached: number;
      /** of the workers together, by tokenizer */
      readonly seconds: Readonly<Record<string, number>>;
    }
  | {
      readonly type: "trained";
      readonly stage: string;
      /** done, also those of runs before this one */
      readonly steps: number;
      /** of the steps of this run */
      readonly durationMs: number;
      /** share of that time in which the engine waited for batches; null where this run found all steps done */
      readonly dataWait: number | null;
    }
  | { readonly type: "done"; readonly stage: string; readonly durationMs: number };

/** How a training is executed. Changes nothing in its result but rounding, so it is in no stage's key. */
export interface TrainingExecution {
  readonly engine: EngineName | "auto";
  /** of one operation */
  readonly threads: number;
  /** steps between checkpoints */
  readonly checkpointEvery: number;
  /** so many of the newest checkpoints are kept */
  readonly keepCheckpoints: number;
  /** sequences computed at once; null: the whole batch */
  readonly microBatch: number | null;
  /** activations are computed again in the backward pass rather than kept */
  readonly recompute: boolean;
  /** of a proxy */
  readonly referenceLosses: ReferenceLossSetting;
}

export interface StageContext {
  /** absolute path of the folder that this stage writes into; holds what an interrupted run with the same key left */
  readonly folder: string;
  /** what this version of the stage completed last, perhaps of another key, for reuse of parts; undefined if nothing */
  readonly previous: { readonly folder: string; readonly output: unknown } | undefined;
  /** folder of counts that runs of any pipeline share; undefined where there is to be none */
  readonly cache?: string | undefined;
  /** folder of a finished stage that this one depends on */
  folderOf(stage: string): string;
  /** folder that a stage which this one depends on is still writing into; what it announced is found there or, later, in `folderOf` */
  unfinishedFolderOf?(stage: string): string | undefined;
  /**
   * Tells what the stage will return, once the files are there that others may read as they grow. A stage after it that
   * `streams` is started then.
   */
  announce?(output: unknown): void;
  readonly seed: number;
  /** aborted when the run is to stop: save what is worth saving and throw an `interrupted` error */
  readonly signal: AbortSignal;
  readonly training: TrainingExecution;
  readonly pool: WorkerPool;
  emit(event: StageEvent): void;
}

export interface Stage<In, Out> {
  readonly name: string;
  /** raised when the same input would give another output */
  readonly version: number;
  /** true: looks at the world outside its input, so it runs every time; its output decides whether others run */
  readonly always?: true;
  /** true: can start when the stage before it has announced its output, and reads what that one writes as it grows */
  readonly streams?: true;
  /** stages whose files it reads, by the names that it gives to `folderOf`, which then knows no others; default: any */
  readonly reads?: readonly string[];
  /** true: whoever reads its files finds by a hash whether they are what it wrote, and says which is not */
  readonly checkedByReaders?: true;
  readonly input: z.ZodType<In>;
  readonly output: z.ZodType<Out>;
  /** @throws DoremiError */
  run(input: In, context: StageContext): Promise<Out>;
}

/** The context's emitter with the stage's name filled in, and progress thinned to ten a second. */
export function reporter(context: Pick<StageContext, "emit">, stage: string) {
  let last = 0;
  return {
    progress(
      done: number,
      total: number,
      unit: "bytes" | "steps" | "shards" | "tokens",
      figures?: Record<string, number>,
    ) {
      const now = performance.now();
      if (now - last < 100 && done < total) return;
      last = now;
      context.emit({ type: "progress", stage, done, total, unit, ...(figures && { figures }) });
    },
    note(message: string) {
      context.emit({ type: "note", stage, message });
    },
  };
}
