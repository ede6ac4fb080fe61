/**
 * What a training stage keeps of its steps while it trains: the trajectory, the trace of a proxy, and what a diagnosis
 * finds wrong in them.
 */
import { join } from "node:path";
import type { StepRecord } from "../trainer/contract.ts";
import { Diagnosis } from "../trainer/diagnosis.ts";
import type { HeldOutLosses, TrainingWarning } from "../trainer/diagnosis-contract.ts";
import { TRACE, TraceLog } from "./trace.ts";
import type { RecordedProxy } from "./trace-metadata.ts";
import { TRAJECTORY, TrajectoryLog } from "./trajectory.ts";

/** In the stage's folder until the training is done. */
export const TRAJECTORY_LOG = "trajectory.log";
const TRACE_LOG = "trace.log";

export interface TrainingRecordOptions {
  /** of the stage; what an interrupted run left there is gone on with */
  readonly folder: string;
  readonly domains: readonly string[];
  readonly batchSize: number;
  /** that the training is to take */
  readonly steps: number;
  /** V of the model */
  readonly vocabularySize: number;
  /** how often all steps together go through the text that there is of each domain */
  readonly epochs: readonly number[]; // [K]
  /** null for a training that learns no weights */
  readonly proxy: RecordedProxy | null;
  /** keep what a proxy's objective saw of each step */
  readonly trace: boolean;
  /** called for what is found in steps of this run, not of one before it */
  readonly onWarning: (warning: TrainingWarning) => void;
}

export class TrainingRecord {
  readonly #folder: string;
  readonly #trajectory: TrajectoryLog;
  readonly #trace: TraceLog | null;
  readonly #diagnosis: Diagnosis;
  readonly #onWarning: (warning: TrainingWarning) => void;
  readonly #warnings: TrainingWarning[] = [];

  constructor(options: TrainingRecordOptions) {
    const { folder, domains, batchSize, steps, vocabularySize, epochs, proxy, trace, onWarning } = options;
    this.#folder = folder;
    this.#trajectory = new TrajectoryLog(join(folder, TRAJECTORY_LOG), domains, proxy);
    this.#trace = proxy && trace ? new TraceLog(join(folder, TRACE_LOG), domains, batchSize, proxy) : null;
    this.#diagnosis = new Diagnosis({
      steps,
      vocabularySize,
      domains,
      epochs,
      ...(proxy && { proxy: { objective: proxy.objective, start: proxy.facts.start } }),
    });
    this.#onWarning = onWarning;
  }

  /** Steps from the first on that it has everything of: the last that a checkpoint may be of. */
  get steps(): number {
    return Math.min(this.#trajectory.steps, this.#trace?.steps ?? this.#trajectory.steps);
  }

  /** All that was found, in order, from the first step on. */
  get warnings(): readonly TrainingWarning[] {
    return this.#warnings;
  }

  /** Takes in the steps that earlier runs made, before the first of this one. @param step the last of them */
  resume(step: number): void {
    for (const record of this.#trajectory.records(step)) this.#warnings.push(...this.#diagnosis.observe(record));
  }

  /** @throws DoremiError trajectory-gap */
  add(record: StepRecord): void {
    this.#trajectory.add(record);
    this.#trace?.add(record);
    this.#warn(this.#diagnosis.observe(record));
  }

  /** Makes what was added durable: before a checkpoint counts on it. */
  flush(): void {
    this.#trajectory.flush();
    this.#trace?.flush();
  }

  /** After the last step: what only the whole training shows. */
  diagnose(heldOut: HeldOutLosses): void {
    this.#warn(this.#diagnosis.finish(heldOut));
  }

  /** Mean loss over the last tenth of the steps. */
  finalLoss(): number {
    return this.#trajectory.finalLoss();
  }

  tokens(): number {
    return this.#trajectory.tokens();
  }

  /** Writes the Arrow files; the logs stay. */
  async write(): Promise<void> {
    await this.#trajectory.write(join(this.#folder, TRAJECTORY));
    await this.#trace?.write(join(this.#folder, TRACE));
  }

  /** Closes and deletes the logs, once no checkpoint counts on them. */
  drop(): void {
    this.#trajectory.drop();
    this.#trace?.drop();
  }

  close(): void {
    this.#trajectory.close();
    this.#trace?.close();
  }

  #warn(warnings: readonly TrainingWarning[]): void {
    this.#warnings.push(...warnings);
    for (const warning of warnings) this.#onWarning(warning);
  }
}
