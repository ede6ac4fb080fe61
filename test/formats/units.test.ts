/** Units read alone, in any order, from plain data give what the shard gives in order; and what is read is what was planned. */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { jsonlLayout, readStretch } from "../../src/formats/jsonl/read.ts";
import { inspectShard, readShard, readUnit } from "../../src/formats/read.ts";
import type { TextBatch } from "../../src/formats/shard.ts";
import { DEFAULT_LIMITS } from "../../src/formats/shard.ts";
import type { RandomAccessFile } from "../../src/storage/storage.ts";
import { domainsOf, readAll, rowsOf, withFile } from "./reading.ts";

const files = "test/files/formats";
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "doremi-units-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Which ranges are read. */
function watched(file: RandomAccessFile) {
  const ranges: [number, number][] = [];
  const watching: RandomAccessFile = {
    uri: file.uri,
    size: file.size,
    read: (start, end) => {
      ranges.push([start, end]);
      return file.read(start, end);
    },
    stream: (start, end) => file.stream(start, end),
    close: () => file.close(),
  };
  return { watching, ranges };
}

describe("units", () => {
  it.each([
    "pq-polars-zstd.parquet",
    "pq-zero-row-group.parquet",
    "ar-file-lz4_frame.arrow",
    "ar-dictionary-delta.arrow",
    "ar-dictionary-replacement.arrows",
    "ar-struct-dictionary-domain.arrows",
  ])("%s: any order gives the same rows", async (name) => {
    const path = join(files, name);
    const { domain_column: domain } = JSON.parse(await readFile(`${path}.expected.json`, "utf8"));
    const columns = { text: "text", ...(domain && { domain }) };
    const whole = await readAll(path, columns);
    expect(whole.layout.units.length).toBeGreaterThan(1);
    const parts = new Map<number, ReturnType<typeof rowsOf>>();
    for (const unit of [...whole.layout.units].reverse()) {
      await withFile(path, async (file) => {
        const rows: ReturnType<typeof rowsOf> = [];
        for await (const batch of readUnit(file, whole.layout, structuredClone(unit), columns))
          rows.push(...rowsOf(batch));
        expect(rows).toHaveLength(unit.rows!);
        parts.set(unit.index, rows);
      });
    }
    expect(whole.layout.units.flatMap(({ index }) => parts.get(index)!)).toEqual(whole.rows);
  });

  it("reads exactly the chunks of the selected columns from Parquet", async () => {
    const path = join(files, "pq-struct-domain-null.parquet");
    for (const columns of [{ text: "text" }, { text: "text", domain: "meta.pile_set_name" }]) {
      await withFile(path, async (file) => {
        const layout = await inspectShard(file, columns);
        for (const unit of layout.units) {
          const { watching, ranges } = watched(file);
          for await (const _ of readUnit(watching, layout, unit, columns));
          expect(ranges).toHaveLength(Object.keys(columns).length);
          expect(ranges.reduce((sum, [start, end]) => sum + end - start, 0)).toBe(unit.storedBytes);
        }
      });
    }
  });

  it("plans from the footer alone", async () => {
    await withFile(join(files, "pq-polars-zstd.parquet"), async (file) => {
      const { watching, ranges } = watched(file);
      await inspectShard(watching, { text: "text" });
      const footer = ranges.at(-1)!;
      expect(ranges.every(([start]) => start === 0 || start >= footer[0])).toBe(true);
    });
  });

  it("batches have about the wanted size and consecutive rows", async () => {
    const columns = { text: "text", domain: "domain" };
    await withFile(join(files, "pq-polars-zstd.parquet"), async (file) => {
      const batches: (TextBatch & { shardRowStart: number })[] = [];
      for await (const batch of readShard(file, columns, { batchBytes: 1000 })) batches.push(batch);
      expect(batches.length).toBeGreaterThan(5);
      let row = 0;
      for (const batch of batches) {
        expect(batch.shardRowStart).toBe(row);
        expect(batch.domain!.indices).toHaveLength(batch.rows);
        if (batch.rows > 1) expect(batch.bytes.length).toBeLessThanOrEqual(1000);
        row += batch.rows;
      }
      const whole = await readAll(file.uri, columns);
      expect(batches.flatMap(rowsOf)).toEqual(whole.rows);
      expect(batches.flatMap(domainsOf)).toEqual(whole.domains);
    });
  });
});

describe("stretches of JSON Lines", () => {
  const lines = Array.from({ length: 60 }, (_, i) =>
    JSON.stringify({ text: "ä".repeat(i % 7) + i, domain: `d${i % 3}` }),
  );

  it.each([1, 7, 40, 41, 100, 10_000])("of %d bytes give the same rows as the whole", async (stretchBytes) => {
    const path = join(folder, `stretch-${stretchBytes}.jsonl`);
    await writeFile(path, `${lines.join("\n")}\n`);
    await withFile(path, async (file) => {
      const layout = jsonlLayout(file.size, "none", DEFAULT_LIMITS, stretchBytes);
      const texts: string[] = [];
      for (const unit of layout.units) {
        for await (const batch of readStretch(file, unit, { text: "text" }, DEFAULT_LIMITS, "owned"))
          texts.push(...rowsOf(batch).map(String));
      }
      expect(texts).toEqual(lines.map((line) => JSON.parse(line).text));
    });
  });

  it("names the line within the file", async () => {
    const path = join(folder, "broken.jsonl");
    await writeFile(path, [...lines.slice(0, 50), "{broken", ...lines.slice(50)].join("\n"));
    await withFile(path, async (file) => {
      const units = jsonlLayout(file.size, "none", DEFAULT_LIMITS, 100).units;
      const errors: unknown[] = [];
      for (const unit of units) {
        try {
          for await (const _ of readStretch(file, unit, { text: "text" }, DEFAULT_LIMITS, "owned"));
        } catch (error) {
          errors.push(error);
        }
      }
      expect(errors).toEqual([expect.objectContaining({ code: "bad-json", line: 51, file: path })]);
    });
  });
});
