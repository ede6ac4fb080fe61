import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parquetMetadataAsync, parquetReadObjects } from "hyparquet";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { SelectionRow } from "../../src/manifest/contract.ts";
import { checkManifest } from "../../src/manifest/schema.ts";
import { readSelection, writeSelection } from "../../src/manifest/selection-file.ts";
import { manifestJson } from "../../src/manifest/write.ts";
import { writeCorpus } from "./corpus.ts";
import { resample } from "./resample.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "doremi-write-"));
  await writeCorpus(join(folder, "corpus"));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

const bytesOf = (name: string) =>
  Promise.all(["manifest.json", "selection.parquet"].map((file) => readFile(join(folder, name, file))));

function* manyRows(count: number): Generator<SelectionRow> {
  for (let i = 0; i < count; i++) {
    yield {
      file: `shards/part-${Math.floor(i / 5000)}.parquet`,
      rowGroup: Math.floor((i % 5000) / 1000),
      rowStart: (i % 5000) * 3,
      rowEnd: (i % 5000) * 3 + 2,
      domain: i < count / 2 ? "bücher" : "code",
      epoch: i % 3,
      tokens: i % 97 === 0 ? 2 ** 40 + i : i,
    };
  }
}

describe("a resampled set", () => {
  it("has the same bytes for the same inputs and seed, and other rows for another seed", async () => {
    for (const [name, seed] of [
      ["a", 1],
      ["b", 1],
      ["c", 2],
    ] as const) {
      await resample(join(folder, "corpus"), join(folder, name), "../corpus", { seed });
    }
    const [a, b, c] = await Promise.all(["a", "b", "c"].map(bytesOf));
    expect(a![0]!.equals(b![0]!) && a![1]!.equals(b![1]!)).toBe(true);
    expect(a![1]!.equals(c![1]!)).toBe(false);
    expect((await readdir(join(folder, "a"))).sort()).toEqual(["manifest.json", "selection.parquet"]);
  });

  it("has a manifest with its keys in the contract's order, whatever the order in memory", async () => {
    const manifest = await resample(join(folder, "corpus"), join(folder, "a"), "../corpus");
    const text = (await bytesOf("a"))[0]!.toString("utf8");
    expect(text.startsWith('{\n  "format": "doremi-manifest",\n  "version": 1,\n  "generator"')).toBe(true);
    expect(text.endsWith("}\n")).toBe(true);
    const reversed = Object.fromEntries(Object.entries(manifest).reverse()) as unknown as typeof manifest;
    expect(manifestJson(reversed)).toBe(text);
    expect(Object.keys(manifest.domains[0]!).sort()).toEqual(Object.keys(JSON.parse(text).domains[0]).sort());
  });

  it("has totals that agree with each other", async () => {
    const manifest = await resample(join(folder, "corpus"), join(folder, "a"), "../corpus");
    expect(manifest.domains.reduce((sum, domain) => sum + domain.targetTokens, 0)).toBe(manifest.budgetTokens);
    expect(manifest.domains.reduce((sum, domain) => sum + domain.achievedTokens, 0)).toBe(manifest.achievedTokens);
    const unused = manifest.domains.find((domain) => domain.weight === 0)!;
    expect(unused).toMatchObject({ targetTokens: 0, achievedTokens: 0, selectedDocuments: 0, epochs: 0 });
  });

  it("is refused in memory when it cannot be a manifest", async () => {
    const manifest = await resample(join(folder, "corpus"), join(folder, "a"), "../corpus");
    expect(() => checkManifest({ ...manifest, achievedTokens: Number.NaN }, "m")).toThrow(
      /m: not a valid manifest: achievedTokens/,
    );
    expect(() => checkManifest({ ...manifest, domains: [] }, "m")).toThrow(/domains/);
  });
});

describe("selection.parquet", () => {
  it("keeps every row over several row groups, and is small", async () => {
    const path = join(folder, "s.parquet");
    const count = 600_000;
    const written = await writeSelection(path, manyRows(count));
    expect(written.rows).toBe(count);
    const expected = manyRows(count);
    let chunks = 0;
    for await (const chunk of readSelection(path)) {
      chunks += 1;
      expect(chunk.length).toBeLessThanOrEqual(262_144);
      for (const row of chunk) {
        const want = expected.next().value!;
        if (JSON.stringify(row) !== JSON.stringify(want)) expect(row).toEqual(want);
      }
    }
    expect(expected.next().done).toBe(true);
    expect(chunks).toBe(3);
    expect((await readFile(path)).length).toBeLessThan(count * 12);
  });

  it("is plain Parquet to another reader, strings as dictionaries", async () => {
    const path = join(folder, "s.parquet");
    await writeSelection(path, manyRows(1000));
    const bytes = await readFile(path);
    const file = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length) as ArrayBuffer;
    const metadata = await parquetMetadataAsync({
      byteLength: file.byteLength,
      slice: async (a, b) => file.slice(a, b),
    });
    const columns = metadata.row_groups[0]!.columns.map((column) => column.meta_data!);
    expect(columns.map((column) => column.path_in_schema.join("."))).toEqual([
      "file",
      "row_group",
      "row_start",
      "row_end",
      "domain",
      "epoch",
      "tokens",
    ]);
    expect(columns[4]!.encodings).toContain("RLE_DICTIONARY");
    const objects = await parquetReadObjects({ file, rowStart: 0, rowEnd: 1 });
    expect(objects[0]).toEqual({
      file: "shards/part-0.parquet",
      row_group: 0,
      row_start: 0n,
      row_end: 2n,
      domain: "bücher",
      epoch: 0,
      tokens: 2n ** 40n,
    });
  });

  it("may be empty", async () => {
    const path = join(folder, "s.parquet");
    expect((await writeSelection(path, [])).rows).toBe(0);
    for await (const chunk of readSelection(path)) expect(chunk).toEqual([]);
  });

  it("leaves nothing behind when the rows fail", async () => {
    const rows = function* () {
      yield* manyRows(270_000);
      throw new Error("out of rows");
    };
    await expect(writeSelection(join(folder, "x", "s.parquet"), rows())).rejects.toThrow("out of rows");
    expect(await readdir(join(folder, "x"))).toEqual([]);
  });
});
