/**
 * The training loop, for the reference (plain mean loss) and the proxy (DoReMi). It owns the state on the engine, the
 * order of work in a step, checkpoints and interruption; the mathematics is in programs.ts.
 */
import type { Engine, EngineTensor, Executable } from "../engine/engine.ts";
import type { NamedArray } from "../formats/safetensors.ts";
import { DoremiError } from "../lib/errors.ts";
import { type Checkpoint, loadCheckpoint, type RunConfiguration, saveCheckpoint } from "./checkpoint.ts";
import type { BatchSource, DoReMiConfig, ModelConfig, OptimizerConfig, StepRecord, TrainingBatch } from "./contract.ts";
import type { ReferenceLosses } from "./evaluate.ts";
import { initializeWeights, type ModelWeights } from "./initialization.ts";
import { parameterShapes, validateModelConfig } from "./model.ts";
import { adamScalars, validateOptimizerConfig } from "./optimizer.ts";
import { STATE, trainingProgram } from "./programs.ts";

export interface TrainOptions {
  readonly engine: Engine;
  readonly model: ModelConfig;
  readonly optimizer: OptimizerConfig;
  readonly batches: BatchSource;
  readonly steps: number;
  /** of the initial weights */
  readonly seed: number;
  /** proxy: the update, and where the reference's losses come from */
  readonly doremi?: DoReMiConfig & { readonly reference: ReferenceLosses };
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

export interface TrainResult {
  readonly weights: ModelWeights;
  /** step that this call started from: 0, or the checkpoint's */
  readonly resumedFrom: number;
  /** proxy: domain weights after the last step, and their mean over steps 1..n, which is DoReMi's result */
  readonly alpha?: Float64Array;
  readonly average?: Float64Array;
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

/** The state between steps. */
class Run {
  step: number;
  readonly #options: TrainOptions;
  readonly #executable: Executable;
  readonly #shapes: Readonly<Record<string, readonly number[]>>;
  /** parameter/…, first/…, second/…, and alpha for a proxy */
  #state: Record<string, EngineTensor> = {};
  readonly #alphaSum: Float64Array; // [K]

  constructor(options: TrainOptions, executable: Executable, stored: Checkpoint | null) {
    this.#options = options;
    this.#executable = executable;
    this.step = stored?.step ?? 0;
    const K = options.batches.domains;
    this.#alphaSum = Float64Array.from(stored?.alphaSum ?? new Array<number>(K).fill(0));
    const shapes: Record<string, readonly number[]> = {};
    for (const group of STATE)
      for (const [name, shape] of Object.entries(parameterShapes(options.model))) shapes[`${group}/${name}`] = shape;
    if (options.doremi) shapes.alpha = [K];
    this.#shapes = shapes;
    const initial = stored ? (name: string) => storedTensor(stored, name) : initialState(options, shapes);
    for (const [name, shape] of Object.entries(shapes)) this.#state[name] = options.engine.tensor(initial(name), shape);
  }

