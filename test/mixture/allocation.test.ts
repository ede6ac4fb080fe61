import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DoremiError } from "../../src/lib/errors.ts";
import { allocate, allocateWithCaps, cappedShares } from "../../src/mixture/allocation.ts";
import { ceilProduct, floorProduct, toCommonScale, toDecimal } from "../../src/mixture/decimal.ts";
import { expectClose, readGolden } from "./golden.ts";

const hamilton = readGolden<{
  rows: { id: string; weights: number[]; budget: number; expected: number[] }[];
  errors: { weights: (number | string)[]; budget: number; error: string }[];
}>("hamilton.json");

describe("largest remainder", () => {
  it.each(hamilton.rows)("$id", ({ weights, budget, expected }) => {
    expect(allocate(weights, budget)).toEqual(expected);
  });

  it.each(hamilton.errors)("refuses: $error", ({ weights, budget }) => {
    expect(() => allocate(weights.map(Number), budget)).toThrow(DoremiError);
  });

  it("refuses a budget above 2^53 − 1", () => {
    expect(() => allocate([1], 2 ** 53)).toThrow(/2\^53/);
  });
});

const problem = fc.record({
  weights: fc
    .array(fc.oneof(fc.double({ min: 0, max: 1, noNaN: true }), fc.integer({ min: 0, max: 1000 })), {
      minLength: 1,
      maxLength: 25,
    })
    .filter((weights) => weights.some((weight) => weight > 0)),
  budget: fc.oneof(fc.maxSafeNat(), fc.nat(1000)),
});

describe("allocation laws", () => {
  it("adds up exactly, each within 1 of its quota, nothing to weight 0", () => {
    fc.assert(
      fc.property(problem, ({ weights, budget }) => {
        const shares = allocate(weights, budget);
        const { integers } = toCommonScale(weights);
        const sum = integers.reduce((a, b) => a + b, 0n);
        expect(shares.reduce((a, b) => a + BigInt(b), 0n)).toBe(BigInt(budget));
        for (const [i, share] of shares.entries()) {
          const floor = (BigInt(budget) * integers[i]!) / sum;
          expect([floor, floor + 1n]).toContain(BigInt(share));
          if (weights[i] === 0) expect(share).toBe(0);
        }
      }),
    );
  });

  it("with caps: adds up exactly, never above a cap, and equals the plain one where no cap binds", () => {
    const withCaps = problem.chain(({ weights }) =>
      fc.record({
        weights: fc.constant(weights),
        caps: fc.array(fc.option(fc.nat(10_000)), { minLength: weights.length, maxLength: weights.length }),
        part: fc.double({ min: 0, max: 1, noNaN: true }),
      }),
    );
    fc.assert(
      fc.property(withCaps, ({ weights, caps, part }) => {
        const room = caps.reduce<number>((sum, cap, i) => sum + (weights[i]! > 0 ? (cap ?? 10_000) : 0), 0);
        const budget = Math.floor(room * part);
        const shares = allocateWithCaps(weights, budget, caps);
        expect(shares.reduce((a, b) => a + b, 0)).toBe(budget);
        for (const [i, share] of shares.entries()) expect(share).toBeLessThanOrEqual(caps[i] ?? Infinity);
        const free = allocate(weights, budget);
        if (free.every((share, i) => share < (caps[i] ?? Infinity))) expect(shares).toEqual(free);
        const real = cappedShares(
          weights,
          budget,
          caps.map((cap) => cap ?? Infinity),
        );
        for (const [i, share] of shares.entries()) expect(Math.abs(share - real[i]!)).toBeLessThan(1 + 1e-6);
      }),
    );
  });

  it("names what the caps hold when the budget does not fit", () => {
    expect(() => allocateWithCaps([0.5, 0.5, 0], 31, [10, 20, 100])).toThrow(/which hold 30/);
    expect(allocateWithCaps([0.5, 0.5, 0], 30, [10, 20, 100])).toEqual([10, 20, 0]);
  });
});

describe("capped shares", () => {
  const { rows } = readGolden<{
    rows: { weights: number[]; budget: number; caps: number[]; shares: number[]; total: number }[];
  }>("capped_shares.json");
  it.each(rows)("$weights of $budget", ({ weights, budget, caps, shares, total }) => {
    const got = cappedShares(weights, budget, caps);
    expectClose(got, shares, 1e-12);
    expectClose([got.reduce((a, b) => a + b, 0)], [total], 1e-12);
  });
});

describe("decimals", () => {
  it("reads every double as its shortest decimal", () => {
    fc.assert(
      fc.property(fc.double({ min: 0, noNaN: true, noDefaultInfinity: true }), (value) => {
        const { mantissa, exponent } = toDecimal(value);
        expect(Number(`${mantissa}e${exponent}`)).toBe(value);
      }),
    );
  });

  it("multiplies where doubles would not", () => {
    expect(Math.ceil(0.07 * 100)).toBe(8);
    expect(ceilProduct(0.07, 100)).toBe(7n);
    expect(floorProduct(1.1, 10)).toBe(11n);
    expect(floorProduct(0.29, 100)).toBe(29n);
  });
});
