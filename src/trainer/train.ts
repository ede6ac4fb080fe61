/**
 * The training loop, for the reference (plain mean loss) and the proxy (an objective over domains): batches in, records
 * and checkpoints out, until the last step, a stop, a settled result or a loss that is not finite. What a step does is in
 * step/.
 */
import type { EngineName } from "../engine/engine.ts";
import { DoremiError } from "../lib/errors.ts";
import type { Objective } from "../mixture/objective.ts";
import { needsReference } from "../mixture/objective-settings.ts";
import { createObjective } from "../mixture/objectives.ts";
import { checkBatch } from "./check-batch.ts";
import type { Checkpoint, CheckpointStore } from "./checkpoint.ts";
import type { StepRecord, TrainingBatch } from "./contract.ts";
import { DomainWeights, type DomainWeightsState } from "./domain-weights.ts";
import { meanLosses } from "./evaluate.ts";
import { initialParameters, type ModelWeights } from "./initialization.ts";
import { createGraphObjective } from "./objectives.ts";
import type { InitialState, StepOutcome, Stepper, StepRequest } from "./step/contract.ts";
import { initLossScale, type LossScaleState, nextLossScale } from "./step/loss-scale.ts";
import { StoppedInStep } from "./step/parts.ts";
import { createStepper } from "./step/stepper.ts";
import { runConfiguration, type TrainOptions, validateOptions } from "./train-options.ts";

export interface TrainResult {
  readonly weights: ModelWeights;
  /** step that this call started from: 0, or the checkpoint's */
  readonly resumedFrom: number;
  /** steps done: fewer than asked where the domain weights had settled */
  readonly steps: number;
  /** proxy: domain weights of the last step, and their mean over the steps, which is the result */
  readonly alpha?: Float64Array;
  readonly average?: Float64Array;
}

/** What a checkpoint holds beside tensors. */
interface LoopState {
  readonly engine: EngineName;
  readonly lossScale: LossScaleState;
  readonly domainWeights: DomainWeightsState | null;
}

export async function train(options: TrainOptions): Promise<TrainResult> {
  validateOptions(options);
  const store = options.checkpoint?.store(runConfiguration(options));
  const stored = (await store?.load()) ?? null;
  const other = (stored?.state as LoopState | undefined)?.engine;
  if (stored && other !== options.engine.name) {
    options.onNote?.(
      `resumed on ${options.engine.name} at step ${stored.step}, which ${other} had reached: from here on the numbers agree with an uninterrupted run within rounding only`,
    );
  }
  const loop = await Loop.start(options, stored);
  try {
    const result = await loop.run(store);
    await store?.idle();
    return { ...result, resumedFrom: stored?.step ?? 0 };
  } finally {
    await loop.close();
  }
}

/** Other settings of the optimizer are another training, of which no checkpoint is part. */
const CALMER =
  "lower train.optimizer.learningRate, raise train.optimizer.warmup or set train.optimizer.clipNorm; the training then begins anew";

class Loop {
  readonly #options: TrainOptions;
  readonly #stepper: Stepper;
  readonly #domainWeights: DomainWeights | undefined;
  #lossScale: LossScaleState;
  #step: number;
  #heldOut: readonly TrainingBatch[] | undefined;

  private constructor(
    options: TrainOptions,
    stepper: Stepper,
    objective: Objective | undefined,
    stored: Checkpoint | null,
  ) {
    const { proxy, precision = "float32" } = options;
    const state = stored?.state as LoopState | undefined;
    this.#options = options;
    this.#stepper = stepper;
    this.#step = stored?.step ?? 0;
    this.#lossScale = state?.lossScale ?? initLossScale(precision);
    this.#domainWeights =
      objective && new DomainWeights(objective, proxy!.facts, proxy!.settle, state?.domainWeights ?? undefined);
  }

  static async start(options: TrainOptions, stored: Checkpoint | null): Promise<Loop> {
    const { engine, model, optimizer, steps, batches, proxy, precision = "float32" } = options;
    const objective = proxy && createObjective(proxy.objective, proxy.facts);
    const stepper = await createStepper(
      {
        engine,
        model,
        optimizer,
        steps,
        batchSize: batches.batchSize,
        microBatch: options.microBatch ?? batches.batchSize,
        accumulation: options.accumulation ?? "exact",
        recompute: options.recompute ?? false,
        precision,
        evaluates: options.heldOut !== undefined,
        ...(proxy && {
          proxy: {
            host: objective!,
            graph: createGraphObjective(proxy.objective, proxy.facts),
            domains: batches.domains,
            reference: needsReference(proxy.objective),
          },
        }),
      },
      stored ? storedState(stored) : initialState(options),
    );
    return new Loop(options, stepper, objective, stored);
  }

