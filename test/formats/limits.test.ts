/** Limits hold before memory is taken, and damage of any kind ends in one of our errors or in rows, never in anything else. */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { BatchLocator } from "../../src/formats/arrow/layout.ts";
import { readMessage } from "../../src/formats/arrow/message.ts";
import { inspectShard } from "../../src/formats/read.ts";
import { DEFAULT_LIMITS } from "../../src/formats/shard.ts";
import { DoremiError } from "../../src/lib/errors.ts";
import { Rng } from "../../src/lib/rng.ts";
import { readAll, withFile } from "./reading.ts";

const files = "test/files/formats";
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "doremi-limits-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe("limits", () => {
  it.each(["ar-file-lz4_frame.arrow", "ar-file-zstd.arrow"])("%s with a buffer that claims 1 TiB", async (name) => {
    const bytes = await readFile(join(files, name));
    await withFile(join(files, name), async (file) => {
      const layout = await inspectShard(file, { text: "text" });
      const { batch } = layout.units[1]!.locator as BatchLocator;
      const message = (await readMessage(file, batch.offset, {}, DEFAULT_LIMITS))!.message;
      if (message.kind !== "batch") throw new Error("not a batch");
      // The data buffers are the long ones; any of the text column's will do.
      const schemaFirst = message.batch.buffers.reduce((best, buffer) => (buffer.length > best.length ? buffer : best));
      bytes.writeBigInt64LE(1n << 40n, batch.offset + batch.headBytes + schemaFirst.offset);
    });
    const path = join(folder, name);
    await writeFile(path, bytes);
    await expect(readAll(path, { text: "text" })).rejects.toMatchObject({
      code: "buffer-too-large",
      file: path,
      rowGroup: 1,
    });
  });

  it("a Parquet page over maxPageBytes", async () => {
    const read = readAll(join(files, "pq-polars-zstd.parquet"), { text: "text" }, { maxPageBytes: 100 });
    await expect(read).rejects.toMatchObject({ code: "page-too-large", rowGroup: 0 });
  });

  it("the buffers of a record batch over maxBatchBytes, each of them within the limit of one", async () => {
    for (const name of ["ar-file-zstd.arrow", "ar-file-lz4_frame.arrow", "ar-utf8-view.arrow"]) {
      const { rows } = await readAll(join(files, name), { text: "text" });
      const texts = rows.reduce((sum, row) => sum + (row?.length ?? 0), 0);
      const read = readAll(join(files, name), { text: "text" }, { maxBatchBytes: Math.floor(texts / 4) });
      await expect(read).rejects.toMatchObject({ code: "batch-too-large", file: join(files, name), rowGroup: 0 });
    }
  });

  it("a line over maxLineBytes, plain and compressed", async () => {
    for (const name of ["jl-bom.jsonl", "jl-pile.jsonl.zst", "jl-gz-trailing-zeros.jsonl.gz"]) {
      const read = readAll(join(files, name), { text: "text" }, { maxLineBytes: 20 });
      await expect(read).rejects.toMatchObject({ code: "line-too-long", line: 1 });
    }
  });

  it("a row group or record batch over maxUnitRows", async () => {
    for (const name of ["pq-polars-zstd.parquet", "ar-file-zstd.arrow"]) {
      const read = readAll(join(files, name), { text: "text" }, { maxUnitRows: 15 });
      await expect(read).rejects.toMatchObject({ code: "too-many-rows", rowGroup: 0 });
    }
  });

  it("a footer over maxMetadataBytes", async () => {
    for (const name of ["pq-polars-zstd.parquet", "ar-file-zstd.arrow"]) {
      const read = readAll(join(files, name), { text: "text" }, { maxMetadataBytes: 16 });
      await expect(read).rejects.toMatchObject({ code: "bad-footer" });
    }
  });
});

describe("damage", () => {
  const names = [
    "pq-codec-zstd-two-frames.parquet",
    "pq-enc-dictionary-fallback.parquet",
    "pq-enc-delta_byte_array-v2.parquet",
    "pq-codec-snappy-v2.parquet",
    "pq-codec-lz4-hadoop-two-blocks.parquet",
    "pq-struct-domain-null.parquet",
    "ar-file-lz4_frame.arrow",
    "ar-dictionary-delta.arrow",
    "ar-utf8-view.arrow",
    "ar-legacy-v4-stream.arrows",
    "jl-gz-three-members-empty.jsonl.gz",
    "jl-zst-many-frames.jsonl.zst",
  ];
  // Few enough to be quick; every run tries the same ones.
  const ATTEMPTS = 60;

  it.each(names)("%s with bytes changed or cut off", async (name) => {
    const sound = await readFile(join(files, name));
    const path = join(folder, `damaged-${name}`);
    const rng = new Rng(17, name);
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      let bytes = Buffer.from(sound);
      for (let i = 0; i < 3; i++) {
        const draw = attempt * 8 + i * 2;
        bytes[rng.uint32(draw) % bytes.length] = rng.uint32(draw + 1) & 0xff;
      }
      if (attempt % 4 === 0) bytes = bytes.subarray(0, rng.uint32(attempt * 8 + 7) % bytes.length);
      await writeFile(path, bytes);
      // A damaged length may still be within the default limits; small ones keep the test's memory small.
      const outcome = await readAll(path, { text: "text" }, { maxPageBytes: 1 << 22 }).catch((error: unknown) => error);
      if (outcome instanceof Error) {
        expect(outcome, `attempt ${attempt}: ${outcome.stack}`).toBeInstanceOf(DoremiError);
        expect((outcome as DoremiError).message).toContain(path);
      }
    }
  });
});
