/**
 * What the feed's thread does, apart from being a thread: batches from token stores, for training with the reference's
 * losses where those are kept, and the bookkeeping of losses that are still to be computed.
 */
import { openTokenStore, type TokenStore, tokenWindows } from "../formats/token-store.ts";
import { DoremiError } from "../lib/errors.ts";
import { evaluationBatches, readBatch, type SequenceReader } from "../trainer/batches.ts";
import type { TrainingBatch } from "../trainer/contract.ts";
import { type Draw, Draws } from "../trainer/draws.ts";
import type { FeedPlan, ReferenceLossDecision } from "./feed-contract.ts";
import type { KeptLosses } from "./feed-losses.ts";

const NOTHING: SequenceReader = { sequences: 0, sequence: () => new Int32Array(0) };

export class FeedReader {
  readonly #plan: FeedPlan;
  readonly #stores: readonly TokenStore[];
  readonly #training: readonly SequenceReader[]; // [K]
  readonly #heldOut: readonly SequenceReader[]; // [K]
  readonly #draws: Draws;
  #losses: KeptLosses | undefined;

  private constructor(
    plan: FeedPlan,
    stores: readonly TokenStore[],
    training: readonly SequenceReader[],
    heldOut: readonly SequenceReader[],
  ) {
    this.#plan = plan;
    this.#stores = stores;
    this.#training = training;
    this.#heldOut = heldOut;
    this.#draws = new Draws({ ...plan, sequences: training.map((reader) => reader.sequences) });
  }

  static async open(plan: FeedPlan): Promise<FeedReader> {
    const stores: TokenStore[] = [];
    const windows = async (path: string, tail: boolean): Promise<SequenceReader> => {
      const store = await openTokenStore(path);
      stores.push(store);
      return tokenWindows(store, plan.sequenceLength, { tail });
    };
    try {
      const training: SequenceReader[] = [];
      for (const { path } of plan.stores) training.push(await windows(path, false));
      const heldOut: SequenceReader[] = [];
      for (const path of plan.heldOut) heldOut.push(path === null ? NOTHING : await windows(path, true));
      return new FeedReader(plan, stores, training, heldOut);
    } catch (error) {
      for (const store of stores) store.close();
      throw error;
    }
  }

  /** Looks at what is kept of the reference's losses; before `reference` and before training with them. */
  async decide(engine: string): Promise<ReferenceLossDecision> {
    const losses = this.#plan.referenceLosses;
    if (!losses) throw new RangeError("feed: only a proxy has reference losses");
    const used = this.#draws.used(this.#plan.steps);
    const module = await import("./feed-losses.ts"); // with the Arrow library, which a reference's feed needs not
    this.#losses = new module.KeptLosses(losses, this.#plan, engine);
    return this.#losses.decide(used.draws, used.sequences);
  }

  /** Batches of the steps from `from` on. @param reference with the reference's losses */
  async *training(from: number, reference: boolean): AsyncGenerator<TrainingBatch> {
    for (let step = from; step <= this.#plan.steps; step++) {
      const draws = this.#draws.of(step);
      const batch = this.#read(draws);
      yield reference ? { ...batch, reference: await this.#kept().of(draws) } : batch;
    }
  }

  /** Sequences whose losses are missing; ends when `losses` was called for each batch and all of them are on disk. */
  async *reference(): AsyncGenerator<TrainingBatch> {
    for (const draws of this.#kept().missingRows()) yield this.#read(draws);
    await this.#kept().complete();
  }

  evaluation(): Iterable<TrainingBatch> {
    const { batchSize, sequenceLength, evaluationSequences } = this.#plan;
    return evaluationBatches({
      readers: this.#heldOut,
      batchSize,
      sequenceLength,
      maxSequences: evaluationSequences,
    });
  }

  /** Losses [B, T] of the next of the batches that `reference` gave. */
  losses(values: Float32Array): void {
    this.#kept().add(values);
  }

  async flush(): Promise<void> {
    await this.#losses?.flush();
  }

  close(): void {
    for (const store of this.#stores) store.close();
  }

  #read(draws: readonly Draw[]): TrainingBatch {
    const { batchSize, sequenceLength } = this.#plan;
    return readBatch(draws, { readers: this.#training, batchSize, sequenceLength });
  }

  #kept(): KeptLosses {
    if (!this.#losses) throw new DoremiError("internal", "feed", "the feed was not asked about reference losses first");
    return this.#losses;
  }
}
