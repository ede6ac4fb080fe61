/** Held-out losses of a main model: put together by document, and looks that are part of what was evaluated in the end. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { EVALUATED_PER_LOOK, lookAmong } from "../../../src/stages/main/curve.ts";
import { documentLosses } from "../../../src/stages/main/documents.ts";
import { evaluatedSequence } from "../../../src/trainer/batches.ts";

describe("documentLosses", () => {
  it("gives a sequence to the document that holds its middle", () => {
    // Documents end at 10, 14 and 30 of 30 tokens; sequences of 8 have targets 1–8, 9–16, 17–24, 25–29.
    const sums = { tokens: [8, 8, 8, 5], loss: [8, 16, 24, 20] };
    expect(documentLosses(sums, [10, 4, 16], 8)).toEqual({ sizes: [8, 8, 13], losses: [1, 2, 44 / 13] });
  });

  it("finds the documents of sequences that were left out between", () => {
    // Every other of eight sequences of 4: targets from 1, 9, 17 and 25 on.
    const sums = { tokens: [4, 4, 4, 4], loss: [4, 8, 12, 16] };
    expect(documentLosses(sums, [16, 17], 4)).toEqual({ sizes: [8, 8], losses: [1.5, 3.5] });
  });

  it("leaves the sequences apart where they are all of one document, and is empty where there are none", () => {
    expect(documentLosses({ tokens: [4, 2], loss: [4, 4] }, [7], 4)).toEqual({ sizes: [4, 2], losses: [1, 2] });
    expect(documentLosses({ tokens: [], loss: [] }, [], 4)).toEqual({ sizes: [], losses: [] });
  });

  it("keeps the sums", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1 }),
        fc.integer({ min: 1, max: 9 }),
        (lengths, T) => {
          const total = lengths.reduce((sum, length) => sum + length, 0);
          const tokens = Array.from({ length: Math.ceil((total - 1) / T) }, (_, i) => Math.min(T, total - 1 - i * T));
          const loss = tokens.map((count, i) => count * (i + 1));
          const { sizes, losses } = documentLosses({ tokens, loss }, lengths, T);
          const sum = (values: number[]) => values.reduce((all, value) => all + value, 0);
          expect(sum(sizes)).toBe(total - 1);
          expect(sum(sizes.map((size, j) => size * losses[j]!))).toBeCloseTo(sum(loss), 6);
        },
      ),
    );
  });
});

describe("lookAmong", () => {
  it.each([3, 8, 15, 16, 17, 100, 1000])("finds the sequences of a look, of %d that are held out", (stored) => {
    const looked = 4;
    const evaluated = Math.min(stored, looked * EVALUATED_PER_LOOK);
    // Each sequence's loss tells which it is.
    const places = Array.from({ length: evaluated }, (_, i) => evaluatedSequence(i, evaluated, stored));
    const sums = { tokens: places.map(() => 1), loss: places };
    const count = Math.min(looked, stored);
    const expected = Array.from({ length: count }, (_, i) => evaluatedSequence(i, count, stored));
    const mean = expected.reduce((sum, place) => sum + place, 0) / count;
    expect(lookAmong([sums, { tokens: [], loss: [] }], [stored, 0], looked)).toEqual([mean, null]);
  });

  it("refuses an evaluation that does not hold the look's sequences", () => {
    expect(() => lookAmong([{ tokens: [1, 1, 1], loss: [1, 1, 1] }], [10], 2)).toThrow(/was not evaluated/);
  });
});
