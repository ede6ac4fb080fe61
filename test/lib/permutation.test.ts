import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FeistelPermutation } from "../../src/lib/permutation.ts";

const pinned: { seed: number; name: string; size: number; indices: number[]; images: number[] }[] = JSON.parse(
  readFileSync(new URL("../files/permutation/images.json", import.meta.url), "utf8"),
);

describe("the permutation of selections", () => {
  it("are bijections of every size", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 600 }), fc.nat(), (size, seed) => {
        const order = new FeistelPermutation(size, seed, "p");
        const seen = new Uint8Array(size);
        for (let i = 0; i < size; i++) seen[order.at(i)]! += 1;
        expect(seen.every((times) => times === 1)).toBe(true);
      }),
    );
  });

  it.each([1, 2, 3, 255, 256, 257, 65_537])("of size %i", (size) => {
    const order = new FeistelPermutation(size, 11, "p");
    expect(new Set(Array.from({ length: size }, (_, i) => order.at(i))).size).toBe(size);
  });

  it("go back: indexOf undoes at", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 2 ** 52 }),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        fc.nat(),
        (size, share, seed) => {
          const order = new FeistelPermutation(size, seed, "p");
          const index = Math.floor(share * size);
          expect(order.indexOf(order.at(index))).toBe(index);
          expect(order.at(order.indexOf(index))).toBe(index);
        },
      ),
    );
    for (const size of [256, 257, 258, 1000]) {
      const order = new FeistelPermutation(size, 1, "p");
      for (let i = 0; i < size; i++) expect(order.indexOf(order.at(i))).toBe(i);
    }
  });

  // The bound of a chi-square is its mean and 6 standard deviations and 12, for the longer tail of few degrees of
  // freedom: p < 1e-6 for each test (1 degree: 3e-6), so all of them together fail a sound permutation 1 time in 1e5.
  const chiSquare = (cells: ArrayLike<number>) => {
    const seen = Array.from(cells);
    const expected = seen.reduce((a, b) => a + b, 0) / seen.length;
    return seen.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
  };
  const bound = (cells: number) => cells - 1 + 6 * Math.sqrt(2 * (cells - 1)) + 12;

  it.each([2, 3, 4, 5])("of %i things come in all orders, about equally often", (size) => {
    const orders = [1, 1, 2, 6, 24, 120][size]!;
    const seen = new Map<string, number>();
    for (let key = 0; key < 30_000; key++) {
      const order = new FeistelPermutation(size, key, "77");
      const text = Array.from({ length: size }, (_, i) => order.at(i)).join();
      seen.set(text, (seen.get(text) ?? 0) + 1);
    }
    expect(seen.size).toBe(orders);
    expect(chiSquare([...seen.values()])).toBeLessThan(bound(orders));
  });

  it.each([200, 257, 300, 1009, 65_536, 1_000_003, 3_000_000_019])(
    "of %i things send every index anywhere, pairs independently, over many keys",
    (size) => {
      const CELLS = 16;
      const cell = (value: number) => Math.floor((value / size) * CELLS);
      // all cells are of the same size only where 16 divides it: weigh by their true sizes
      const sizes = Array.from(
        { length: CELLS },
        (_, c) => Math.ceil(((c + 1) * size) / CELLS) - Math.ceil((c * size) / CELLS),
      );
      for (const [i, j] of [
        [0, 1],
        [0, size - 1],
        [Math.floor(size / 2), Math.floor(size / 2) + Math.ceil(Math.sqrt(size))],
      ] as const) {
        const pairs = new Float64Array(CELLS * CELLS);
        const rounds = 12_000;
        for (let key = 0; key < rounds; key++) {
          const order = new FeistelPermutation(size, key, "123");
          pairs[cell(order.at(i)) * CELLS + cell(order.at(j))]! += 1;
        }
        let chi = 0;
        for (let a = 0; a < CELLS; a++) {
          for (let b = 0; b < CELLS; b++) {
            const expected = (rounds * sizes[a]! * (sizes[b]! - (a === b ? 1 : 0))) / size / (size - 1);
            chi += (pairs[a * CELLS + b]! - expected) ** 2 / expected;
          }
        }
        expect(chi).toBeLessThan(bound(CELLS * CELLS));
      }
    },
  );

  it("have neighbours' images far apart, under one key", () => {
    // differences of images of neighbours, modulo the size, are uniform
    for (const size of [100_003, 2 ** 20]) {
      const order = new FeistelPermutation(size, 5, "p");
      const cells = new Float64Array(256);
      for (let i = 0; i + 1 < 100_000; i++) {
        const difference = (order.at(i + 1) - order.at(i) + size) % size;
        cells[Math.floor((difference / size) * 256)]! += 1;
      }
      expect(chiSquare(cells)).toBeLessThan(bound(256));
    }
  });

  it("take prefixes that are unbiased: every half of the range gives its share", () => {
    // The number of the first 1000 ranks that fall into the lower half is hypergeometric; mean and variance over keys.
    const size = 10_007;
    let sum = 0;
    let squares = 0;
    const keys = 600;
    const mean = (1000 * 5003) / size;
    const variance = ((mean * (size - 5003)) / size) * ((size - 1000) / (size - 1));
    for (let key = 0; key < keys; key++) {
      const order = new FeistelPermutation(size, key, "9");
      let below = 0;
      for (let rank = 0; rank < 1000; rank++) if (order.at(rank) < 5003) below += 1;
      sum += below - mean;
      squares += (below - mean) ** 2;
    }
    expect(Math.abs(sum / keys)).toBeLessThan(5 * Math.sqrt(variance / keys)); // p = 6e-7
    expect(Math.abs(squares / keys / variance - 1)).toBeLessThan(5 * Math.sqrt(2 / keys));
  });

  it("are what they were: others compute the ranks of a manifest from the description", () => {
    // by another implementation in exact integers, test/files/permutation/permutation.py
    for (const { seed, name, size, indices, images } of pinned) {
      const order = new FeistelPermutation(size, seed, name);
      expect({ size, images: indices.map((index) => order.at(index)) }).toEqual({ size, images });
    }
  });

  it("stay in range near 2^52, and different indices give different images", () => {
    const size = 2 ** 52 - 7;
    const order = new FeistelPermutation(size, 1, "p");
    const images = [0, 1, 2, 2 ** 32, 2 ** 40 + 1, size - 1].map((index) => order.at(index));
    expect(new Set(images).size).toBe(images.length);
    for (const image of images) expect(Number.isSafeInteger(image) && image >= 0 && image < size).toBe(true);
  });

  it("have room for sizes that a logarithm rounds down", () => {
    const order = new FeistelPermutation(2 ** 50 + 1, 11, "p");
    expect(order.at(2 ** 50)).not.toBe(order.at(0));
  });

  it("refuse an index outside", () => {
    const order = new FeistelPermutation(3, 1, "p");
    for (const index of [-1, 3, Number.NaN]) expect(() => order.at(index)).toThrow(RangeError);
    expect(() => new FeistelPermutation(0, 1, "p").at(0)).toThrow(RangeError);
  });
});
