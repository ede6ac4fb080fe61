/**
 * What a training stage asks of the trainer's thread, and what the two say to each other meanwhile. Plain data, apart
 * from the port to the feed.
 */
import type { MessagePort } from "node:worker_threads";
import type { EngineName } from "../engine/engine.ts";
import type { PlainError } from "../lib/errors.ts";
import type { Checkpoint, RunConfiguration } from "../trainer/checkpoint.ts";
import type { EvaluationResult, ModelConfig, StepRecord } from "../trainer/contract.ts";
import type { ProxyOptions, TrainOptions } from "../trainer/train-options.ts";

/** Settings of a training that are plain data. */
export type TrainingSettings = Pick<
  TrainOptions,
  "model" | "optimizer" | "steps" | "seed" | "microBatch" | "accumulation" | "recompute" | "precision"
>;

/** A model from a folder, of the shape that its use demands. */
export interface StoredModel {
  readonly folder: string;
  readonly demands: Pick<ModelConfig, "vocabularySize" | "sequenceLength">;
}

export interface TrainingJob {
  readonly engine: EngineName | "auto";
  readonly threads: number;
  /** names of the domains */
  readonly domains: readonly string[]; // [K]
  readonly batchSize: number; // B
  /** what is evaluated in the end: a model that is trained here, or one that is there already */
  readonly model:
    | {
        readonly kind: "train";
        readonly settings: TrainingSettings;
        readonly checkpointEvery: number;
        readonly heldOut: HeldOutTracking | null;
        /** fingerprints of the data */
        readonly data: unknown;
        readonly proxy: ProxySettings | null;
        /** where the model goes */
        readonly folder: string;
        readonly endOfText: number | null;
      }
    | { readonly kind: "stored"; readonly stored: StoredModel };
}

export interface ProxySettings extends Omit<ProxyOptions, "reference"> {
  /** null where the objective needs none */
  readonly reference: StoredModel | null;
}

/** Held-out loss between steps. */
export interface HeldOutTracking {
  /** steps */
  readonly every: number;
  /** of each domain, at most */
  readonly sequences: number;
}

export interface TrainingThreadData {
  readonly job: TrainingJob;
  /** to the feed's thread */
  readonly feed: MessagePort;
}

export interface TrainingOutcome {
  readonly evaluation: EvaluationResult;
  /** of a training */
  readonly trained?: {
    readonly steps: number;
    readonly alpha?: Float64Array;
    readonly average?: Float64Array;
  };
}

export type ToTrainer =
  | { readonly type: "stop" }
  | { readonly type: "loaded"; readonly checkpoint: Checkpoint | null }
  /** of the checkpoint that was sent last */
  | { readonly type: "written" }
  | { readonly type: "failed"; readonly error: PlainError };

export type FromTrainer =
  | { readonly type: "note"; readonly message: string }
  | { readonly type: "record"; readonly record: StepRecord }
  /** of computing the reference's losses: tokens */
  | { readonly type: "progress"; readonly done: number; readonly total: number }
  | { readonly type: "load"; readonly configuration: RunConfiguration }
  | { readonly type: "save"; readonly checkpoint: Checkpoint }
  | { readonly type: "done"; readonly outcome: TrainingOutcome }
  | { readonly type: "failed"; readonly error: PlainError };
