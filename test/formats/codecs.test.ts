import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { lz4Block, lz4Frames } from "../../src/formats/codecs/lz4.ts";
import { xxh32 } from "../../src/formats/codecs/xxh32.ts";
import { loadZstd, zstdDecompress, zstdStream } from "../../src/formats/codecs/zstd.ts";
import { blocksOf } from "../../src/formats/jsonl/blocks.ts";
import { decompressed } from "../../src/formats/jsonl/decompress.ts";
import { decodeHybrid } from "../../src/formats/parquet/hybrid.ts";
import type { RandomAccessFile } from "../../src/storage/storage.ts";

const files = "test/files/formats";

async function* cut(bytes: Uint8Array, sizes: Iterable<number>): AsyncGenerator<Uint8Array> {
  let at = 0;
  for (const size of sizes) {
    if (at >= bytes.length) return;
    yield bytes.slice(at, at + size);
    at += size;
  }
  if (at < bytes.length) yield bytes.slice(at);
}

function* always(size: number): Generator<number> {
  for (;;) yield size;
}

async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return Buffer.concat(all);
}

/** A file that streams in the given pieces. */
function piecewise(bytes: Uint8Array, sizes: Iterable<number>): RandomAccessFile {
  return {
    uri: "pieces",
    size: bytes.length,
    read: async (start, end) => bytes.slice(start, end),
    stream: () => cut(bytes, sizes),
    close: async () => {},
  };
}

describe("xxh32", () => {
  // Vectors of the reference implementation, seed 0.
  it.each([
    ["", 0x02cc5d05],
    ["abc", 0x32d153ff],
    ["Nobody inspects the spammish repetition", 0xe2293b2f],
  ])("%j", (text, hash) => {
    expect(xxh32(Buffer.from(text))).toBe(hash);
  });
});

describe("lz4", () => {
  const block = Buffer.from([0x35, 0x61, 0x62, 0x63, 3, 0, 0x10, 0x21]); // abc, 9 bytes back 3, "!"

  it("decodes a block whose match overlaps itself", () => {
    expect(Buffer.from(lz4Block(block, 13)).toString()).toBe("abcabcabcabc!");
  });

  it("decodes literals and matches of every length and offset, and nothing beyond", () => {
    const length = fc.oneof(fc.nat(40), fc.nat(600));
    const sequence = fc.record({
      literals: length,
      offset: fc.oneof(fc.integer({ min: 1, max: 40 }), fc.nat(900)),
      match: length,
    });
    fc.assert(
      fc.property(fc.array(sequence, { minLength: 1, maxLength: 12 }), fc.nat(20), (sequences, last) => {
        const out: number[] = [];
        const bytes: number[] = [];
        const extra = (value: number) => {
          for (let rest = value - 15; rest >= 0; rest -= 255) bytes.push(Math.min(rest, 255));
        };
        const put = (count: number, match: number) => {
          bytes.push((Math.min(count, 15) << 4) | Math.min(match, 15));
          extra(count);
          for (let i = 0; i < count; i++) bytes.push((out.length * 7 + i) & 0xff);
          out.push(...bytes.slice(bytes.length - count));
        };
        for (const { literals, offset, match } of sequences) {
          put(Math.max(literals, out.length === 0 ? 1 : 0), match);
          const back = Math.max(1, Math.min(offset, out.length));
          bytes.push(back & 0xff, back >> 8);
          extra(match);
          for (let i = 0; i < match + 4; i++) out.push(out[out.length - back]!);
        }
        put(last, 0);
        const block = Uint8Array.from(bytes);
        expect(Buffer.compare(lz4Block(block, out.length), Uint8Array.from(out))).toBe(0);
        expect(() => lz4Block(block, out.length - 1)).toThrow("lz4");
        const cut = block.subarray(0, block.length - 1);
        if (last > 0) expect(() => lz4Block(cut, out.length)).toThrow("lz4");
      }),
      { numRuns: 500 },
    );
  });

  it.each([12, 14])("refuses a block that gives not %d bytes", (length) => {
    expect(() => lz4Block(block, length)).toThrow("lz4");
  });

  it("refuses an offset before the data", () => {
    expect(() => lz4Block(Buffer.from([0x15, 0x61, 2, 0, 0x10, 0x21]), 11)).toThrow("before the data");
  });

  it("checks a frame's content checksum", () => {
    const size = Buffer.alloc(4);
    size.writeUInt32LE(block.length);
    const sum = Buffer.alloc(4);
    sum.writeUInt32LE(xxh32(Buffer.from("abcabcabcabc!")));
    const frame = Buffer.concat([Buffer.from([4, 0x22, 0x4d, 0x18, 0x64, 0x40, 0]), size, block, Buffer.alloc(4), sum]);
    expect(Buffer.from(lz4Frames(frame, 13)).toString()).toBe("abcabcabcabc!");
    frame[frame.length - 1]! ^= 1;
    expect(() => lz4Frames(frame, 13)).toThrow("checksum");
  });
});

