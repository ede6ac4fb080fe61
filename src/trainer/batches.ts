/**
 * Batches from sequences per domain. The domain of each row is drawn from given weights; within a domain, sequences
 * come in a seeded order without repetition inside an epoch. Every batch is a pure function of seed and step.
 */
import { DoremiError } from "../lib/errors.ts";
import { type Permutation, Rng } from "../lib/rng.ts";
import type { BatchSource, TrainingBatch } from "./contract.ts";

/** Training sequences of one domain, by number. */
export interface SequenceReader {
  readonly sequences: number;
  /** T + 1 ids: the inputs are all but the last, the targets all but the first. A shorter one is padded and masked. */
  sequence(index: number): Int32Array;
}

export interface BatchOptions {
  readonly readers: readonly SequenceReader[]; // [K]
  /** sampling weights of the rows, [K]; any positive sum */
  readonly weights: readonly number[];
  readonly batchSize: number; // B
  readonly sequenceLength: number; // T
  readonly seed: number;
  /** of the domains, for messages */
  readonly names?: readonly string[];
}

/** @throws DoremiError empty-domain where a domain with weight has no sequence; batch-options */
export function createBatchSource(options: BatchOptions): BatchSource {
  const { readers, weights, batchSize: B, sequenceLength: T, seed } = options;
  validate(options);
  const rng = new Rng(seed, "batches");
  const domainDraws = rng.fork("domain");
  const orders = new Map<string, Permutation>();

  /** Sequence of the domain's n-th draw (0-based). */
  const sequenceOf = (domain: number, draw: number): number => {
    const size = readers[domain]!.sequences;
    const key = `order/${domain}/${Math.floor(draw / size)}`;
    let order = orders.get(key);
    if (!order) {
      if (orders.size > 4 * readers.length) orders.clear();
      order = rng.fork(key).permutation(size);
      orders.set(key, order);
    }
    return order.at(draw % size);
  };

  // How often each domain was drawn before `position.step`. Going back replays the domain draws, which are cheap.
  let position = { step: 1, drawn: new Array<number>(readers.length).fill(0) };
  const advanceTo = (step: number): void => {
    if (step < position.step) position = { step: 1, drawn: new Array<number>(readers.length).fill(0) };
    for (; position.step < step; position.step++) {
      for (let row = 0; row < B; row++)
        position.drawn[domainDraws.categorical(weights, (position.step - 1) * B + row)]!++;
    }
  };

  return {
    domains: readers.length,
    batchSize: B,
    batch(step) {
      if (!Number.isSafeInteger(step) || step < 1) throw new RangeError(`batches: steps count from 1, found ${step}`);
      advanceTo(step);
      const drawn = [...position.drawn];
      const batch = emptyBatch(B, T);
      for (let row = 0; row < B; row++) {
        const domain = domainDraws.categorical(weights, (step - 1) * B + row);
        const draw = drawn[domain]!++;
        fillRow(batch, row, T, domain, readers[domain]!.sequence(sequenceOf(domain, draw)));
      }
      return batch;
    },
  };
}

export interface EvaluationOptions {
  readonly readers: readonly SequenceReader[]; // [K]
  readonly batchSize: number; // B
  readonly sequenceLength: number; // T
  /** the first so many of each domain; default all */
  readonly maxSequences?: number;
}

/** Every sequence once, domain by domain; the last batch is filled up with masked rows. */
export function* evaluationBatches(options: EvaluationOptions): Generator<TrainingBatch> {
  const { readers, batchSize: B, sequenceLength: T, maxSequences = Number.POSITIVE_INFINITY } = options;
  let batch = emptyBatch(B, T);
  let row = 0;
  for (const [domain, reader] of readers.entries()) {
    for (let index = 0; index < Math.min(reader.sequences, maxSequences); index++) {
      fillRow(batch, row++, T, domain, reader.sequence(index));
      if (row < B) continue;
      yield batch;
      batch = emptyBatch(B, T);
      row = 0;
    }
  }
  if (row > 0) yield batch;
}

/** Part start..end (exclusive) of a reader's sequences, renumbered from 0. */
export function sequenceRange(reader: SequenceReader, start: number, end: number): SequenceReader {
  const last = Math.min(end, reader.sequences);
  return { sequences: Math.max(0, last - start), sequence: (index) => reader.sequence(start + index) };
}

function emptyBatch(B: number, T: number): TrainingBatch {
  return {
    inputs: new Int32Array(B * T),
    targets: new Int32Array(B * T),
    mask: new Float32Array(B * T),
    domains: new Int32Array(B),
  };
}

function fillRow(batch: TrainingBatch, row: number, T: number, domain: number, ids: Int32Array): void {
  const length = ids.length - 1;
  if (length < 1 || length > T)
    throw new RangeError(`batches: a sequence must have 2 to ${T + 1} ids, found ${ids.length}`);
  batch.inputs.set(ids.subarray(0, length), row * T);
  batch.targets.set(ids.subarray(1), row * T);
  batch.mask.fill(1, row * T, row * T + length);
  batch.domains[row] = domain;
}

function validate({ readers, weights, batchSize, names, sequenceLength }: BatchOptions): void {
  const refuse = (message: string): never => {
    throw new DoremiError("bad-configuration", "batch-options", `batches: ${message}`);
  };
  if (!Number.isSafeInteger(batchSize) || batchSize < 1) refuse(`batchSize must be an integer ≥ 1, found ${batchSize}`);
  if (weights.length !== readers.length)
    refuse(`there must be a weight per domain, found ${weights.length} for ${readers.length}`);
  if (!weights.every((weight) => weight >= 0 && Number.isFinite(weight)) || !weights.some((weight) => weight > 0)) {
    refuse(`weights must be ≥ 0 with a positive sum, found ${weights.join(", ")}`);
  }
  for (const [domain, reader] of readers.entries()) {
    if (weights[domain]! > 0 && reader.sequences === 0) {
      throw new DoremiError(
        "bad-data",
        "empty-domain",
        `domain ${names?.[domain] ?? domain}: training needs at least one sequence of ${sequenceLength + 1} tokens, found none; give it more text, shorten sequenceLength or leave the domain out`,
      );
    }
  }
}
