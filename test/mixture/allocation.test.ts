import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DoremiError } from "../../src/lib/errors.ts";
import { allocate, allocateWithBounds, cappedShares } from "../../src/mixture/allocation.ts";
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

  it("with bounds: adds up exactly, within every bound, and equals the plain one where no bound binds", () => {
    const bounded = problem.chain(({ weights }) =>
      fc.record({
        weights: fc.constant(weights),
        bounds: fc.array(fc.tuple(fc.nat(1000), fc.option(fc.nat(10_000))), {
          minLength: weights.length,
          maxLength: weights.length,
        }),
        part: fc.double({ min: 0, max: 1, noNaN: true }),
      }),
    );
    fc.assert(
      fc.property(bounded, ({ weights, bounds, part }) => {
        const floors = bounds.map(([floor]) => floor);
        const caps = bounds.map(([floor, room]) => (room === null ? null : floor + room));
        const least = floors.reduce((sum, floor) => sum + floor, 0);
        const room = bounds.reduce((sum, [, more], i) => sum + (weights[i]! > 0 ? (more ?? 10_000) : 0), 0);
        const budget = least + Math.floor(room * part);
        const shares = allocateWithBounds(weights, budget, floors, caps);
        expect(shares.reduce((a, b) => a + b, 0)).toBe(budget);
        for (const [i, share] of shares.entries()) {
          expect(share).toBeLessThanOrEqual(caps[i] ?? Infinity);
          expect(share).toBeGreaterThanOrEqual(floors[i]!);
          if (weights[i] === 0) expect(share).toBe(floors[i]);
        }
        const free = allocate(weights, budget);
        if (free.every((share, i) => share < (caps[i] ?? Infinity) && share > floors[i]!)) expect(shares).toEqual(free);
      }),
    );
  });

  it("with caps alone: within one of the shares of real numbers", () => {
    const capped = problem.chain(({ weights }) =>
      fc.record({
        weights: fc.constant(weights),
        caps: fc.array(fc.option(fc.nat(10_000)), { minLength: weights.length, maxLength: weights.length }),
        part: fc.double({ min: 0, max: 1, noNaN: true }),
      }),
    );
    fc.assert(
      fc.property(capped, ({ weights, caps, part }) => {
        const room = caps.reduce<number>((sum, cap, i) => sum + (weights[i]! > 0 ? (cap ?? 10_000) : 0), 0);
        const budget = Math.floor(room * part);
        const shares = allocateWithBounds(weights, budget, none(weights), caps);
        const real = cappedShares(
          weights,
          budget,
          caps.map((cap) => cap ?? Infinity),
        );
        for (const [i, share] of shares.entries()) expect(Math.abs(share - real[i]!)).toBeLessThan(1 + 1e-6);
      }),
    );
  });

  it("with weights so small that cap ÷ weight is past the largest number", () => {
    expect(cappedShares([5e-324, 5e-324], 4, [Infinity, 1])).toEqual([3, 1]);
    expect(cappedShares([5e-324, 5e-324, 1], 14, [Infinity, 1, 10])).toEqual([3, 1, 10]);
    expect(cappedShares([5e-324, 1e-323], 3, [1, 8])).toEqual([1, 2]);
  });

  it("is what trying every division into floored, capped and free domains finds", () => {
    const small = fc
      .array(
        fc.record({
          weight: fc.nat(20),
          floor: fc.oneof(fc.constant(0), fc.nat(40)),
          room: fc.option(fc.nat(60), { nil: null }),
        }),
        { minLength: 1, maxLength: 5 },
      )
      .filter((domains) => domains.some(({ weight }) => weight > 0));
    let divisions = 0;
    fc.assert(
      fc.property(small, fc.nat(400), (domains, budget) => {
        const weights = domains.map(({ weight }) => weight);
        const floors = domains.map(({ floor }) => floor);
        const caps = domains.map(({ floor, room }) => (room === null ? null : floor + room));
        const expected = byTrying(weights, budget, floors, caps);
        const run = () => allocateWithBounds(weights, budget, floors, caps);
        if (expected === null) {
          expect(run).toThrow(DoremiError);
          return;
        }
        divisions++;
        expect(run()).toEqual(expected);
      }),
      { numRuns: 1500 },
    );
    expect(divisions).toBeGreaterThan(300);
  });

  it("names what cannot be met", () => {
    expect(() => allocateWithBounds([0.5, 0.5, 0], 31, [0, 0, 0], [10, 20, 100])).toThrow(/which hold 30/);
    expect(allocateWithBounds([0.5, 0.5, 0], 30, [0, 0, 0], [10, 20, 100])).toEqual([10, 20, 0]);
    expect(() => allocateWithBounds([1, 1], 10, [0, 6], [10, 5])).toThrow(/floor of domain 1.*cap of 5, got 6/);
    expect(() => allocateWithBounds([1, 1], 10, [5, 6], [null, null])).toThrow(/add up to 11/);
  });

  it("gives a domain without weight its floor, and takes it from the others by weight", () => {
    expect(allocateWithBounds([3, 1, 0], 100, [0, 0, 20], [null, null, null])).toEqual([60, 20, 20]);
    expect(allocateWithBounds([3, 1, 0], 100, [0, 30, 20], [null, null, null])).toEqual([50, 30, 20]);
    expect(allocateWithBounds([3, 1, 0], 100, [0, 0, 20], [55, null, null])).toEqual([55, 25, 20]);
  });
});

