import { randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";
import { AHEAD_PIECES, ObjectFile, PIECE_BYTES, planPieces } from "../../src/storage/object-file.ts";

const KIB = 1 << 10;
const MIB = 1 << 20;

function fileOf(size: number) {
  const bytes = new Uint8Array(randomBytes(size));
  const fetched: [number, number][] = [];
  let inFlight = 0;
  const most = { inFlight: 0 };
  const file = new ObjectFile("s3://b/k", { size }, async (start, end) => {
    fetched.push([start, end]);
    most.inFlight = Math.max(most.inFlight, ++inFlight);
    await new Promise((next) => setImmediate(next));
    inFlight--;
    return bytes.slice(start, end);
  });
  return { bytes, fetched, file, most };
}

describe("the requests for some ranges", () => {
  it.each([
    [[[0, 10]], [[0, 10]]],
    [
      [
        [100 * KIB, 200 * KIB],
        [0, 10],
      ],
      [[0, 200 * KIB]],
    ], // in order, across a small gap
    [
      [
        [0, 10],
        [10 + 256 * KIB, 20 + 256 * KIB],
      ],
      [[0, 20 + 256 * KIB]],
    ],
    [
      [
        [0, 10],
        [11 + 256 * KIB, 20 + 256 * KIB],
      ],
      [
        [0, 10],
        [11 + 256 * KIB, 20 + 256 * KIB],
      ],
    ],
    [
      [
        [5, 5],
        [0, 4 * MIB + 1],
      ],
      [
        [0, 4 * MIB],
        [4 * MIB, 4 * MIB + 1],
      ],
    ],
  ])("%j", (ranges, pieces) => {
    const plan = planPieces(ranges.map(([start, end]) => ({ start: start!, end: end! })));
    expect(plan.map(({ start, end }) => [start, end])).toEqual(pieces);
  });
});

describe("an object as a file", () => {
  it("fetches its end once for a footer of unknown length, and what lies elsewhere as it is asked for", async () => {
    const { bytes, fetched, file } = fileOf(MIB);
    expect(await file.read(0, 512)).toEqual(bytes.slice(0, 512));
    expect(await file.read(MIB - 8, MIB + 100)).toEqual(bytes.slice(MIB - 8));
    expect(await file.read(MIB - 5000, MIB)).toEqual(bytes.slice(MIB - 5000));
    expect(fetched).toEqual([
      [0, 512],
      [MIB - 64 * KIB, MIB],
    ]);
  });

  it("fetches a small object once", async () => {
    const { bytes, fetched, file } = fileOf(1000);
    expect(await file.read(0, 4)).toEqual(bytes.slice(0, 4));
    expect(await file.read(996, 1000)).toEqual(bytes.slice(996));
    expect(fetched).toEqual([[0, 1000]]);
    expect(await file.read(1000, 1001)).toHaveLength(0);
  });

  it("fetches what is expected ahead of the reader, each byte once, few pieces at a time", async () => {
    const size = 33 * MIB;
    const { bytes, fetched, file, most } = fileOf(size);
    const [start, end] = [MIB, 30 * MIB + 7];
    file.expect([
      { start: 31 * MIB, end: 31 * MIB + 10 },
      { start, end },
    ]);
    expect(await file.read(31 * MIB, 31 * MIB + 10)).toEqual(bytes.slice(31 * MIB, 31 * MIB + 10));
    const into = new Uint8Array(MIB);
    for (let at = start; at < end; at += MIB) {
      const read = await file.read(at, Math.min(end, at + MIB), into);
      expect(Buffer.compare(read, bytes.subarray(at, Math.min(end, at + MIB)))).toBe(0);
      expect(read.buffer).toBe(into.buffer);
    }
    expect(most.inFlight).toBeLessThanOrEqual(AHEAD_PIECES + 1); // and the one that is read out of turn
    expect(fetched.reduce((sum, [from, to]) => sum + to - from, 0)).toBe(end - start + 10);
    expect(fetched).toHaveLength(Math.ceil((end - start) / PIECE_BYTES) + 1);
  });

  it("streams in pieces ahead of the reader, and little of what lies behind the likely end", async () => {
    const { bytes, fetched, file, most } = fileOf(20 * MIB);
    const stop = 9 * MIB;
    let at = MIB;
    for await (const chunk of file.stream(at, 20 * MIB, stop)) {
      expect(Buffer.compare(chunk, bytes.subarray(at, at + chunk.length))).toBe(0);
      at += chunk.length;
      if (at > stop) break;
    }
    expect(most.inFlight).toBe(2); // two pieces hold it
    expect(fetched.at(-1)).toEqual([stop, stop + 256 * KIB]);
    expect(fetched.reduce((sum, [from, to]) => sum + to - from, 0)).toBe(stop - MIB + 256 * KIB);
  });
});
