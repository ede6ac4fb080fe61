/**
 * The training loop, for the reference (plain mean loss) and the proxy (DoReMi): validation, checkpoints, records and
 * interruption. What a step does is in run.ts, its mathematics in programs.ts.
 */
import { DoremiError } from "../lib/errors.ts";
import { loadCheckpoint, type RunConfiguration, saveCheckpoint } from "./checkpoint.ts";
import type { StepRecord } from "./contract.ts";
import { trainingProgram } from "./programs.ts";
import { Run, type RunOptions, type TrainResult } from "./run.ts";
import { modelFaults, optimizerFaults, refuseFaults } from "./settings.ts";

export type { TrainResult } from "./run.ts";

export interface TrainOptions extends RunOptions {
  /** called after every step; a promise is waited for */
  readonly onStep?: (record: StepRecord) => void | Promise<void>;
  /** on abort the state is saved, where `checkpoint` says so, and DoremiError interrupted is thrown */
  readonly signal?: AbortSignal;
  /** a run resumes from what it finds here */
  readonly checkpoint?: {
    readonly folder: string;
    /** steps between checkpoints; 0 = only when interrupted */
    readonly every: number;
    /** what identifies the data (fingerprints); a checkpoint made with other data is refused */
    readonly data?: unknown;
  };
}

export async function train(options: TrainOptions): Promise<TrainResult> {
  const { engine, model, optimizer, batches, steps, signal, checkpoint, doremi } = options;
  validate(options);
  const configuration = runConfiguration(options);
  const stored = checkpoint ? await loadCheckpoint(checkpoint.folder, configuration) : null;
  const step = await engine.compile(
    trainingProgram({
      model,
      optimizer,
      batchSize: batches.batchSize,
      ...(doremi && { doremi: { eta: doremi.eta, smoothing: doremi.smoothing, domains: batches.domains } }),
    }),
  );
  const run = new Run(options, step, stored);
  const save = async (): Promise<void> => {
    if (checkpoint) await saveCheckpoint(checkpoint.folder, configuration, await run.checkpoint());
  };
  try {
    while (run.step < steps) {
      if (signal?.aborted) {
        await save();
        throw interrupted(run.step, steps, checkpoint?.folder);
      }
      const record = await run.next();
      await options.onStep?.(record);
      if (checkpoint && checkpoint.every > 0 && run.step % checkpoint.every === 0 && run.step < steps) await save();
      await new Promise(setImmediate); // signals and progress get their turn
    }
    return await run.result(stored?.step ?? 0);
  } finally {
    run.dispose();
    await step.close();
  }
}

function runConfiguration({
  model,
  optimizer,
  batches,
  steps,
  seed,
  doremi,
  checkpoint,
}: TrainOptions): RunConfiguration {
  return {
    model,
    optimizer,
    steps,
    seed,
    batchSize: batches.batchSize,
    domains: batches.domains,
    doremi: doremi ? { eta: doremi.eta, smoothing: doremi.smoothing } : null,
    data: checkpoint?.data ?? null,
  };
}

function validate({ model, optimizer, steps, doremi, batches }: TrainOptions): void {
  refuseFaults("model", modelFaults(model));
  refuseFaults("optimizer", optimizerFaults(optimizer));
  if (!Number.isSafeInteger(steps) || steps < 1)
    throw new DoremiError("bad-configuration", "steps", `training: steps must be an integer ≥ 1, found ${steps}`);
  if (!doremi) return;
  if (!(doremi.eta >= 0 && Number.isFinite(doremi.eta)))
    throw new DoremiError("bad-configuration", "eta", `doremi: eta must be ≥ 0, found ${doremi.eta}`);
  if (!(doremi.smoothing >= 0 && doremi.smoothing <= 1)) {
    throw new DoremiError(
      "bad-configuration",
      "smoothing",
      `doremi: smoothing must be in [0, 1], found ${doremi.smoothing}`,
    );
  }
  if (batches.domains < 1)
    throw new DoremiError("bad-configuration", "domains", "doremi: needs at least one domain, found none");
}

function interrupted(step: number, steps: number, folder: string | undefined): DoremiError {
  const kept =
    folder === undefined
      ? "nothing was saved"
      : `the state is saved in ${folder}, and the same command goes on from there`;
  return new DoremiError("interrupted", "interrupted", `training: interrupted after step ${step} of ${steps}; ${kept}`);
}
