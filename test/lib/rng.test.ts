import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Permutation, philox, Rng } from "../../src/lib/rng.ts";

describe("Philox4x32-10", () => {
  // known-answer vectors of Random123 (kat_vectors): counter, key, result
  it.each([
    ["zeros", [0, 0, 0, 0], [0, 0], [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]],
    [
      "ones",
      [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff],
      [0xffffffff, 0xffffffff],
      [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
    ],
    [
      "digits of pi",
      [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
      [0xa4093822, 0x299f31d0],
      [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
    ],
  ])("known answer: %s", (_, counter, key, expected) => {
    const out = new Uint32Array(4);
    philox(out, counter[0]!, counter[1]!, counter[2]!, counter[3]!, key[0]!, key[1]!);
    expect([...out]).toEqual(expected);
  });
});

describe("streams", () => {
  it("are functions of seed, name and index, in any order of asking", () => {
    const rng = new Rng(7, "a");
    const forward = Array.from({ length: 50 }, (_, i) => rng.uniform(i));
    const again = new Rng(7, "a");
    for (let i = 49; i >= 0; i--) expect(again.uniform(i)).toBe(forward[i]);
    expect(new Rng(7, "b").uniform(0)).not.toBe(forward[0]);
    expect(new Rng(8, "a").uniform(0)).not.toBe(forward[0]);
    expect(new Rng(7, "a").fork("b").uniform(0)).toBe(new Rng(7, "a/b").uniform(0));
  });

  it("tell indices apart above 2^32", () => {
    const rng = new Rng(1, "far");
    expect(rng.uint32(5)).not.toBe(rng.uint32(5 + 2 ** 32));
  });

  it("are uniform: mean, variance and a chi-square over 64 cells", () => {
    const n = 50_000;
    const rng = new Rng(3, "uniform");
    const cells = new Float64Array(64);
    let sum = 0;
    let squares = 0;
    for (let i = 0; i < n; i++) {
      const u = rng.uniform(i);
      expect(u >= 0 && u < 1).toBe(true);
      sum += u;
      squares += (u - 0.5) ** 2;
      cells[Math.floor(u * 64)]! += 1;
    }
    expect(Math.abs(sum / n - 0.5)).toBeLessThan(5 / Math.sqrt(12 * n)); // 5 standard errors
    expect(Math.abs(squares / n - 1 / 12)).toBeLessThan(0.002);
    const chi = cells.reduce((total, seen) => total + (seen - n / 64) ** 2 / (n / 64), 0);
    expect(chi).toBeLessThan(126); // 63 degrees of freedom: p = 4e-6
  });

  it("normals have mean 0 and variance 1, and are finite", () => {
    const n = 40_000;
    const out = new Float64Array(n);
    const rng = new Rng(4, "normal");
    for (let i = 0; i < n; i += 2) rng.normalPair(i / 2, out, i);
    expect(out.every(Number.isFinite)).toBe(true);
    const mean = out.reduce((a, b) => a + b, 0) / n;
    const variance = out.reduce((a, b) => a + (b - mean) ** 2, 0) / n;
    expect(Math.abs(mean)).toBeLessThan(5 / Math.sqrt(n));
    expect(Math.abs(variance - 1)).toBeLessThan(5 * Math.sqrt(2 / n));
  });

  it("categorical draws follow the weights and never give a weight of 0", () => {
    const rng = new Rng(5, "categorical");
    const weights = [0, 1, 0, 3, 0];
    const seen = new Float64Array(5);
    for (let i = 0; i < 20_000; i++) seen[rng.categorical(weights, i)]! += 1;
    expect([seen[0], seen[2], seen[4]]).toEqual([0, 0, 0]);
    expect(seen[3]! / 20_000).toBeCloseTo(0.75, 1);
  });
});

describe("permutations", () => {
  it("are bijections of every size", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 600 }), fc.nat(), (size, seed) => {
        const order = new Rng(seed, "p").permutation(size);
        const seen = new Uint8Array(size);
        for (let i = 0; i < size; i++) seen[order.at(i)]! += 1;
        expect(seen.every((times) => times === 1)).toBe(true);
      }),
    );
  });

  it.each([1, 2, 3, 255, 256, 257, 65_537])("of size %i", (size) => {
    const order = new Rng(11, "p").permutation(size);
    expect(new Set(Array.from({ length: size }, (_, i) => order.at(i))).size).toBe(size);
  });

  it("reach every place about equally often, also for tiny sizes", () => {
    // first element over 4000 seeds; 5 standard deviations of a binomial
    for (const size of [2, 3, 5, 10]) {
      const seen = new Float64Array(size);
      for (let seed = 0; seed < 4000; seed++) seen[new Rng(seed, "p").permutation(size).at(0)]! += 1;
      const expected = 4000 / size;
      for (const times of seen) expect(Math.abs(times - expected)).toBeLessThan(5 * Math.sqrt(expected));
    }
  });

  it("stay in range near 2^52, and different indices give different images", () => {
    const size = 2 ** 52 - 7;
    const order = new Permutation(size, 1, 2);
    const images = [0, 1, 2, 2 ** 32, 2 ** 40 + 1, size - 1].map((index) => order.at(index));
    expect(new Set(images).size).toBe(images.length);
    for (const image of images) expect(Number.isSafeInteger(image) && image >= 0 && image < size).toBe(true);
  });

  it("have room for sizes that a logarithm rounds down", () => {
    const order = new Rng(11, "p").permutation(2 ** 50 + 1);
    expect(order.at(2 ** 50)).not.toBe(order.at(0));
  });

  it("refuse an index outside", () => {
    const order = new Rng(1, "p").permutation(3);
    for (const index of [-1, 3, Number.NaN]) expect(() => order.at(index)).toThrow(RangeError);
    expect(() => new Rng(1, "p").permutation(0).at(0)).toThrow(RangeError);
  });
});
