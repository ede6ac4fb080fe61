/** Losses of a fixed model: per token for a batch (what the proxy is compared with), and per domain on held-out text. */
import type { Engine, EngineTensor, Executable } from "../engine/engine.ts";
import { DoremiError } from "../lib/errors.ts";
import { sequenceStatistics } from "../mixture/objective.ts";
import type { EvaluationResult, ModelConfig, TrainingBatch } from "./contract.ts";
import type { ModelWeights } from "./initialization.ts";
import { parameterShapes } from "./model.ts";
import { lossProgram } from "./programs.ts";

/** Where the reference's losses of a training batch come from. */
export interface ReferenceLosses {
  /** [B, T] */
  losses(batch: TrainingBatch, step: number): Promise<Float32Array>;
  close(): Promise<void>;
}

/** A model that stays loaded and computes the losses of any batch of a multiple of its rows. */
export class LossModel implements ReferenceLosses {
  readonly config: ModelConfig;
  /** rows that are computed at once */
  readonly batchSize: number;
  readonly #engine: Engine;
  readonly #executable: Executable;
  #parameters: Readonly<Record<string, EngineTensor>>;

  private constructor(
    engine: Engine,
    executable: Executable,
    config: ModelConfig,
    batchSize: number,
    parameters: Record<string, EngineTensor>,
  ) {
    this.#engine = engine;
    this.#executable = executable;
    this.config = config;
    this.batchSize = batchSize;
    this.#parameters = parameters;
  }

  static async load(engine: Engine, weights: ModelWeights, batchSize: number): Promise<LossModel> {
    const executable = await engine.compile(lossProgram(weights.config, batchSize));
    const shapes = parameterShapes(weights.config);
    const parameters = Object.fromEntries(
      Object.entries(shapes).map(([name, shape]) => [
        `parameter/${name}`,
        engine.tensor(weights.parameters[name]!, shape),
      ]),
    );
    return new LossModel(engine, executable, weights.config, batchSize, parameters);
  }

  async losses(batch: Pick<TrainingBatch, "inputs" | "targets">): Promise<Float32Array> {
    const shape = [this.batchSize, this.config.sequenceLength];
    const size = this.batchSize * this.config.sequenceLength;
    if (batch.inputs.length % size !== 0)
      throw new RangeError(`losses: a batch must be a multiple of ${size} tokens, found ${batch.inputs.length}`);
    const all = new Float32Array(batch.inputs.length);
    for (let at = 0; at < all.length; at += size) {
      const inputs = this.#engine.tensor(batch.inputs.subarray(at, at + size), shape);
      const targets = this.#engine.tensor(batch.targets.subarray(at, at + size), shape);
      const { losses } = await this.#executable.run({ ...this.#parameters, inputs, targets });
      all.set((await losses!.read()) as Float32Array, at);
      for (const tensor of [inputs, targets, losses!]) tensor.dispose();
    }
    return all;
  }

  /** @param domains K */
  evaluate(
    batches: Iterable<TrainingBatch> | AsyncIterable<TrainingBatch>,
    domains: number,
    signal?: AbortSignal,
  ): Promise<EvaluationResult> {
    return meanLosses(batches, (batch) => this.losses(batch), domains, signal);
  }

  async close(): Promise<void> {
    for (const tensor of Object.values(this.#parameters)) tensor.dispose();
    this.#parameters = {};
    await this.#executable.close();
  }
}

/** Mean loss of each domain over the batches' unmasked tokens, summed in float64. @param lossesOf a batch, [B, T] */
export async function meanLosses(
  batches: Iterable<TrainingBatch> | AsyncIterable<TrainingBatch>,
  lossesOf: (batch: TrainingBatch) => Promise<Float32Array>,
  domains: number,
  signal?: AbortSignal,
): Promise<EvaluationResult> {
  const sequences = Array.from({ length: domains }, () => ({ tokens: [] as number[], loss: [] as number[] }));
  for await (const batch of batches) {
    if (signal?.aborted)
      throw new DoremiError("interrupted", "interrupted", "evaluation: interrupted; the same command starts it again");
    const loss = await lossesOf(batch);
    const rows = sequenceStatistics({ ...batch, loss, reference: undefined });
    for (const [row, domain] of rows.domains.entries()) {
      if (rows.tokens[row] === 0) continue; // fills up the batch
      sequences[domain]!.tokens.push(rows.tokens[row]!);
      sequences[domain]!.loss.push(rows.loss[row]!);
    }
    await new Promise(setImmediate);
  }
  const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
  const tokens = sequences.map((domain) => sum(domain.tokens));
  const loss = sequences.map((domain, d) => (tokens[d] === 0 ? null : sum(domain.loss) / tokens[d]!));
  return { loss, tokens, sequences };
}
