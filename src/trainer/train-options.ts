/** What a training takes, the rules that hold between its parts, and what its course depends on. */
import type { Engine, Precision } from "../engine/engine.ts";
import { refusePrecision } from "../engine/report.ts";
import type { ErrorCode } from "../lib/error-codes.ts";
import { DoremiError } from "../lib/errors.ts";
import type { ObjectiveFacts } from "../mixture/objective.ts";
import { allowsStaleWeights, type ObjectiveSettings } from "../mixture/objective-settings.ts";
import type { CheckpointStore, RunConfiguration } from "./checkpoint.ts";
import type { BatchSource, ModelConfig, OptimizerConfig, StepRecord, TrainingBatch } from "./contract.ts";
import type { SettleCriterion } from "./domain-weights.ts";
import type { ReferenceLosses } from "./evaluate.ts";
import { modelFaults, optimizerFaults, refuseFaults } from "./settings.ts";
import type { Accumulation } from "./step/contract.ts";

export interface TrainOptions {
  readonly engine: Engine;
  readonly model: ModelConfig;
  readonly optimizer: OptimizerConfig;
  readonly batches: BatchSource;
  readonly steps: number;
  /** of the initial weights */
  readonly seed: number;
  /** what makes it a proxy */
  readonly proxy?: ProxyOptions;
  /** held-out loss is measured before the step that follows every so many */
  readonly heldOut?: {
    readonly every: number;
    /** of a multiple of `microBatch` sequences each; asked for once */
    readonly batches: () => Promise<readonly TrainingBatch[]>;
  };
  /** sequences computed at once, a divisor of the batch; default: all */
  readonly microBatch?: number;
  /** default: exact */
  readonly accumulation?: Accumulation;
  /** computes activations again in the backward pass: less memory, one more forward pass */
  readonly recompute?: boolean;
  /** default: float32 */
  readonly precision?: Precision;
  /** of the batches' domains, for messages; default: their numbers */
  readonly domainNames?: readonly string[];
  /** called after every step; a promise is waited for */
  readonly onStep?: (record: StepRecord) => void | Promise<void>;
  /** on abort the state is saved, where `checkpoint` says so, and DoremiError interrupted is thrown */
  readonly signal?: AbortSignal;
  /** what the user should know */
  readonly onNote?: (message: string) => void;
  /** a run resumes from what it finds here */
  readonly checkpoint?: {
    /** opens the store for a run of this configuration; it refuses what another configuration left */
    readonly store: (configuration: RunConfiguration) => CheckpointStore;
    /** steps between checkpoints; 0 = only when interrupted */
    readonly every: number;
    /** what identifies the data (fingerprints); a checkpoint made with other data is refused */
    readonly data?: unknown;
  };
}

export interface ProxyOptions {
  readonly objective: ObjectiveSettings;
  readonly facts: ObjectiveFacts;
  /** where the reference's losses come from, if not with the batch */
  readonly reference?: ReferenceLosses;
  /** when to stop early */
  readonly settle?: SettleCriterion;
}

/** Everything that the course of the training depends on, whatever machine goes on with it. */
export function runConfiguration(options: TrainOptions): RunConfiguration {
  const { model, optimizer, batches, steps, seed, proxy, checkpoint } = options;
  return {
    model,
    optimizer,
    steps,
    seed,
    batchSize: batches.batchSize,
    domains: batches.domains,
    proxy: proxy ? { objective: proxy.objective, facts: proxy.facts, settle: proxy.settle ?? null } : null,
    // Exact parts give the same step in any size; a run that ran out of memory goes on in smaller ones.
    stale: options.accumulation === "stale" ? (options.microBatch ?? batches.batchSize) : null,
    precision: options.precision ?? "float32",
    data: checkpoint?.data ?? null,
  };
}

/** @throws DoremiError bad-configuration */
export function validateOptions(options: TrainOptions): void {
  const { engine, model, optimizer, steps, proxy, batches, microBatch, precision } = options;
  refuseFaults("model", modelFaults(model));
  refuseFaults("optimizer", optimizerFaults(optimizer));
  const refuse = (code: ErrorCode, message: string): never => {
    throw new DoremiError("bad-configuration", code, message);
  };
  if (!Number.isSafeInteger(steps) || steps < 1)
    refuse("steps", `training: steps must be an integer ≥ 1, found ${steps}`);
  if (
    microBatch !== undefined &&
    !(Number.isSafeInteger(microBatch) && microBatch >= 1 && batches.batchSize % microBatch === 0)
  )
    refuse(
      "micro-batch",
      `training: microBatch must divide the batch of ${batches.batchSize} sequences, found ${microBatch}`,
    );
  if (precision) refusePrecision(engine.name, engine.precisions, precision);
  if (!proxy) return;
  const { facts, settle, objective } = proxy;
  if (batches.domains < 1) refuse("domains", "proxy: needs at least one domain, found none");
  for (const name of ["start", "sampling", "reference", "sizes"] as const) {
    if (facts.domains !== batches.domains || facts[name].length !== batches.domains)
      refuse(
        "domains",
        `proxy: ${name} must have a number for each of ${batches.domains} domains, found ${facts[name].length}`,
      );
  }
  if (settle && !(settle.tolerance > 0 && Number.isSafeInteger(settle.every) && settle.every >= 1))
    refuse("settle", `proxy: settle needs a tolerance > 0 and every ≥ 1, found ${JSON.stringify(settle)}`);
  const divided = microBatch !== undefined && microBatch < batches.batchSize;
  if (options.accumulation === "stale" && divided && !allowsStaleWeights(objective))
    refuse(
      "accumulation",
      `proxy: accumulation must be exact for objective ${objective.name}, whose weights follow from the losses of the whole batch, found stale`,
    );
}
