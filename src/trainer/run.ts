/**
 * A training run between its steps: parameters, moments and domain weights on the engine, and what one step does with
 * them. When to stop, save or report is train.ts's business.
 */
import type { Engine, EngineTensor, Executable } from "../engine/engine.ts";
import type { NamedArray } from "../formats/safetensors.ts";
import { DoremiError } from "../lib/errors.ts";
import type { Checkpoint } from "./checkpoint.ts";
import type { BatchSource, DoReMiConfig, ModelConfig, OptimizerConfig, StepRecord, TrainingBatch } from "./contract.ts";
import type { ReferenceLosses } from "./evaluate.ts";
import { initializeWeights, type ModelWeights } from "./initialization.ts";
import { parameterShapes } from "./model.ts";
import { adamScalars } from "./optimizer.ts";
import { STATE } from "./programs.ts";

export interface RunOptions {
  readonly engine: Engine;
  readonly model: ModelConfig;
  readonly optimizer: OptimizerConfig;
  readonly batches: BatchSource;
  readonly steps: number;
  /** of the initial weights */
  readonly seed: number;
  /** proxy: the update, and where the reference's losses come from */
  readonly doremi?: DoReMiConfig & { readonly reference: ReferenceLosses };
}

export interface TrainResult {
  readonly weights: ModelWeights;
  /** step that this call started from: 0, or the checkpoint's */
  readonly resumedFrom: number;
  /** proxy: domain weights after the last step, and their mean over steps 1..n, which is DoReMi's result */
  readonly alpha?: Float64Array;
  readonly average?: Float64Array;
}

/** Steps are done one after another; `step` counts those that are done. */
export class Run {
  step: number;
  readonly #options: RunOptions;
  readonly #executable: Executable;
  readonly #shapes: Readonly<Record<string, readonly number[]>>;
  /** parameter/…, first/…, second/…, and alpha for a proxy */
  #state: Record<string, EngineTensor> = {};
  readonly #alphaSum: Float64Array; // [K]

  constructor(options: RunOptions, executable: Executable, stored: Checkpoint | null) {
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
  options: RunOptions,
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