  async run(store: CheckpointStore | undefined): Promise<Omit<TrainResult, "resumedFrom">> {
    const { steps, signal, onStep, checkpoint } = this.#options;
    const every = checkpoint?.every ?? 0;
    let saved = this.#step;
    while (this.#step < steps && !this.#domainWeights?.settled) {
      const records = signal?.aborted ? null : await this.#next().catch((error: unknown) => this.#unlessStopped(error));
      if (!records) {
        if (saved !== this.#step) await store?.save(await this.#checkpoint());
        await store?.idle();
        throw interrupted(this.#step, steps, store);
      }
      for (const record of records) await onStep?.(record);
      if (store && every > 0 && Math.floor(this.#step / every) > Math.floor(saved / every) && this.#step < steps) {
        saved = this.#step;
        await store.idle(); // one copy of the state at a time
        await store.save(await this.#checkpoint());
      }
      await new Promise(setImmediate); // signals and progress get their turn
    }
    if (this.#step < steps) {
      this.#options.onNote?.(
        `the averaged domain weights have settled after ${this.#step} of ${steps} steps: ${steps - this.#step} steps are saved`,
      );
    }
    const weights = { config: this.#options.model, parameters: await this.#stepper.finish() };
    if (!this.#domainWeights) return { weights, steps: this.#step };
    const { alpha, average } = this.#domainWeights;
    return { weights, steps: this.#step, alpha, average };
  }

  close(): Promise<void> {
    return this.#stepper.close();
  }

  /** As many steps as one call of the engine should hold. */
  async #next(): Promise<StepRecord[]> {
    const { steps } = this.#options;
    const { atOnce } = this.#stepper;
    const whole = this.#step + atOnce <= steps && !this.#measuresWithin(atOnce);
    const count = whole ? atOnce : 1;
    // Before the steps, so that a stop in the middle of it leaves no step half recorded.
    const heldOut = this.#measuresWithin(0) ? await this.#measure() : undefined;
    if (heldOut) this.#domainWeights?.observe(heldOut);
    const start = performance.now();
    const requests: StepRequest[] = [];
    let waited = 0;
    for (let step = this.#step + 1; step <= this.#step + count; step++) {
      const asked = performance.now();
      const batch = await this.#options.batches.batch(step);
      waited += performance.now() - asked;
      checkBatch(batch, step, this.#options.batches, this.#options.model);
      requests.push({ step, batch, ...(await this.#referenceOf(batch, step)) });
    }
    const outcomes = await this.#stepper.run(requests, this.#lossScale.scale, this.#options.signal);
    const [durationMs, waitMs] = [(performance.now() - start) / count, waited / count];
    this.#check(requests, outcomes);
    const records = requests.map((request, i) => ({ ...this.#record(request, outcomes[i]!), durationMs, waitMs }));
    this.#step += count;
    return heldOut ? [{ ...records[0]!, heldOut }, ...records.slice(1)] : records;
  }

  /** A stop that came between the parts of a batch, or while it was waited for, changed nothing. */
  #unlessStopped(error: unknown): null {
    const waiting = error instanceof DoremiError && error.kind === "interrupted" && this.#options.signal?.aborted;
    if (waiting || error instanceof StoppedInStep) return null;
    throw error;
  }

  async #referenceOf(batch: TrainingBatch, step: number): Promise<Pick<StepRequest, "reference" | "before">> {
    const { proxy } = this.#options;
    if (!proxy) return {};
    const { before } = this.#domainWeights!;
    if (!needsReference(proxy.objective)) return { before };
    const reference = batch.reference ?? (await proxy.reference?.losses(batch, step));
    if (!reference) throw new RangeError(`batch of step ${step}: this proxy needs the reference's losses`);
    const at = this.#firstNonFinite(reference, batch);
    if (at) {
      throw new DoremiError(
        "bad-data",
        "reference-losses",
        `reference: losses must be finite, but at step ${step} one is ${at}; train the reference again, with a lower train.optimizer.learningRate, or check the model that was given`,
      );
    }
    return { reference, before };
  }

  /** Is held-out loss due now (0), or before the last of so many steps? */
  #measuresWithin(steps: number): boolean {
    const { heldOut } = this.#options;
    if (!heldOut) return false;
    if (steps === 0) return this.#step > 0 && this.#step % heldOut.every === 0;
    return Math.floor(this.#step / heldOut.every) !== Math.floor((this.#step + steps - 1) / heldOut.every);
  }

  /** Mean held-out loss of each domain, NaN where it has none. */
  async #measure(): Promise<Float64Array> {
    const { heldOut, batches } = this.#options;
    this.#heldOut ??= await heldOut!.batches();
    const { loss, tokens } = await meanLosses(
      this.#heldOut,
      (batch) => this.#stepper.losses(batch),
      batches.domains,
      this.#options.signal,
    );
    const wrong = loss.findIndex((mean, domain) => tokens[domain]! > 0 && !Number.isFinite(mean));
    if (wrong !== -1) {
      throw new DoremiError(
        "bad-configuration",
        "diverged",
        `training: held-out loss must stay finite, but after step ${this.#step} that of domain ${this.#nameOf(wrong)} is ${loss[wrong]}; ${CALMER}`,
      );
    }
    return Float64Array.from(loss, (mean) => mean ?? Number.NaN);
  }

  /** Moves the loss scale on by the steps of one call, which had the same. @throws DoremiError diverged */
  #check(requests: readonly StepRequest[], outcomes: readonly StepOutcome[]): void {
    for (const [i, outcome] of outcomes.entries()) {
      const at = this.#firstNonFinite(outcome.losses, requests[i]!.batch);
      if (at) throw this.#diverged(requests[i]!, outcome, `the loss is ${at}`);
    }
    const overflow = outcomes.findIndex(({ gradientNorm }) => !Number.isFinite(gradientNorm));
    const scale = nextLossScale(this.#lossScale, overflow === -1 ? outcomes.length : 0);
    if (!scale) {
      const what = `the gradient's norm is ${outcomes[overflow]!.gradientNorm}, though the losses are finite`;
      throw this.#diverged(requests[overflow]!, outcomes[overflow]!, what);
    }
    this.#lossScale = scale;
  }

  /** What and where it is, for a message. @param losses [B, T] */
  #firstNonFinite(losses: Float32Array, { mask, domains }: TrainingBatch): string | undefined {
    const at = losses.findIndex((loss, token) => mask[token]! > 0 && !Number.isFinite(loss));
    if (at === -1) return undefined;
    const row = Math.floor(at / this.#options.model.sequenceLength);
    return `${losses[at]} in sequence ${row} of the batch, of domain ${this.#nameOf(domains[row]!)}`;
  }

  #nameOf(domain: number): string {
    return this.#options.domainNames?.[domain] ?? String(domain);
  }

  #diverged({ step }: StepRequest, { learningRate }: StepOutcome, what: string): DoremiError {
    const { engine, precision = "float32" } = this.#options;
    return new DoremiError(
      "bad-configuration",
      "diverged",
      `training: loss and gradient must stay finite, but at step ${step} ${what} (${engine.name}, ${precision}); ` +
        `the learning rate of this step is ${learningRate}; ${CALMER}`,
    );
  }

  #record(
    { step, batch, reference }: StepRequest,
    { losses, gradientNorm, learningRate }: StepOutcome,
  ): Omit<StepRecord, "durationMs" | "waitMs"> {
    let [sum, tokens] = [0, 0];
    for (let at = 0; at < losses.length; at++) {
      if (batch.mask[at] === 0) continue;
      sum += losses[at]!;
      tokens++;
    }
    const proxy = this.#domainWeights?.update(batch, losses, reference);
    return {
      step,
      loss: tokens === 0 ? 0 : sum / tokens,
      learningRate,
      gradientNorm,
      tokens,
      ...(proxy && { proxy }),
    };
  }

  async #checkpoint(): Promise<Checkpoint> {
    const state: LoopState = {
      engine: this.#options.engine.name,
      lossScale: this.#lossScale,
      domainWeights: this.#domainWeights?.save() ?? null,
    };
    return { step: this.#step, tensors: await this.#stepper.read(), state };
  }
}

function initialState({ model, seed }: TrainOptions): InitialState {
  const initial = initialParameters(model, seed);
  return (name) => (name.startsWith("parameter/") ? initial(name.slice("parameter/".length)) : undefined);
}

function storedState(stored: Checkpoint): InitialState {
  return (name) => {
    const tensor = stored.tensors[name];
    if (tensor) return tensor.data as Float32Array;
    throw new DoremiError(
      "bad-data",
      "checkpoint",
      `checkpoint of step ${stored.step}: has no ${name}; delete its folder to start again`,
    );
  };
}

function interrupted(step: number, steps: number, store: CheckpointStore | undefined): DoremiError {
  const kept = store ? "the state is saved, and the same command goes on from there" : "nothing was saved";
  return new DoremiError("interrupted", "interrupted", `training: interrupted after step ${step} of ${steps}; ${kept}`);
}
