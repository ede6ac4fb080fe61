import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { TakenRows } from "../../src/manifest/taken-rows.ts";

describe("rows taken in an epoch", () => {
  it("are those of a set of them, whatever lies across pages and files", () => {
    const FILES = [{ rows: 4096 }, { rows: 0 }, { rows: 10_000 }, { rows: 1 }];
    const run = fc
      .tuple(fc.constantFrom(0, 2, 3), fc.nat(2), fc.nat(9_999), fc.nat(5_000))
      .map(([file, epoch, start, length]) => {
        const { rows } = FILES[file]!;
        const rowStart = Math.min(start, rows - 1);
        return { file, epoch, rowStart, rowEnd: Math.min(rows, rowStart + 1 + length) };
      });
    fc.assert(
      fc.property(fc.array(run, { maxLength: 12 }), (runs) => {
        const taken = new TakenRows(FILES);
        const seen = new Set<string>();
        for (const { file, epoch, rowStart, rowEnd } of runs) {
          let repeated = false;
          for (let row = rowStart; row < rowEnd; row++) {
            const key = `${file}/${epoch}/${row}`;
            repeated ||= seen.has(key);
            seen.add(key);
          }
          expect(taken.take(file, epoch, rowStart, rowEnd)).toBe(repeated);
        }
        expect(taken.full).toBe(false);
      }),
      { numRuns: 60 },
    );
  });

  it("of more than memory should hold are left out, and that is said", () => {
    const rows = 10 * 4096;
    const taken = new TakenRows([{ rows }], 3);
    expect(taken.take(0, 0, 4000, 3 * 4096)).toBe(false);
    expect(taken.full).toBe(false);
    expect(taken.take(0, 1, 0, rows)).toBe(false);
    expect(taken.full).toBe(true);
    expect(taken.take(0, 0, 4000, 4001)).toBe(true); // what was noted is known still
    expect(taken.take(0, 0, rows - 1, rows)).toBe(false);
  });
});
