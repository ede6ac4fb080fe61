/**
 * What the feed's thread does, apart from being a thread: batches from token stores, for training with the reference's
 * losses where those are kept, and the bookkeeping of losses that are still to be computed.
 */

import { DoremiError } from "../lib/errors.ts";
import { evaluationBatches, readBatch, type SequenceReader } from "../trainer/batches.ts";
import type { TrainingBatch } from "../trainer/contract.ts";
import { type Draw, Draws } from "../trainer/draws.ts";
import { cutReader, readVocabulary } from "../trainer/vocabulary.ts";
import type { FeedPlan, ReferenceLossDecision } from "./feed-contract.ts";
import type { KeptLosses } from "./feed-losses.ts";
import { FeedStore } from "./feed-store.ts";

const NOTHING: SequenceReader = { sequences: 0, sequence: () => new Int32Array(0) };

export class FeedReader {
  readonly #plan: FeedPlan;
  readonly #training: readonly FeedStore[]; // [K]
  /** of them, with ids as the models know them */
  readonly #sequences: readonly SequenceReader[]; // [K]
  readonly #heldOut: readonly (FeedStore | null)[]; // [K]
  readonly #draws: Draws;
  /** ids that the models know; null: all */
  readonly #vocabulary: readonly number[] | null;
  #losses: KeptLosses | undefined;

  private constructor(
    plan: FeedPlan,
    training: readonly FeedStore[],
    heldOut: readonly (FeedStore | null)[],
    vocabulary: readonly number[] | null,
  ) {
    this.#plan = plan;
    this.#vocabulary = vocabulary;
    this.#sequences = training.map((store) => this.#cut(store));
    this.#training = training;
    this.#heldOut = heldOut;
    this.#draws = new Draws({ ...plan, sequences: training.map((store) => store.sequences) });
  }

  /** The stores stay open for as long as the thread lives. */
  static async open(plan: FeedPlan): Promise<FeedReader> {
    const { sequenceLength } = plan;
    const training: FeedStore[] = [];
    for (const place of plan.stores) training.push(await FeedStore.open(place, sequenceLength, { tail: false }));
    const heldOut: (FeedStore | null)[] = [];
    for (const place of plan.heldOut)
      heldOut.push(place && (await FeedStore.open(place, sequenceLength, { tail: true })));
    const vocabulary = plan.vocabulary === null ? null : await readVocabulary(plan.vocabulary);
    return new FeedReader(plan, training, heldOut, vocabulary);
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
      const batch = await this.#read(draws);
      yield reference ? { ...batch, reference: await this.#kept().of(draws) } : batch;
    }
  }

  /** Sequences whose losses are missing; ends when `losses` was called for each batch and all of them are on disk. */
  async *reference(): AsyncGenerator<TrainingBatch> {
    for (const draws of this.#kept().missingRows()) yield await this.#read(draws);
    await this.#kept().complete();
  }

  /** @param sequences of each domain, at most; default: as planned */
  async *evaluation(sequences?: number): AsyncGenerator<TrainingBatch> {
    const { batchSize, sequenceLength, evaluationSequences } = this.#plan;
    const maxSequences = Math.min(evaluationSequences, sequences ?? evaluationSequences);
    for (const store of this.#heldOut) await store?.whole();
    const readers = this.#heldOut.map((store) => (store ? this.#cut(store) : NOTHING));
    yield* evaluationBatches({ readers, batchSize, sequenceLength, maxSequences });
  }

  /** Losses [B, T] of the next of the batches that `reference` gave. */
  losses(values: Float32Array): void {
    this.#kept().add(values);
  }

  async flush(): Promise<void> {
    await this.#losses?.flush();
  }

  async #read(draws: readonly Draw[]): Promise<TrainingBatch> {
    const { batchSize, sequenceLength } = this.#plan;
    for (const { domain, sequence } of draws) await this.#training[domain]!.reached(sequence);
    return readBatch(draws, { readers: this.#sequences, batchSize, sequenceLength });
  }

  #cut(store: FeedStore): SequenceReader {
    return this.#vocabulary === null ? store : cutReader(store, this.#vocabulary);
  }

  #kept(): KeptLosses {
    if (!this.#losses) throw new DoremiError("internal", "feed", "the feed was not asked about reference losses first");
    return this.#losses;
  }
}
