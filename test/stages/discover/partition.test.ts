import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { rangeOf } from "../../../src/stages/discover/partition.ts";

describe("files divided among tasks", () => {
  it("are each in one part, in order, whatever the number of parts", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(2 ** 40), { maxLength: 60 }), fc.integer({ min: 1, max: 90 }), (sizes, of) => {
        const ranges = Array.from({ length: of }, (_, index) => rangeOf(sizes, { index, of }));
        let next = 0;
        for (const { start, end } of ranges) {
          expect(start).toBe(next);
          expect(end).toBeGreaterThanOrEqual(start);
          next = end;
        }
        expect(next).toBe(sizes.length);
        const bytes = (files: readonly number[]) => files.reduce((sum, size) => sum + size + 1, 0);
        for (const { start, end } of ranges) {
          const most = bytes(sizes) / of + Math.max(0, ...sizes) + 1;
          expect(bytes(sizes.slice(start, end))).toBeLessThanOrEqual(most * (1 + 1e-12));
        }
      }),
    );
  });

  it("are divided by bytes, and equally where they are equal", () => {
    expect([0, 1, 2].map((index) => rangeOf([10, 10, 10, 10, 10, 10], { index, of: 3 }))).toEqual([
      { start: 0, end: 2 },
      { start: 2, end: 4 },
      { start: 4, end: 6 },
    ]);
    expect(rangeOf([100, 1, 1, 1], { index: 0, of: 2 })).toEqual({ start: 0, end: 1 });
    expect(rangeOf([0, 0], { index: 0, of: 2 })).toEqual({ start: 0, end: 1 });
  });
});
