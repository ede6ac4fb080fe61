import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { shardDocuments } from "../../../src/stages/materialize/merge.ts";
import { BucketWriter, type Runs, readBucket } from "../../../src/stages/materialize/runs.ts";
import { type SpillFile, SpillWriter } from "../../../src/stages/materialize/spill.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "doremi-spill-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Content of the document at a position; some are empty, some longer than what is read or held at once. */
function contentOf(position: number, scale: number): Uint8Array {
  return new Uint8Array(((position * 7919) % 97) * scale).map((_, i) => (position + i) & 255);
}

describe("what is spilled", () => {
  it("comes back whole and in order, however it was spilled", () => {
    fc.assert(
      fc.property(
        fc.record({
          order: fc
            .integer({ min: 1, max: 120 })
            .chain((n) => fc.shuffledSubarray([...Array(n).keys()], { minLength: n })),
          files: fc.integer({ min: 1, max: 4 }),
          arenaBytes: fc.constantFrom(64, 1000, 1 << 16),
          shards: fc.integer({ min: 1, max: 9 }),
          scale: fc.constantFrom(1, 3, 211),
          memoryBytes: fc.constantFrom(1, 1 << 20),
        }),
        ({ order, files, arenaBytes, shards, scale, memoryBytes }) => {
          const boundaries = [
            ...new Set(Array.from({ length: shards }, (_, i) => Math.floor((i * order.length) / shards))),
          ];
          boundaries.push(order.length);
          const spills = Array.from({ length: files }, (_, f): SpillFile => {
            const file = { path: join(folder, `${f}.spill`), indexPath: join(folder, `${f}.index`) };
            const writer = new SpillWriter(file, Float64Array.from(boundaries), arenaBytes);
            for (const position of order.filter((_, i) => i % files === f)) {
              const content = contentOf(position, scale);
              const meta = {
                file: f,
                row: position * 2,
                domain: position % 3,
                epoch: position % 2,
                tokens: position + 5,
              };
              writer.add({ position, content, ...meta });
            }
            writer.finish();
            return { ...file, runs: writer.runs };
          });
          for (let shard = 0; shard < boundaries.length - 1; shard++) {
            let next = boundaries[shard]!;
            for (const document of shardDocuments(spills, shard, boundaries.length - 1, memoryBytes)) {
              expect({ ...document, content: [...document.content] }).toEqual({
                position: next - boundaries[shard]!,
                file: order.indexOf(next) % files,
                row: next * 2,
                domain: next % 3,
                epoch: next % 2,
                tokens: next + 5,
                content: [...contentOf(next, scale)],
              });
              next++;
            }
            expect(next).toBe(boundaries[shard + 1]);
          }
        },
      ),
      { numRuns: 12 },
    );
  });

  it("is missed where the file was cut", () => {
    const file = { path: join(folder, "a.spill"), indexPath: join(folder, "a.index") };
    const writer = new SpillWriter(file, Float64Array.of(0, 1), 64);
    writer.add({ position: 0, file: 0, row: 0, domain: 0, epoch: 0, tokens: 1, content: new Uint8Array(50) });
    writer.finish();
    rmSync(file.path);
    new SpillWriter({ ...file, indexPath: join(folder, "b.index") }, Float64Array.of(0, 1), 64).finish();
    expect(() => [...shardDocuments([{ ...file, runs: 1 }], 0, 1, 64)]).toThrow(/is shorter than when it was written/);
  });
});

describe("runs by bucket", () => {
  it("come back sorted by unit and row, with numbers that need more than 32 bits", () => {
    const count = 3000;
    const runs: Runs = {
      count,
      unit: Uint32Array.from({ length: count }, (_, i) => (i * 7) % 10),
      rowStart: Uint32Array.from({ length: count }, (_, i) => (i * 7919) % 4999),
      rows: new Uint32Array(count).fill(1),
      domain: Uint32Array.from({ length: count }, (_, i) => i % 3),
      epoch: Uint32Array.from({ length: count }, (_, i) => i % 5),
      tokens: Float64Array.from({ length: count }, (_, i) => i * 2 ** 31),
    };
    const bucketOf = (unit: number) => (unit < 4 ? 0 : 1);
    const sizes = [0, 1].map((bucket) => runs.unit.filter((unit) => bucketOf(unit) === bucket).length);
    const buckets = [
      { runStart: 0, runs: sizes[0]! },
      { runStart: sizes[0]!, runs: sizes[1]! },
    ];
    const writer = new BucketWriter(join(folder, "runs.bin"), buckets);
    for (let i = 0; i < count; i++) writer.add(bucketOf(runs.unit[i]!), runs, i, 2 ** 40 + i);
    writer.finish();
    for (const [b, bucket] of buckets.entries()) {
      const back = readBucket(join(folder, "runs.bin"), bucket);
      const expected = [...Array(count).keys()]
        .filter((i) => bucketOf(runs.unit[i]!) === b)
        .sort((i, j) => runs.unit[i]! - runs.unit[j]! || runs.rowStart[i]! - runs.rowStart[j]! || i - j);
      expect([...back.position]).toEqual(expected.map((i) => 2 ** 40 + i));
      for (const column of ["unit", "rowStart", "rows", "domain", "epoch", "tokens"] as const) {
        expect([...back[column]]).toEqual(expected.map((i) => runs[column][i]));
      }
    }
  });
});
