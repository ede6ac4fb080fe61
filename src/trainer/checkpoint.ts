/** What a training run is resumed from, and how the training loop sees the place where that is kept. */
import type { NamedArray } from "../formats/safetensors.ts";

export interface Checkpoint {
  /** steps done */
  readonly step: number;
  /** parameter/… and the optimizer's state */
  readonly tensors: Readonly<Record<string, NamedArray>>;
  /** everything else that training goes on from, as JSON, which keeps float64 exactly */
  readonly state: unknown;
}

/** Everything that the course of training depends on, apart from the data. JSON. */
export type RunConfiguration = Readonly<Record<string, unknown>>;

/** Checkpoints of one run. */
export interface CheckpointStore {
  /** The newest checkpoint that is whole; null where there is none. */
  load(): Promise<Checkpoint | null>;
  /** Takes the checkpoint's arrays over and resolves when training may go on, which is before everything is written. */
  save(checkpoint: Checkpoint): Promise<void>;
  /** Resolves when everything saved is written; rejects where that failed. */
  idle(): Promise<void>;
}
