import { describe, expect, it } from "vitest";
import {
  formatBytes,
  formatClock,
  formatCount,
  formatDuration,
  formatFigure,
  formatFlops,
  formatInteger,
  formatRate,
  formatShare,
  plural,
} from "../../src/cli/numbers.ts";

describe("numbers for a person", () => {
  it.each([
    [0, "0"],
    [999, "999"],
    [1234567, "1,234,567"],
  ])("integer %d", (value, text) => expect(formatInteger(value)).toBe(text));

  it.each([
    [0, "0 B"],
    [999, "999 B"],
    [1000, "1.00 kB"],
    [12_345, "12.3 kB"],
    [999_499, "999 kB"],
    [999_500, "1.00 MB"],
    [3_405_881, "3.41 MB"],
    [1.5e12, "1.50 TB"],
  ])("bytes %d", (value, text) => expect(formatBytes(value)).toBe(text));

  it.each([
    [12_345, "12,345"],
    [1_234_567, "1.23 million"],
    [104_857_600_000, "105 billion"],
  ])("count %d", (value, text) => expect(formatCount(value)).toBe(text));

  it.each([
    [1.2e7, "bytes", "12.0 MB/s"],
    [512, "bytes", "512 B/s"],
    [1.114, "steps", "1.11 steps/s"],
    [6720, "tokens", "6.72 k tokens/s"],
  ] as const)("rate %d %s", (value, unit, text) => expect(formatRate(value, unit)).toBe(text));

  it.each([
    [0, "0.00 s"],
    [420, "0.42 s"],
    [9_994, "9.99 s"],
    [9_996, "10.0 s"],
    [59_940, "59.9 s"],
    [59_960, "1 min 00 s"],
    [185_000, "3 min 05 s"],
    [7_380_000, "2 h 03 min"],
    [349_200_000, "4 d 01 h"],
    [Number.NaN, "unknown"],
    [1000 * 86_400_000, "2.7 years"],
    [41_481_574 * 86_400_000, "113,570 years"],
  ])("duration %d ms", (value, text) => expect(formatDuration(value)).toBe(text));

  it.each([
    [0, "0:00"],
    [6.2, "0:07"],
    [725, "12:05"],
    [3723, "1:02:03"],
    [273_600, "3 d 04 h"],
    [Number.POSITIVE_INFINITY, "--:--"],
    [8766 * 86_400, "24 years"],
  ])("clock %d s", (value, text) => expect(formatClock(value)).toBe(text));

  it("shares, figures, FLOP, plurals", () => {
    expect(formatShare(0.12345)).toBe("12.35%");
    expect(formatFigure(0.00123456)).toBe("0.001235");
    expect(formatFigure(1.5e-7)).toBe("1.50e-7");
    expect(formatFigure(1200)).toBe("1,200");
    expect(formatFlops(1.194e20)).toBe("1.19e20");
    expect([plural(1, "shard"), plural(2, "shard"), plural(1200, "entry", "entries")]).toEqual([
      "1 shard",
      "2 shards",
      "1,200 entries",
    ]);
  });
});
