/**
 * One optimizer step as the training loop sees it, whatever executes it: batches and domain weights go in, losses come
 * out; parameters and optimizer state stay inside until somebody reads them.
 */
import type { Engine, Precision } from "../../engine/engine.ts";
import type { NamedArray } from "../../formats/safetensors.ts";
import type { Objective, ObjectiveState } from "../../mixture/objective.ts";
import type { ModelConfig, OptimizerConfig, TrainingBatch } from "../contract.ts";
import type { GraphObjective } from "../objectives/graph-objective.ts";

/** How a batch that does not fit at once is taken in parts. */
export type Accumulation =
  /** the domain weights are updated from the losses of the whole batch first: one more forward pass */
  | "exact"
  /** as the official code does: all parts but the last use the weights of the step before */
  | "stale";

export interface StepperSetup {
  readonly engine: Engine;
  readonly model: ModelConfig;
  readonly optimizer: OptimizerConfig;
  /** of the whole training, for the schedule */
  readonly steps: number;
  /** sequences of a batch, B */
  readonly batchSize: number;
  /** sequences that are computed at once; divides B */
  readonly microBatch: number;
  readonly accumulation: Accumulation;
  readonly recompute: boolean;
  readonly precision: Precision;
  /** `losses` will be asked for between steps */
  readonly evaluates: boolean;
  /** present for a proxy */
  readonly proxy?: ProxyObjective;
}

/** An objective, as the host computes it in float64 and as the graph does in float32. */
export interface ProxyObjective {
  readonly host: Objective;
  readonly graph: GraphObjective;
  readonly domains: number; // K
  /** its losses are compared with a reference's */
  readonly reference: boolean;
}

export interface StepRequest {
  /** 1-based */
  readonly step: number;
  readonly batch: TrainingBatch;
  /** proxy: the reference's losses [B, T], where the objective needs them */
  readonly reference?: Float32Array;
  /** proxy: before the step; that of the later ones of several requests follows from the first */
  readonly before?: { readonly state: ObjectiveState; readonly alpha: Float64Array };
}

export interface StepOutcome {
  /** of all sequences, [B, T] */
  readonly losses: Float32Array;
  /** of the whole batch's gradient, before clipping; where it is not finite, nothing was changed */
  readonly gradientNorm: number;
  readonly learningRate: number;
}

export interface Stepper {
  /** Requests that one call should hold. */
  readonly atOnce: number;
  /**
   * @param requests consecutive steps  @param lossScale the gradients are computed at this scale (float16)
   * @throws StoppedInStep where the signal is aborted between two parts of a batch; nothing has changed then
   */
  run(requests: readonly StepRequest[], lossScale: number, signal?: AbortSignal): Promise<StepOutcome[]>;
  /** Losses of a batch of a multiple of `microBatch` sequences, [B, T]; nothing changes. */
  losses(batch: Pick<TrainingBatch, "inputs" | "targets">): Promise<Float32Array>;
  /** Copies of parameter/… and of the optimizer's state. */
  read(): Promise<Record<string, NamedArray>>;
  /** Copies of the parameters, by name; lets go of all else, so that no step can follow. */
  finish(): Promise<Record<string, Float32Array>>;
  close(): Promise<void>;
}

/** Value of each tensor of the state to begin with, row-major; undefined: zeros. */
export type InitialState = (name: string) => Float32Array | undefined;
