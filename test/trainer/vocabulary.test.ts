/** A vocabulary cut to the ids that occur, and the training with it. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createCpuEngine } from "../../src/engine/cpu.ts";
import type { Engine } from "../../src/engine/engine.ts";
import { createBatchSource, type SequenceReader } from "../../src/trainer/batches.ts";
import { train } from "../../src/trainer/train.ts";
import { cutReader, OccurringIds } from "../../src/trainer/vocabulary.ts";
import { ADAMW, randomReaders, TINY } from "./tiny.ts";

const T = TINY.sequenceLength;
let engine: Engine;
beforeAll(async () => {
  engine = await createCpuEngine({ threads: 1 });
});
afterAll(() => engine.close());

describe("a vocabulary of the ids that occur", () => {
  it("is ascending, each id once", () => {
    const occurring = new OccurringIds(50_257);
    occurring.add(Uint32Array.of(50_256, 7, 7, 0));
    occurring.add([7, 12]);
    expect(occurring.ids()).toEqual([0, 7, 12, 50_256]);
  });

  it("trains as a tokenizer with these ids alone would", async () => {
    // The same text under a tokenizer of 48 ids, and under one that spreads them over 50,257.
    const dense = randomReaders(3, 6);
    const spread = (id: number) => id * 1000 + 7;
    const wide = dense.map(
      (reader): SequenceReader => ({
        sequences: reader.sequences,
        sequence: (index) => reader.sequence(index).map(spread),
      }),
    );
    const occurring = new OccurringIds(50_257);
    for (const reader of wide) for (let i = 0; i < reader.sequences; i++) occurring.add(reader.sequence(i));
    const ids = occurring.ids();
    expect(ids.every((id) => id % 1000 === 7)).toBe(true);
    const losses = async (readers: readonly SequenceReader[]): Promise<number[]> => {
      const found: number[] = [];
      await train({
        engine,
        model: { ...TINY, vocabularySize: ids.length },
        optimizer: ADAMW,
        batches: createBatchSource({ readers, weights: [1, 1, 1], batchSize: 4, sequenceLength: T, seed: 3 }),
        steps: 5,
        seed: 1,
        onStep: ({ loss }) => void found.push(loss),
      });
      return found;
    };
    const place = new Map(ids.map((id, at) => [(id - 7) / 1000, at]));
    const renumbered = dense.map((reader) => ({
      sequences: reader.sequences,
      sequence: (index: number) => reader.sequence(index).map((id) => place.get(id)!),
    }));
    const cut = await losses(wide.map((reader) => cutReader(reader, ids)));
    expect(cut).toEqual(await losses(renumbered));
    expect(cut[0]).toBeCloseTo(Math.log(ids.length), 0);
  });

  it("refuses an id that did not occur when it was cut", () => {
    const reader = { sequences: 1, sequence: () => Int32Array.of(3, 5, 4) };
    expect(() => cutReader(reader, [3, 4]).sequence(0)).toThrow(/id 5 must be in the vocabulary/);
    expect(() => cutReader(reader, [3]).sequence(0)).toThrow(/id 5 must be in the vocabulary/);
    expect(Array.from(cutReader(reader, [3, 4, 5]).sequence(0))).toEqual([0, 2, 1]);
  });
});
