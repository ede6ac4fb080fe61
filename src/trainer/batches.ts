/** Batches from sequences per domain: for training by the draws of each step, for evaluation every sequence once. */
import type { BatchSource, TrainingBatch } from "./contract.ts";
import { type Draw, type DrawOptions, Draws } from "./draws.ts";

/** Sequences of one domain, by number. */
export interface SequenceReader {
  readonly sequences: number;
  /** T + 1 ids: the inputs are all but the last, the targets all but the first. A shorter one is padded and masked. */
  sequence(index: number): Int32Array;
}

export interface BatchOptions extends Omit<DrawOptions, "sequences"> {
  readonly readers: readonly SequenceReader[]; // [K]
}

/** @throws DoremiError empty-domain where a domain with weight has no sequence; batch-options */
export function createBatchSource({ readers, ...options }: BatchOptions): BatchSource {
  const draws = new Draws({ ...options, sequences: readers.map((reader) => reader.sequences) });
  const { batchSize, sequenceLength } = options;
  return {
    domains: readers.length,
    batchSize,
    batch: (step) => readBatch(draws.of(step), { readers, batchSize, sequenceLength }),
  };
}

export interface BatchShape {
  readonly readers: readonly SequenceReader[]; // [K]
  readonly batchSize: number; // B
  readonly sequenceLength: number; // T
}

/** A batch of the drawn sequences; where they are fewer than its rows, the others are masked. */
export function readBatch(draws: readonly Draw[], { readers, batchSize, sequenceLength }: BatchShape): TrainingBatch {
  const size = batchSize * sequenceLength;
  const batch: TrainingBatch = {
    inputs: new Int32Array(size),
    targets: new Int32Array(size),
    mask: new Float32Array(size),
    domains: new Int32Array(batchSize),
  };
  for (const [row, { domain, sequence }] of draws.entries())
    fillRow(batch, row, sequenceLength, domain, readers[domain]!.sequence(sequence));
  return batch;
}

export interface EvaluationOptions extends BatchShape {
  /** of each domain, at most; default all */
  readonly maxSequences?: number;
}

/** The i-th of `count` sequences that stand for all `sequences` of a domain: spread evenly, over all of its documents. */
export function evaluatedSequence(i: number, count: number, sequences: number): number {
  return Math.floor((i * sequences) / count);
}

/** Sequences for evaluation, each once, domain by domain; the last batch is filled up with masked rows. */
export function* evaluationBatches(options: EvaluationOptions): Generator<TrainingBatch> {
  const { readers, batchSize, maxSequences = Number.POSITIVE_INFINITY } = options;
  let rows: Draw[] = [];
  for (const [domain, reader] of readers.entries()) {
    const count = Math.min(reader.sequences, maxSequences);
    for (let i = 0; i < count; i++) {
      rows.push({ domain, sequence: evaluatedSequence(i, count, reader.sequences) });
      if (rows.length < batchSize) continue;
      yield readBatch(rows, options);
      rows = [];
    }
  }
  if (rows.length > 0) yield readBatch(rows, options);
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
