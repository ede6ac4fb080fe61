/**
 * The contract of an objective's part in a training graph: the float32 twin of `Objective` (src/mixture/objective.ts), as
 * TensorFlow.js ops on what a batch's sequences add up to. B sequences, K domains.
 */
import type { Tensor } from "@tensorflow/tfjs-core";
import type { TensorFlow } from "../../engine/tensorflow.ts";

/** Sums over each sequence's unmasked tokens; all 0 for a sequence that is not there. */
export interface SequenceSums {
  /** int32 [B], 0..K−1 */
  readonly domains: Tensor;
  readonly tokens: Tensor; // [B]
  readonly loss: Tensor; // [B]
  /** Σ (loss − reference) */
  readonly excess: Tensor; // [B]
  /** Σ max(loss − reference, 0) */
  readonly clipped: Tensor; // [B]
}

export interface GraphObjectiveStep {
  /** the same names and shapes as the state before */
  readonly state: Readonly<Record<string, Tensor>>;
  /** weight of each domain in this step's objective, as `ObjectiveStep.alpha`, [K] */
  readonly alpha: Tensor;
  /** d objective / d loss of each unmasked token of a sequence, [B]; a constant for the gradient */
  readonly tokenWeight: Tensor;
}

export interface GraphObjective {
  /** lengths of the state's arrays, those of `Objective.init()` */
  readonly state: Readonly<Record<string, number>>;
  step(tf: TensorFlow, state: Readonly<Record<string, Tensor>>, batch: SequenceSums): GraphObjectiveStep;
  /**
   * Token weights under given domain weights, as `Objective.weigh`, for a batch that is computed in parts (accumulation:
   * stale), where each part is normalised by its own tokens. Absent where that is. @param alpha [K] @returns [B]
   */
  weigh?(tf: TensorFlow, alpha: Tensor, batch: Pick<SequenceSums, "domains" | "tokens">): Tensor;
}

/** An objective without the shape of its state, which is that of its float64 twin. */
export type GraphRule = Omit<GraphObjective, "state">;