describe("zstd", () => {
  const many = readFileSync(join(files, "jl-zst-many-frames.jsonl.zst"));

  it.each([1, 7, 1000, 1 << 20])("streams frames in pieces of %d bytes", async (size) => {
    const whole = await collect(zstdStream(cut(many, always(1 << 20))));
    expect((await collect(zstdStream(cut(many, always(size))))).equals(whole)).toBe(true);
    expect(whole.at(-1)).toBe(10);
    await loadZstd();
    expect(Buffer.from(zstdDecompress(many, whole.length)).equals(whole)).toBe(true);
    expect(() => zstdDecompress(many, whole.length - 1)).toThrow("beyond the stated size");
    expect(() => zstdDecompress(many, whole.length + 1)).toThrow("must give");
  });

  it("says when the end is missing", async () => {
    await expect(collect(zstdStream(cut(many.subarray(0, many.length - 1), always(100))))).rejects.toThrow(
      "unexpected end",
    );
  });
});

describe("gzip", () => {
  const members = ["first\n", "", "second half", " of a line\n", "x".repeat(100_000)].map((text) => gzipSync(text));
  const whole = Buffer.concat(members);

  it.each([
    ["a member in each", members.map(({ length }) => length)],
    ["one byte in each", always(1)],
    ["7 bytes in each", always(7)],
    ["all in one", always(1 << 20)],
  ])("members in pieces, %s", async (_, sizes) => {
    const padded = Buffer.concat([whole, Buffer.alloc(600)]);
    const out = await collect(decompressed(piecewise(padded, sizes), "gzip"));
    expect(out.equals(gunzipSync(whole))).toBe(true);
  });

  it("ends the reading when the consumer stops", async () => {
    for await (const chunk of decompressed(piecewise(whole, always(10)), "gzip")) {
      expect(chunk.length).toBeGreaterThan(0);
      break;
    }
  });
});

describe("blocks of lines", () => {
  it("are whole lines, however the bytes are cut", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.string({ unit: fc.constantFrom("a", "ä", " ", "\r", "\u2028"), maxLength: 12 })),
        fc.boolean(),
        fc.array(fc.integer({ min: 1, max: 9 })),
        async (lines, ends, sizes) => {
          const bytes = Buffer.from(lines.join("\n") + (ends ? "\n" : ""));
          let position = 0;
          for await (const block of blocksOf(cut(bytes, sizes), 1000)) {
            expect(block.start).toBe(position);
            expect(block.bytes.equals(bytes.subarray(position, position + block.bytes.length))).toBe(true);
            position += block.bytes.length;
            expect(position === bytes.length || block.bytes.at(-1) === 10).toBe(true);
          }
          expect(position).toBe(bytes.length);
        },
      ),
    );
  });
});

describe("RLE / bit-packing hybrid", () => {
  it("gives back what was packed, at every width", () => {
    const run = fc.record({
      packed: fc.boolean(),
      values: fc.array(fc.nat(2 ** 32 - 1), { minLength: 1, maxLength: 40 }),
    });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 32 }), fc.array(run, { minLength: 1, maxLength: 6 }), (width, runs) => {
        const mask = width === 32 ? 0xffff_ffff : 2 ** width - 1;
        const bytes: number[] = [];
        const expected: number[] = [];
        for (const { packed, values } of runs) {
          const masked = values.map((value) => (value & mask) >>> 0);
          if (packed) {
            while (masked.length % 8 !== 0) masked.push(0);
            bytes.push(...varint(((masked.length / 8) << 1) | 1), ...pack(masked, width));
            expected.push(...masked);
          } else {
            bytes.push(...varint(masked.length << 1), ...pack([masked[0]!], Math.ceil(width / 8) * 8));
            expected.push(...masked.map(() => masked[0]!));
          }
        }
        const output = new Int32Array(expected.length);
        decodeHybrid(Uint8Array.from(bytes), width, output);
        expect([...new Uint32Array(output.buffer)]).toEqual(expected);
        expect(() => decodeHybrid(Uint8Array.from(bytes), width, new Int32Array(expected.length + 1))).toThrow(
          "end early",
        );
      }),
    );
  });
});

function varint(value: number): number[] {
  return value < 128 ? [value] : [(value & 127) | 128, ...varint(value >>> 7)];
}

function pack(values: readonly number[], width: number): number[] {
  const bits = values
    .map((value) => value.toString(2).padStart(width, "0").slice(-width))
    .reverse()
    .join("");
  const bytes: number[] = [];
  for (let end = bits.length; end > 0; end -= 8) bytes.push(Number.parseInt(bits.slice(Math.max(0, end - 8), end), 2));
  return bytes;
}
