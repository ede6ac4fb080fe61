/** Losses of a fixed model: per token for a batch (what the proxy is compared with), and per domain on held-out text. */
import type { Engine, EngineTensor, Executable } from "../engine/engine.ts";
import { DoremiError } from "../lib/errors.ts";
import type { EvaluationResult, ModelConfig, TrainingBatch } from "./contract.ts";
import type { ModelWeights } from "./initialization.ts";
import { parameterShapes } from "./model.ts";
import { lossProgram } from "./programs.ts";

/** Where the reference's losses of a training batch come from. */
export interface ReferenceLosses {
  /** [B, T]; the caller disposes the tensor */
  losses(batch: TrainingBatch, step: number): Promise<EngineTensor>;
  close(): Promise<void>;
}

/** A model that stays loaded and computes the losses of any batch of its size. */
export class LossModel implements ReferenceLosses {
  readonly config: ModelConfig;
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

  async losses(batch: TrainingBatch): Promise<EngineTensor> {
    const shape = [this.batchSize, this.config.sequenceLength];
    const inputs = this.#engine.tensor(batch.inputs, shape);
    const targets = this.#engine.tensor(batch.targets, shape);
    const { losses } = await this.#executable.run({ ...this.#parameters, inputs, targets });
    return losses!;
  }

  /** Mean loss of each domain over the batches' unmasked tokens, summed in float64. @param domains K */
  async evaluate(batches: Iterable<TrainingBatch>, domains: number, signal?: AbortSignal): Promise<EvaluationResult> {
    const sums = new Float64Array(domains);
    const tokens = new Array<number>(domains).fill(0);
    const T = this.config.sequenceLength;
    for (const batch of batches) {
      if (signal?.aborted)
        throw new DoremiError(
          "interrupted",
          "interrupted",
          "evaluation: interrupted; the same command starts it again",
        );
      const result = await this.losses(batch);
      const losses = await result.read(); // [B, T]
      for (const [row, domain] of batch.domains.entries()) {
        for (let at = row * T; at < (row + 1) * T; at++) {
          if (batch.mask[at] === 0) continue;
          sums[domain]! += losses[at]!;
          tokens[domain]!++;
        }
      }
      result.dispose();
      await new Promise(setImmediate);
    }
    return { loss: tokens.map((count, domain) => (count === 0 ? null : sums[domain]! / count)), tokens };
  }

  async close(): Promise<void> {
    for (const tensor of Object.values(this.#parameters)) tensor.dispose();
    this.#parameters = {};
    await this.#executable.close();
  }
}
