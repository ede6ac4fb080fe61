/** Laws of batches: pure in the step, proportional to the weights, every sequence once an epoch. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  createBatchSource,
  evaluatedSequence,
  evaluationBatches,
  type SequenceReader,
} from "../../src/trainer/batches.ts";
import type { TrainingBatch } from "../../src/trainer/contract.ts";

/** Sequence i of domain d is the constant 1000·d + i, so a row tells where it came from. */
function labelled(sequences: readonly number[], T: number): SequenceReader[] {
  return sequences.map((count, domain) => ({
    sequences: count,
    sequence: (i) => new Int32Array(T + 1).fill(1000 * domain + i),
  }));
}

const rows = (batch: TrainingBatch, T: number): number[] =>
  Array.from(batch.domains, (_, row) => batch.inputs[row * T]!);

describe("createBatchSource", () => {
  test("any order of asking gives the same batches, and each epoch has every sequence once", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 4 }),
        fc.integer({ min: 1, max: 5 }),
        fc.nat(),
        fc.array(fc.integer({ min: 1, max: 30 }), { maxLength: 5 }),
        (sizes, batchSize, seed, jumps) => {
          const options = {
            readers: labelled(sizes, 3),
            weights: sizes.map(() => 1),
            batchSize,
            sequenceLength: 3,
            seed,
          };
          const source = createBatchSource(options);
          const steps = Array.from({ length: 30 }, (_, i) => source.batch(i + 1) as TrainingBatch);
          const again = createBatchSource(options);
          for (const step of jumps) expect(again.batch(step)).toEqual(steps[step - 1]);
          const drawn = sizes.map(() => [] as number[]);
          for (const batch of steps)
            for (const label of rows(batch, 3)) drawn[Math.floor(label / 1000)]!.push(label % 1000);
          for (const [domain, order] of drawn.entries()) {
            const size = sizes[domain]!;
            for (let start = 0; start + size <= order.length; start += size)
              expect(new Set(order.slice(start, start + size)).size).toBe(size);
          }
        },
      ),
      { numRuns: 40 },
    );
  });

  test("rows follow the weights, and a domain of weight 0 may be empty", () => {
    const weights = [0.5, 0.3, 0.2, 0];
    const source = createBatchSource({
      readers: labelled([5, 5, 5, 0], 1),
      weights,
      batchSize: 50,
      sequenceLength: 1,
      seed: 4,
    });
    const counts = [0, 0, 0, 0];
    for (let step = 1; step <= 200; step++)
      for (const domain of (source.batch(step) as TrainingBatch).domains) counts[domain]!++;
    // 10 000 draws: five standard deviations are 0.025
    for (const [domain, weight] of weights.entries())
      expect(Math.abs(counts[domain]! / 10_000 - weight)).toBeLessThan(0.025);
  });

  test("targets are the inputs shifted by one, nothing is masked", () => {
    const reader = { sequences: 1, sequence: () => Int32Array.of(7, 8, 9, 10) };
    const batch = createBatchSource({
      readers: [reader],
      weights: [1],
      batchSize: 2,
      sequenceLength: 3,
      seed: 0,
    }).batch(1);
    expect(batch).toEqual({
      inputs: Int32Array.of(7, 8, 9, 7, 8, 9),
      targets: Int32Array.of(8, 9, 10, 8, 9, 10),
      mask: Float32Array.of(1, 1, 1, 1, 1, 1),
      domains: Int32Array.of(0, 0),
    });
  });

  test("refuses an empty domain with weight by name, and wrong options", () => {
    const options = {
      readers: labelled([1, 0], 8),
      weights: [1, 1],
      batchSize: 2,
      sequenceLength: 8,
      seed: 0,
      names: ["books", "code"],
    };
    expect(() => createBatchSource(options)).toThrow(/domain code: training needs at least one sequence of 9 tokens/);
    expect(() => createBatchSource({ ...options, weights: [1] })).toThrow(/a weight per domain, found 1 for 2/);
    expect(() => createBatchSource({ ...options, weights: [0, 0] })).toThrow(/positive sum/);
    expect(() => createBatchSource({ ...options, batchSize: 0 })).toThrow(/batchSize/);
  });
});

describe("evaluationBatches", () => {
  test("gives every sequence once, pads short ones and the last batch", () => {
    const short: SequenceReader = {
      sequences: 2,
      sequence: (i) => Int32Array.from({ length: i === 0 ? 4 : 2 }, (_, t) => t + 1),
    };
    const batches = [...evaluationBatches({ readers: [short, ...labelled([3], 3)], batchSize: 2, sequenceLength: 3 })];
    expect(batches.map((batch) => Array.from(batch.mask))).toEqual([
      [1, 1, 1, 1, 0, 0],
      [1, 1, 1, 1, 1, 1],
      [1, 1, 1, 0, 0, 0],
    ]);
    expect(batches.map((batch) => Array.from(batch.domains))).toEqual([
      [0, 0],
      [1, 1],
      [1, 0],
    ]);
    expect(Array.from(batches[0]!.targets)).toEqual([2, 3, 4, 2, 0, 0]);
    expect([
      ...evaluationBatches({ readers: labelled([3, 3], 3), batchSize: 4, sequenceLength: 3, maxSequences: 2 }),
    ]).toHaveLength(1);
  });

  test("of fewer sequences than there are takes some from everywhere, and of a divisor of them some of the same", () => {
    const chosen = (count: number) => Array.from({ length: count }, (_, i) => evaluatedSequence(i, count, 10));
    expect(chosen(10)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(chosen(8)).toEqual([0, 1, 2, 3, 5, 6, 7, 8]);
    expect(chosen(4)).toEqual([0, 2, 5, 7]);
    const reader = { sequences: 10, sequence: (index: number) => Int32Array.of(index, index) };
    const options = { readers: [reader], batchSize: 4, sequenceLength: 1, maxSequences: 4 };
    expect([...evaluationBatches(options)].map(({ inputs }) => [...inputs])).toEqual([chosen(4)]);
  });
});
