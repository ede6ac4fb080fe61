import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FairQueue } from "../../src/manifest/selection/fair-queue.ts";

/** Domains in the order in which they are served. */
function served(lengths: readonly (readonly number[])[]): number[] {
  const queue = new FairQueue(lengths.map((pieces) => pieces.reduce((a, b) => a + b, 0)));
  const at = lengths.map(() => 0);
  for (const [d, pieces] of lengths.entries()) if (pieces.length > 0) queue.offer(d, pieces[0]!);
  const order: number[] = [];
  for (let d = queue.next(); d >= 0; d = queue.next()) {
    order.push(d);
    at[d]! += 1;
    if (at[d]! < lengths[d]!.length) queue.offer(d, lengths[d]![at[d]!]!);
  }
  return order;
}

/** The definition, in exact fractions. */
function byDefinition(lengths: readonly (readonly number[])[]): number[] {
  const totals = lengths.map((pieces) => BigInt(pieces.reduce((a, b) => a + b, 0)));
  const total = totals.reduce((a, b) => a + b, 0n);
  const given = lengths.map(() => 0n);
  const at = lengths.map(() => 0);
  let tokens = 0n;
  const order: number[] = [];
  for (;;) {
    let best = -1;
    for (const [d, pieces] of lengths.entries()) {
      if (at[d]! >= pieces.length || given[d]! * total > tokens * totals[d]!) continue; // ended, or not started
      if (best < 0) best = d;
      const end = (e: number) => given[e]! + BigInt(lengths[e]![at[e]!]!);
      // a domain without tokens ends at once
      const earlier =
        totals[d] === 0n || totals[best] === 0n
          ? totals[d] === 0n && totals[best] !== 0n && end(best) > 0n
          : end(d) * totals[best]! < end(best) * totals[d]!;
      if (earlier) best = d;
    }
    if (best < 0) return order;
    const length = BigInt(lengths[best]![at[best]!]!);
    at[best]! += 1;
    given[best]! += length;
    tokens += length;
    order.push(best);
  }
}

/** Checks the bound of FairQueue's comment after every piece. */
function checkPrefixes(lengths: readonly (readonly number[])[], order: readonly number[]): void {
  const totals = lengths.map((pieces) => pieces.reduce((a, b) => a + b, 0));
  const total = totals.reduce((a, b) => a + b, 0);
  const longest = lengths.map((pieces) => pieces.reduce((a, b) => Math.max(a, b), 0));
  const longestOfAll = Math.max(...longest);
  const given = lengths.map(() => 0);
  const at = lengths.map(() => 0);
  let tokens = 0;
  let worst = 0; // of what is above the bound, relative to rounding
  const rounding = 1e-6 + total * 2 ** -50; // of the quotients and of this check
  for (const d of order) {
    const length = lengths[d]![at[d]!++]!;
    given[d]! += length;
    tokens += length;
    for (let e = 0; e < lengths.length; e++) {
      const share = total === 0 ? 0 : totals[e]! / total;
      const ahead = given[e]! - tokens * share;
      worst = Math.max(worst, ahead - (1 - share) * longest[e]!, -ahead - longestOfAll);
    }
  }
  expect(worst).toBeLessThanOrEqual(rounding);
  expect(given).toEqual(totals);
  expect(at).toEqual(lengths.map((pieces) => pieces.length));
}

const length = fc.oneof(
  { weight: 1, arbitrary: fc.constant(0) },
  { weight: 6, arbitrary: fc.integer({ min: 1, max: 50 }) },
  { weight: 2, arbitrary: fc.integer({ min: 1, max: 100_000 }) },
);

describe("the mixed order", () => {
  it("serves as the definition says, in exact fractions", () => {
    fc.assert(
      fc.property(fc.array(fc.array(length, { maxLength: 25 }), { minLength: 1, maxLength: 8 }), (lengths) => {
        expect(served(lengths)).toEqual(byDefinition(lengths));
      }),
      { numRuns: 300 },
    );
  });

  it("holds every domain within the bound in every prefix, and all end together", () => {
    fc.assert(
      fc.property(fc.array(fc.array(length, { maxLength: 80 }), { minLength: 1, maxLength: 12 }), (lengths) => {
        checkPrefixes(lengths, served(lengths));
      }),
      { numRuns: 300 },
    );
  });

  it("does so for 200 domains whose totals differ a million times", () => {
    const lengths = Array.from({ length: 200 }, (_, d) =>
      Array.from({ length: d % 50 === 0 ? 1500 : 1 + (d % 5) }, (_, i) =>
        d % 50 === 0 ? ((i * 7919) % 90_000) + 1 : ((i * 31 + d) % 60) + 1,
      ),
    );
    checkPrefixes(lengths, served(lengths));
  });

  it("gives one domain its pieces in order, those without tokens too", () => {
    expect(served([[3, 0, 5, 0]])).toEqual([0, 0, 0, 0]);
    expect(served([[0, 0], []])).toEqual([0, 0]);
    expect(served([[], []])).toEqual([]);
  });

  it("breaks ties for the first domain", () => {
    expect(
      served([
        [2, 2],
        [2, 2],
      ]),
    ).toEqual([0, 1, 0, 1]);
  });
});
