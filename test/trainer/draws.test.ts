/** Laws of the draws: once an epoch, within blocks, and what is said of them before anything is read. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { BLOCK_SEQUENCES, Draws } from "../../src/trainer/draws.ts";

const B = 64;
const options = (sequences: readonly number[], seed = 3) => ({
  sequences,
  weights: sequences.map(() => 1),
  batchSize: B,
  sequenceLength: 8,
  seed,
});

/** Sequences of each domain in the order in which steps 1..steps draw them. */
function drawn(draws: Draws, domains: number, steps: number): number[][] {
  const all: number[][] = Array.from({ length: domains }, () => []);
  for (let step = 1; step <= steps; step++)
    for (const { domain, sequence } of draws.of(step)) all[domain]!.push(sequence);
  return all;
}

describe("draws", () => {
  test("stay within the block that a domain has reached, and have each of its sequences once", () => {
    const size = 2 * BLOCK_SEQUENCES + 100;
    const [order] = drawn(new Draws(options([size])), 1, Math.ceil((2 * size) / B));
    for (const epoch of [0, 1]) {
      for (let start = 0; start < size; start += BLOCK_SEQUENCES) {
        const end = Math.min(size, start + BLOCK_SEQUENCES);
        const block = order!.slice(epoch * size + start, epoch * size + end);
        expect([...block].sort((a, b) => a - b)).toEqual(Array.from({ length: end - start }, (_, i) => start + i));
        expect(block).not.toEqual([...block].sort((a, b) => a - b)); // shuffled
      }
    }
    expect(order!.slice(0, size)).not.toEqual(order!.slice(size, 2 * size)); // each epoch in an order of its own
  });

  test("use and reach what they say, whatever the sizes, steps and seed", () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 3000 })), {
          minLength: 1,
          maxLength: 3,
        }),
        fc.integer({ min: 1, max: 60 }),
        fc.nat(),
        (sizes, steps, seed) => {
          const draws = new Draws(options(sizes, seed));
          const order = drawn(draws, sizes.length, steps);
          const used = draws.used(steps);
          expect(used.draws).toBe(steps * B);
          expect(used.sequences.map((list) => [...list])).toEqual(
            order.map((list) => [...new Set(list)].sort((a, b) => a - b)),
          );
          for (const [domain, reach] of draws.reach(steps).entries()) {
            expect(Math.max(-1, ...order[domain]!)).toBeLessThan(reach);
            expect(reach).toBeLessThanOrEqual(sizes[domain]!);
            // No more than the block that the last draw lies in.
            expect(reach - order[domain]!.length).toBeLessThan(BLOCK_SEQUENCES);
          }
        },
      ),
      { numRuns: 40 },
    );
  });

  test("refuse a step before the first", () => {
    expect(() => new Draws(options([4])).of(0)).toThrow(/steps count from 1, found 0/);
  });
});
