/** What the reference and the proxy stage share: token stores to batches, the training run, its record, its model. */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { createCpuEngine } from "../engine/cpu.ts";
import type { Engine } from "../engine/engine.ts";
import { openTokenStore, type TokenStore, tokenWindows } from "../formats/token-store.ts";
import { DoremiError } from "../lib/errors.ts";
import { createBatchSource, evaluationBatches, type SequenceReader } from "../trainer/batches.ts";
import type { BatchSource } from "../trainer/contract.ts";
import { LossModel } from "../trainer/evaluate.ts";
import type { ModelWeights } from "../trainer/initialization.ts";
import { modelSha256, saveModel } from "../trainer/model-folder.ts";
import { type TrainOptions, type TrainResult, train } from "../trainer/train.ts";
import type { Evaluation, TrainingInput } from "./reference/contract.ts";
import { reporter, type StageContext } from "./stage.ts";
import { TrajectoryLog } from "./trajectory.ts";

const MODEL_FOLDER = "model";
const CHECKPOINTS = "checkpoints";
export const TRAJECTORY = "trajectory.arrow";

/** Opens what a training reads and closes it again, whatever happens. */
export async function withTraining<T>(
  input: TrainingInput,
  context: StageContext,
  work: (training: Training) => Promise<T>,
): Promise<T> {
  const training = new Training(input, context, await createCpuEngine({ threads: context.training.threads }));
  try {
    return await work(training);
  } finally {
    await training.close();
  }
}

export class Training {
  readonly engine: Engine;
  readonly #input: TrainingInput;
  readonly #context: StageContext;
  readonly #stores: TokenStore[] = [];

  constructor(input: TrainingInput, context: StageContext, engine: Engine) {
    this.#input = input;
    this.#context = context;
    this.engine = engine;
  }

  /** @param part whose sequences  @param weights sampling weights of the domains  @param stream tells the two models' draws apart */
  async batches(part: "reference" | "proxy", weights: readonly number[]): Promise<BatchSource> {
    const { tokens, batchSize, model, seed } = this.#input;
    const readers = await Promise.all(tokens.domains.map((domain) => this.#windows(domain[part].path, false)));
    return createBatchSource({
      readers,
      weights,
      batchSize,
      sequenceLength: model.sequenceLength,
      // The proxy must not see the reference's order again where they share a domain's documents.
      seed: part === "reference" ? seed : seed + 1,
      names: tokens.domains.map((domain) => domain.name),
    });
  }

  /**
   * Trains and evaluates, with checkpoints in the stage's folder, and leaves the trajectory and the model there. The
   * checkpoints go last, so that an interrupted evaluation does not cost the training.
   */
  async train(
    stage: "reference" | "proxy",
    options: Pick<TrainOptions, "batches" | "doremi">,
  ): Promise<
    TrainResult & { readonly finalLoss: number; readonly trainedTokens: number; readonly evaluation: Evaluation }
  > {
    const { tokens, model, optimizer, steps, seed } = this.#input;
    const { folder, signal } = this.#context;
    const { checkpointEvery } = this.#context.training;
    const report = reporter(this.#context, stage);
    const domains = tokens.domains.map((domain) => domain.name);
    const logPath = join(folder, "trajectory.log");
    const checkpoints = join(folder, CHECKPOINTS);
    for (let attempt = 0; ; attempt++) {
      const log = new TrajectoryLog(logPath, domains, options.doremi !== undefined);
      try {
        const result = await train({
          engine: this.engine,
          model,
          optimizer,
          steps,
          // Both models start from the same weights, so that what sets them apart is what they are trained on.
          seed,
          ...options,
          signal,
          checkpoint: {
            folder: checkpoints,
            every: checkpointEvery,
            data: tokens.domains.map((domain) => domain[stage].sha256),
          },
          onStep(record) {
            log.add(record);
            if (record.step % checkpointEvery === 0 || signal.aborted) log.flush();
            report.progress(record.step, steps, "steps", {
              loss: record.loss,
              tokensPerSecond: (record.tokens / record.durationMs) * 1e3,
            });
          },
        });
        const [finalLoss, trainedTokens] = [log.finalLoss(), log.tokens()];
        const evaluation = await this.evaluate(result.weights);
        await saveModel(join(folder, MODEL_FOLDER), result.weights, { endOfText: tokens.tokenizer.endOfText });
        await rm(checkpoints, { recursive: true, force: true });
        await log.finish(join(folder, TRAJECTORY));
        return { ...result, finalLoss, trainedTokens, evaluation };
      } catch (error) {
        log.close();
        // The log fell behind the checkpoint (power was lost): the checkpoint is of no use without it.
        if (attempt > 0 || !(error instanceof DoremiError) || error.code !== "trajectory-gap") throw error;
        await rm(checkpoints, { recursive: true, force: true });
        await rm(logPath, { force: true });
      }
    }
  }

  /** Held-out loss by domain. */
  async evaluate(weights: ModelWeights): Promise<Evaluation> {
    const { tokens, batchSize, evaluationSequences, model } = this.#input;
    const none: SequenceReader = { sequences: 0, sequence: () => new Int32Array(0) };
    const readers = await Promise.all(
      tokens.domains.map((domain) => (domain.heldOut ? this.#windows(domain.heldOut.path, true) : none)),
    );
    const losses = await LossModel.load(this.engine, weights, batchSize);
    try {
      const batches = evaluationBatches({
        readers,
        batchSize,
        sequenceLength: model.sequenceLength,
        maxSequences: evaluationSequences,
      });
      const { loss, tokens: counted } = await losses.evaluate(batches, tokens.domains.length, this.#context.signal);
      return { loss: [...loss], tokens: [...counted] };
    } finally {
      await losses.close();
    }
  }

  async modelReference(): Promise<{ path: string; sha256: string }> {
    return { path: MODEL_FOLDER, sha256: await modelSha256(join(this.#context.folder, MODEL_FOLDER)) };
  }

  async close(): Promise<void> {
    for (const store of this.#stores) store.close();
    await this.engine.close();
  }

  async #windows(path: string, tail: boolean): Promise<SequenceReader> {
    const store = await openTokenStore(join(this.#context.folderOf("tokenize"), path));
    this.#stores.push(store);
    return tokenWindows(store, this.#input.model.sequenceLength, { tail });
  }
}

/** Domain weights as a table by name. */
export function byName(names: readonly string[], values: ArrayLike<number>): Record<string, number> {
  return Object.fromEntries(names.map((name, i) => [name, values[i]!]));
}
