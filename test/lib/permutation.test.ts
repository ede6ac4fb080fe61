import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FeistelPermutation } from "../../src/lib/permutation.ts";

const pinned: { seed: number; name: string; size: number; indices: number[]; images: number[] }[] = JSON.parse(
  readFileSync(new URL("../files/permutation/images.json", import.meta.url), "utf8"),
);

describe("the permutation of selections", () => {
  it("are bijections of every size up to 700, and go back", () => {
    for (let size = 1; size <= 700; size++) {
      const order = new FeistelPermutation(size, size * 31, "p");
      const seen = new Uint8Array(size);
      let wrong = 0;
      for (let i = 0; i < size; i++) {
        const image = order.at(i);
        seen[image]! += 1;
        if (order.indexOf(image) !== i) wrong += 1;
      }
      expect({ size, wrong, missed: seen.indexOf(0) }).toEqual({ size, wrong: 0, missed: -1 });
    }
  });

  // around squares and products of neighbours, where the sides of the network change
  it.each([65_535, 65_536, 65_537, 65_792, 65_793, 100_003])("is one of %i things", (size) => {
    const order = new FeistelPermutation(size, 11, "p");
    const seen = new Uint8Array(size);
    for (let i = 0; i < size; i++) seen[order.at(i)]! += 1;
    expect(seen.indexOf(0)).toBe(-1);
  });

  it("go back at any size: indexOf undoes at", () => {
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
      const indices = [0, 1, size - 1, Math.floor(size / 2), Math.floor(size / 2) + Math.ceil(Math.sqrt(size))];
      const chosen = [
        [0, 1],
        [0, 2],
        [3, 4],
      ] as const; // of these
      const pairs = chosen.map(() => new Float64Array(CELLS * CELLS));
      const rounds = 12_000;
      for (let key = 0; key < rounds; key++) {
        const order = new FeistelPermutation(size, key, "123");
        const cells = indices.map((index) => cell(order.at(index)));
        for (const [p, [i, j]] of chosen.entries()) pairs[p]![cells[i]! * CELLS + cells[j]!]! += 1;
      }
      for (const found of pairs) {
        let chi = 0;
        for (let a = 0; a < CELLS; a++) {
          for (let b = 0; b < CELLS; b++) {
            const expected = (rounds * sizes[a]! * (sizes[b]! - (a === b ? 1 : 0))) / size / (size - 1);
            chi += (found[a * CELLS + b]! - expected) ** 2 / expected;
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

  it.each([300, 1009, 4096])("of %i things have the inversions and cycles of uniform ones", (size) => {
    // Mean and variance of inversions: n(n−1)/4, n(n−1)(2n+5)/72 (Knuth 5.1.1); of cycles: H_n, H_n − H_n⁽²⁾ (1.2.10).
    const keys = Math.ceil(100_000 / size) + 40;
    let inversions = 0;
    let cycles = 0;
    for (let key = 0; key < keys; key++) {
      const order = new FeistelPermutation(size, key, "knuth");
      const images = Int32Array.from({ length: size }, (_, i) => order.at(i));
      inversions += inversionsOf(images);
      cycles += cyclesOf(images);
    }
    const harmonic = (power: number) =>
      Array.from({ length: size }, (_, i) => (i + 1) ** -power).reduce((a, b) => a + b);
    const deviations = (sum: number, mean: number, variance: number) =>
      Math.abs(sum - keys * mean) / Math.sqrt(keys * variance);
    const pairs = size * (size - 1);
    expect(deviations(inversions, pairs / 4, (pairs * (2 * size + 5)) / 72)).toBeLessThan(5); // p = 6e-7
    expect(deviations(cycles, harmonic(1), harmonic(1) - harmonic(2))).toBeLessThan(5);
  });

  it.each([
    ["two epochs", "select/books/0", "select/books/1"],
    ["two domains", "select/books/0", "select/web/0"],
    ["choice and shuffle", "select/books/0", "shuffle/books/0"],
  ])("are independent: %s", (_, one, other) => {
    const size = 99_856; // cells of 316 × 316
    const [a, b] = [one, other].map((stream) => new FeistelPermutation(size, 1, stream)) as [
      FeistelPermutation,
      FeistelPermutation,
    ];
    // Where a thing comes in the one says nothing of where it comes in the other.
    const cells = new Float64Array(16 * 16);
    let same = 0;
    let products = 0;
    for (let i = 0; i < size; i++) {
      const [x, y] = [a.indexOf(i), b.indexOf(i)];
      cells[16 * Math.floor((x / size) * 16) + Math.floor((y / size) * 16)]! += 1;
      if (x === y) same += 1;
      products += (x - (size - 1) / 2) * (y - (size - 1) / 2);
    }
    expect(chiSquare(cells)).toBeLessThan(bound(15 * 15 + 1)); // margins are fixed
    expect(same).toBeLessThan(12); // Poisson(1): p = 8e-10
    // Spearman's coefficient: mean 0, variance 1 ÷ (n − 1)
    const spearman = products / ((size * (size ** 2 - 1)) / 12);
    expect(Math.abs(spearman) * Math.sqrt(size - 1)).toBeLessThan(5); // p = 6e-7
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

/** Pairs that stand the wrong way round, by merging. */
function inversionsOf(values: Int32Array): number {
  if (values.length < 2) return 0;
  const [left, right] = [values.slice(0, values.length >> 1), values.slice(values.length >> 1)];
  let found = inversionsOf(left) + inversionsOf(right);
  left.sort();
  right.sort();
  let behind = 0;
  for (const value of left) {
    while (behind < right.length && right[behind]! < value) behind += 1;
    found += behind;
  }
  return found;
}

function cyclesOf(images: Int32Array): number {
  const seen = new Uint8Array(images.length);
  let cycles = 0;
  for (let start = 0; start < images.length; start++) {
    if (seen[start] === 1) continue;
    cycles += 1;
    for (let at = start; seen[at] === 0; at = images[at]!) seen[at] = 1;
  }
  return cycles;
}