const none = (weights: readonly number[]) => weights.map(() => 0);

/** Small integers only, so that products of them are exact. null = no division keeps the bounds. */
function byTrying(
  weights: readonly number[],
  budget: number,
  floors: readonly number[],
  caps: readonly (number | null)[],
): number[] | null {
  for (let code = 0; code < 3 ** weights.length; code++) {
    const kinds = weights.map((_, i) => Math.floor(code / 3 ** i) % 3); // 0 floored, 1 capped, 2 free
    if (kinds.some((kind, i) => (kind === 1 && caps[i] === null) || (kind === 2 && weights[i] === 0))) continue;
    const fixed = kinds.reduce((sum, kind, i) => sum + (kind === 0 ? floors[i]! : kind === 1 ? caps[i]! : 0), 0);
    const weight = kinds.reduce((sum, kind, i) => sum + (kind === 2 ? weights[i]! : 0), 0);
    const left = budget - fixed;
    if (left < 0 || (weight === 0 && left !== 0)) continue;
    // s = left ÷ weight; of no free domain, any s between the bounds
    const fits = (low: number, high: number) =>
      kinds.every((kind, i) => {
        if (kind === 0) return low * weights[i]! <= floors[i]! * high;
        if (kind === 1) return low * weights[i]! >= caps[i]! * high;
        return low * weights[i]! >= floors[i]! * high && low * weights[i]! <= (caps[i] ?? Infinity) * high;
      });
    const levels: [number, number][] = weight > 0 ? [[left, weight]] : corners(weights, floors, caps);
    if (!levels.some(([low, high]) => fits(low, high))) continue;
    const shares = kinds.map((kind, i) =>
      kind === 0 ? floors[i]! : kind === 1 ? caps[i]! : Math.floor((left * weights[i]!) / weight),
    );
    const order = [...weights.keys()].filter((i) => kinds[i] === 2);
    order.sort((a, b) => ((left * weights[b]!) % weight) - ((left * weights[a]!) % weight) || a - b);
    const over = budget - shares.reduce((sum, share) => sum + share, 0);
    for (const i of order.slice(0, over)) shares[i]! += 1;
    return shares;
  }
  return null;
}

function corners(
  weights: readonly number[],
  floors: readonly number[],
  caps: readonly (number | null)[],
): [number, number][] {
  return weights.flatMap((weight, i): [number, number][] =>
    weight === 0 ? [] : [[floors[i]!, weight], ...(caps[i] === null ? [] : [[caps[i]!, weight] as [number, number]])],
  );
}

describe("capped shares", () => {
  const { rows } = readGolden<{
    rows: { weights: number[]; budget: number; caps: number[]; shares: number[]; total: number }[];
  }>("capped_shares.json");
  it.each(rows)("$weights of $budget", ({ weights, budget, caps, shares, total }) => {
    const got = cappedShares(weights, budget, caps);
    expectClose(got, shares, 1e-12);
    expectClose([got.reduce((a, b) => a + b, 0)], [total], 1e-12);
  });

  it.each(rows)("whole tokens: $weights of $budget", ({ weights, caps, shares, total }) => {
    const whole = allocateWithBounds(weights, total, none(weights), caps);
    expect(whole.reduce((a, b) => a + b, 0)).toBe(total);
    for (const [i, share] of whole.entries()) expect(Math.abs(share - shares[i]!)).toBeLessThan(1);
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
