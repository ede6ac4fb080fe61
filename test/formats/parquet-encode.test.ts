import fc from "fast-check";
import { deltaBinaryUnpack } from "hyparquet/src/delta.js";
import { describe, expect, it } from "vitest";
import { BitWriter } from "../../src/formats/parquet/bit-writer.ts";
import { encodeDelta, encodeIndices } from "../../src/formats/parquet/encode.ts";
import { decodeHybrid } from "../../src/formats/parquet/hybrid.ts";

/** By hyparquet's decoder. */
function undelta(bytes: Uint8Array, count: number): number[] {
  const output = new BigInt64Array(count);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  deltaBinaryUnpack({ view, offset: 0 }, count, output);
  return Array.from(output, Number);
}

describe("DELTA_BINARY_PACKED", () => {
  const value = fc.oneof(
    fc.integer({ min: 0, max: 9 }),
    fc.integer({ min: 0, max: 2 ** 31 - 1 }),
    fc.integer({ min: 0, max: 2 ** 52 - 1 }),
    fc.constant(0),
    fc.constant(2 ** 52 - 1),
  );

  it("gives back what went in, of any length and width", () => {
    fc.assert(
      fc.property(fc.array(value, { maxLength: 600 }), (values) => {
        const into = new BitWriter(16);
        encodeDelta(Float64Array.from(values), into);
        if (values.length > 0) expect(undelta(into.bytes, values.length)).toEqual(values);
      }),
      { numRuns: 300 },
    );
  });

  it.each([0, 1, 2, 8, 31, 32, 33, 40, 51])("packs %i bits", (bits) => {
    const values = Float64Array.from({ length: 300 }, (_, i) =>
      i % 3 === 0 ? 2 ** bits - 1 : i % 2 ? 0 : 2 ** (bits / 2),
    ).map(Math.floor);
    const into = new BitWriter();
    encodeDelta(values, into);
    expect(undelta(into.bytes, 300)).toEqual([...values]);
  });

  it("takes a few bytes for a hundred equal steps", () => {
    const into = new BitWriter();
    encodeDelta(
      Int32Array.from({ length: 1281 }, (_, i) => 7 * i),
      into,
    );
    expect(into.size).toBeLessThan(10 * 6 + 8); // a block: its least and four widths
  });
});

describe("indices of a dictionary", () => {
  it("come back from repeats and packed values in any mixture", () => {
    const run = fc.record({ value: fc.nat(1000), times: fc.oneof(fc.constant(1), fc.nat(40)) });
    fc.assert(
      fc.property(fc.array(run, { maxLength: 60 }), (runs) => {
        const indices = Int32Array.from(runs.flatMap(({ value, times }) => new Array<number>(times).fill(value)));
        const size = indices.reduce((most, index) => Math.max(most, index), 0) + 1;
        const into = new BitWriter(16);
        encodeIndices(indices, size, into);
        const output = new Int32Array(indices.length);
        decodeHybrid(into.bytes.subarray(1), into.bytes[0]!, output);
        expect([...output]).toEqual([...indices]);
      }),
      { numRuns: 300 },
    );
  });

  it("take no bit each where the dictionary has one value, and few bytes for long repeats", () => {
    const into = new BitWriter();
    encodeIndices(new Int32Array(100_000), 1, into);
    expect(into.size).toBeLessThan(6);
    into.clear();
    encodeIndices(new Int32Array(100_000).fill(5, 50_000), 6, into);
    expect(into.size).toBeLessThan(12);
  });
});