  async next(): Promise<StepRecord> {
    const start = performance.now();
    const { engine, batches, model, optimizer, steps, doremi } = this.#options;
    const step = this.step + 1;
    const batch = await batches.batch(step);
    checkBatch(batch, step, batches, model);
    const shape = [batches.batchSize, model.sequenceLength];
    const { rate, correction1, correction2 } = adamScalars(optimizer, step, steps);
    const scalar = (value: number): EngineTensor => engine.tensor(Float32Array.of(value), []);
    const feeds: Record<string, EngineTensor> = {
      inputs: engine.tensor(batch.inputs, shape),
      targets: engine.tensor(batch.targets, shape),
      mask: engine.tensor(batch.mask, shape),
      rate: scalar(rate),
      correction1: scalar(correction1),
      correction2: scalar(correction2),
    };
    if (doremi) {
      feeds.reference = await doremi.reference.losses(batch, step);
      feeds.domains = engine.tensor(batch.domains, [batches.batchSize]);
    }
    const outputs = await this.#executable.run({ ...this.#state, ...feeds });
    const values = async (name: string): Promise<Float64Array> => Float64Array.from(await outputs[name]!.read());
    const loss = (await values("loss"))[0]!;
    const gradientNorm = (await values("gradientNorm"))[0]!;
    if (!Number.isFinite(loss) || !Number.isFinite(gradientNorm)) throw diverged(step, loss, gradientNorm, rate);
    const domainRecord = doremi && (await this.#domainRecord(values, step));
    for (const name of Object.keys(this.#shapes)) {
      this.#state[name]!.dispose();
      this.#state[name] = outputs[`next/${name}`]!;
    }
    for (const tensor of Object.values(feeds)) tensor.dispose();
    this.step = step;
    return {
      step,
      loss,
      learningRate: rate,
      gradientNorm,
      tokens: batch.mask.reduce((sum, weight) => sum + weight, 0),
      durationMs: performance.now() - start,
      ...(domainRecord && { doremi: domainRecord }),
    };
  }

  async #domainRecord(
    values: (name: string) => Promise<Float64Array>,
    step: number,
  ): Promise<NonNullable<StepRecord["doremi"]>> {
    const alpha = await values("next/alpha");
    for (const [domain, weight] of alpha.entries()) this.#alphaSum[domain]! += weight;
    const domainTokens = await values("tokens");
    const domainLoss = (await values("meanLoss")).map((loss, domain) =>
      domainTokens[domain] === 0 ? Number.NaN : loss,
    );
    return {
      excess: await values("excess"),
      alpha,
      average: this.#alphaSum.map((sum) => sum / step),
      domainTokens,
      domainLoss,
    };
  }

  async checkpoint(): Promise<Checkpoint> {
    const tensors: Record<string, NamedArray> = {};
    for (const [name, shape] of Object.entries(this.#shapes))
      tensors[name] = { shape, data: await this.#state[name]!.read() };
    return { step: this.step, tensors, alphaSum: this.#options.doremi ? [...this.#alphaSum] : null };
  }

  async result(resumedFrom: number): Promise<TrainResult> {
    const parameters: Record<string, Float32Array> = {};
    for (const name of Object.keys(parameterShapes(this.#options.model))) {
      parameters[name] = Float32Array.from(await this.#state[`parameter/${name}`]!.read());
    }
    const weights = { config: this.#options.model, parameters };
    if (!this.#options.doremi) return { weights, resumedFrom };
    const alpha = Float64Array.from(await this.#state.alpha!.read());
    return { weights, resumedFrom, alpha, average: this.#alphaSum.map((sum) => sum / this.step) };
  }

  dispose(): void {
    for (const tensor of Object.values(this.#state)) tensor.dispose();
    this.#state = {};
  }
}

function initialState(
  options: TrainOptions,
  shapes: Readonly<Record<string, readonly number[]>>,
): (name: string) => Float32Array {
  const { parameters } = initializeWeights(options.model, options.seed);
  const K = options.batches.domains;
  return (name) => {
    if (name === "alpha") return new Float32Array(K).fill(1 / K); // Algorithm 1 starts from uniform weights
    if (name.startsWith("parameter/")) return parameters[name.slice("parameter/".length)]!;
    return new Float32Array(shapes[name]!.reduce((product, size) => product * size, 1));
  };
}

function storedTensor(stored: Checkpoint, name: string): Float32Array {
  const tensor = stored.tensors[name];
  if (!tensor)
    throw new DoremiError(
      "bad-data",
      "checkpoint",
      `checkpoint of step ${stored.step}: has no ${name}; delete its folder to start again`,
    );
  return tensor.data as Float32Array;
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
  validateModelConfig(model);
  validateOptimizerConfig(optimizer);
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

/** Ids outside the vocabulary would otherwise fail deep inside the engine. */
function checkBatch(batch: TrainingBatch, step: number, { batchSize, domains }: BatchSource, model: ModelConfig): void {
  const tokens = batchSize * model.sequenceLength;
  const refuse = (what: string): never => {
    throw new DoremiError("bad-data", "batch", `batch of step ${step}: ${what}`);
  };
  for (const name of ["inputs", "targets", "mask"] as const) {
    if (batch[name].length !== tokens)
      refuse(`${name} must hold ${batchSize} × ${model.sequenceLength} values, found ${batch[name].length}`);
  }
  for (const ids of [batch.inputs, batch.targets]) {
    for (const id of ids) {
      if (id < 0 || id >= model.vocabularySize)
        refuse(
          `token ids must be in 0..${model.vocabularySize - 1}, found ${id}; the text was tokenized with another tokenizer`,
        );
    }
  }
  if (batch.domains.length !== batchSize)
    refuse(`domains must hold ${batchSize} values, found ${batch.domains.length}`);
  for (const domain of batch.domains)
    if (domain < 0 || domain >= domains) refuse(`domains must be in 0..${domains - 1}, found ${domain}`);
}

function diverged(step: number, loss: number, gradientNorm: number, rate: number): DoremiError {
  return new DoremiError(
    "bad-configuration",
    "diverged",
    `training: loss and gradient must stay finite, but at step ${step} the loss is ${loss} and the gradient norm ${gradientNorm}; lower learningRate (now ${rate}), raise warmupSteps or set clipNorm`,
  );
}

function interrupted(step: number, steps: number, folder: string | undefined): DoremiError {
  const kept =
    folder === undefined
      ? "nothing was saved"
      : `the state is saved in ${folder}, and the same command goes on from there`;
  return new DoremiError("interrupted", "interrupted", `training: interrupted after step ${step} of ${steps}; ${kept}`);
}
