/**
 * What can be known of a run from its folder at one moment, while it goes on or after: types only. `RunFollower.read()`
 * gives it; the web page and the terminal show it.
 */
import type { RunStatus, StageStatus, StatusMessage } from "../../pipeline/status.ts";
import type { TrainingSeries } from "../series.ts";

/**
 * waiting: no run has begun here; running: its process is at work; gone: it ended without saying so (it was killed, or its
 * machine failed); the others: how it says it ended. A folder of a version that wrote no status is done where it holds a
 * finished stage.
 */
export type LiveRunState = "waiting" | "gone" | RunStatus["state"];

export interface LiveTraining {
  /** the folder's name: reference, proxy, proxy-round-2-seed-3, main-natural-seed-1 */
  readonly stage: string;
  readonly domains: readonly string[]; // [K]
  /** false while its steps come from the log of a training that is not done */
  readonly finished: boolean;
  /** that it is to take; null where no run says */
  readonly totalSteps: number | null;
  readonly series: TrainingSeries;
}

export interface LiveState {
  /** absolute path */
  readonly folder: string;
  /** of the pipeline; null where the folder does not say */
  readonly pipeline: string | null;
  readonly state: LiveRunState;
  /** what the run writes about itself; null where it wrote nothing yet, or an earlier version wrote the folder */
  readonly status: RunStatus | null;
  /** in the order in which they run; `progress` has what is done, the rate and the time left */
  readonly stages: readonly StageStatus[];
  /** notes and warnings, oldest first */
  readonly messages: readonly StatusMessage[];
  /** that have taken a step, in the order in which they run */
  readonly trainings: readonly LiveTraining[];
}
