/** Reading ahead: a range comes whole and in order in bounded memory, with the next bytes on their way. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { parquetWriteBuffer } from "hyparquet-writer";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { inspectShard, readUnit } from "../../src/formats/read.ts";
import { ByteWindows, WINDOW_BYTES } from "../../src/formats/windows.ts";
import { Rng } from "../../src/lib/rng.ts";
import type { RandomAccessFile } from "../../src/storage/storage.ts";
import { rowsOf, withFile } from "./reading.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "doremi-windows-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const rng = new Rng(5, "windows");
const noise = Uint8Array.from({ length: 6 * WINDOW_BYTES + 12_345 }, (_, i) => rng.uint32(i));

/** A file that says what was asked of it, and reads into the memory that it is given, as a file on disk does. */
function watched(bytes: Uint8Array) {
  const seen = { ranges: [] as [number, number][], open: 0, buffers: new Set<ArrayBufferLike>() };
  const file: RandomAccessFile = {
    uri: "noise",
    size: bytes.length,
    read: async (start, end, into) => {
      seen.ranges.push([start, end]);
      seen.open++;
      await new Promise((resolve) => setImmediate(resolve));
      seen.open--;
      const target = into && into.length >= end - start ? into.subarray(0, end - start) : new Uint8Array(end - start);
      target.set(bytes.subarray(start, end));
      seen.buffers.add(target.buffer);
      return target;
    },
    stream: () => {
      throw new Error("not used here");
    },
    close: async () => {},
  };
  return { file, seen };
}

describe("windows", () => {
  it("give the bytes of the range, whatever is asked for", async () => {
    const sizes = fc.array(fc.oneof(fc.nat(300_000), fc.nat(5 * WINDOW_BYTES)), { minLength: 1, maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(
        sizes,
        fc.nat(100),
        fc.constantFrom("owned" as const, "lent" as const),
        async (asked, start, form) => {
          const end = noise.length - 7;
          const { file, seen } = watched(noise);
          const windows = new ByteWindows(file, start, end, form);
          let at = start;
          const kept: [Uint8Array, number][] = [];
          for (const size of asked) {
            expect(windows.position).toBe(at);
            const bytes = await windows.peek(size);
            expect(bytes.length).toBe(Math.min(size, end - at));
            expect(Buffer.compare(bytes, noise.subarray(at, at + bytes.length))).toBe(0);
            if (form === "owned") kept.push([bytes, at]);
            windows.advance(bytes.length);
            at += bytes.length;
            expect(windows.remaining).toBe(end - at);
          }
          for (const [bytes, from] of kept) {
            expect(Buffer.compare(bytes, noise.subarray(from, from + bytes.length))).toBe(0);
          }
          await windows.close();
          expect(seen.open).toBe(0);
        },
      ),
      { numRuns: 60 },
    );
  });

  it("are read one ahead, each byte once, and lent ones into the same memory", async () => {
    const { file, seen } = watched(noise);
    const windows = new ByteWindows(file, 0, noise.length, "lent");
    while (windows.remaining > 0) {
      const position = windows.position;
      windows.advance((await windows.peek(1000)).length);
      const ahead = seen.ranges.reduce((most, [, end]) => Math.max(most, end), 0) - position;
      expect(ahead).toBeLessThanOrEqual(2 * WINDOW_BYTES + 1000);
      if (windows.remaining > WINDOW_BYTES) expect(ahead).toBeGreaterThan(WINDOW_BYTES);
    }
    expect(seen.ranges.map(([start]) => start)).toEqual([0, 1, 2, 3, 4, 5, 6].map((i) => i * WINDOW_BYTES));
    expect(seen.buffers.size).toBeLessThanOrEqual(3);
    await windows.close();
    const again = new ByteWindows(file, 0, WINDOW_BYTES, "lent");
    await again.peek(1);
    await again.close();
    expect(seen.buffers.size).toBeLessThanOrEqual(3);
  });

  it("never write into memory that the file keeps", async () => {
    const kept = noise.slice();
    const keeping: RandomAccessFile = {
      uri: "kept",
      size: kept.length,
      read: async (start, end) => kept.subarray(start, end),
      stream: () => {
        throw new Error("not used here");
      },
      close: async () => {},
    };
    for (const { file } of [{ file: keeping }, watched(noise.map((byte) => byte ^ 1)), { file: keeping }]) {
      const windows = new ByteWindows(file, 0, file.size, "lent");
      while (windows.remaining > 0) windows.advance((await windows.peek(100_000)).length);
      await windows.close();
    }
    expect(Buffer.compare(kept, noise)).toBe(0);
  });
});

describe("a large row group", () => {
  // 300 documents of 40 kB in many pages: text that does not compress, so that the chunk is several windows long
  const documents = Array.from({ length: 300 }, (_, i) =>
    Buffer.from(noise.subarray(i * 20_000, i * 20_000 + 20_000)).toString("hex"),
  );

  async function written(): Promise<string> {
    const path = join(folder, "large.parquet");
    const buffer = parquetWriteBuffer({
      columnData: [{ name: "text", data: documents, type: "STRING", encoding: "PLAIN" }],
      rowGroupSize: documents.length,
      pageSize: 1 << 18,
      codec: "UNCOMPRESSED",
    });
    await writeFile(path, Buffer.from(buffer));
    return path;
  }

  it("is read page by page, and leaves nothing open where the consumer stops", async () => {
    const path = await written();
    await withFile(path, async (file) => {
      const layout = await inspectShard(file, { text: "text" });
      const unit = layout.units[0]!;
      expect(layout.units).toHaveLength(1);
      expect(unit.storedBytes).toBeGreaterThan(5 * WINDOW_BYTES);
      expect(unit.memoryBytes).toBeLessThan(40 << 20);
      const ends: number[] = [];
      let open = 0;
      const watching: RandomAccessFile = {
        uri: file.uri,
        size: file.size,
        read: async (start, end, into) => {
          ends.push(end);
          open++;
          return await file.read(start, end, into).finally(() => open--);
        },
        stream: (start, end) => file.stream(start, end),
        close: () => file.close(),
      };
      let row = 0;
      let text = 0;
      const first = ends.length;
      for await (const batch of readUnit(watching, layout, unit, { text: "text" }, {}, "lent")) {
        expect(batch.rowStart).toBe(row);
        for (const bytes of rowsOf(batch)) {
          expect(bytes!.toString()).toBe(documents[row++]);
          text += bytes!.length;
        }
        // What was asked for is at most the window in use, the one ahead and a page beyond what was handed over.
        expect(ends.at(-1)!).toBeLessThanOrEqual(text + 3 * WINDOW_BYTES);
      }
      expect(row).toBe(documents.length);
      expect(ends.length - first).toBeGreaterThan(5);
      for await (const batch of readUnit(watching, layout, unit, { text: "text" }, {}, "lent")) {
        expect(batch.rows).toBeGreaterThan(0);
        break;
      }
      expect(open).toBe(0);
    });
  });
});
