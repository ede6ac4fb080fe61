/** Columns by path, extra columns of any type, domains from folders, and what errors say. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Float64, Int32, RecordBatchStreamWriter, Table, tableToIPC, Utf8, vectorFromArray } from "apache-arrow";
import { parquetWriteBuffer } from "hyparquet-writer";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findPath } from "../../src/formats/columns.ts";
import { readShard } from "../../src/formats/read.ts";
import { LocalStorage } from "../../src/storage/local.ts";
import { expandPattern } from "../../src/storage/pattern.ts";
import { readAll, withFile } from "./reading.ts";

const files = "test/files/formats";
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "doremi-columns-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe("paths", () => {
  const leaf = (name: string) => ({ name, children: [] as { name: string; children: never[] }[] });
  const fields = [
    { name: "meta", children: [leaf("set"), leaf("a.b")] },
    { name: "meta.set", children: [] },
    { name: "x.y", children: [leaf("z")] },
  ];

  it.each([
    ["meta.set", ["meta.set"]],
    ["meta.a.b", ["meta", "a.b"]],
    ["x.y.z", ["x.y", "z"]],
    ["meta", ["meta"]],
    ["meta.none", undefined],
    ["none", undefined],
  ])("%s", (path, expected) => {
    expect(findPath(fields, path)?.map(({ name }) => name)).toEqual(expected);
  });

  it("an error lists the columns and names the nearest", async () => {
    await expect(readAll(join(files, "pq-text-case.parquet"), { text: "text" })).rejects.toThrow(
      /pq-text-case\.parquet: must have a column text; its columns are ID, Text; did you mean “Text”\?/,
    );
    await expect(
      readAll(join(files, "ar-struct-domain.arrow"), { text: "text", domain: "meta.pile_set" }),
    ).rejects.toThrow(/meta\.pile_set_name/);
    await expect(readAll(join(files, "jl-pile.jsonl.zst"), { text: "txt" })).rejects.toThrow(
      /line 1: must have txt; .*“text”/,
    );
  });

  it("an error says what a column is", async () => {
    await expect(readAll(join(files, "pq-list-text.parquet"), { text: "text" })).rejects.toThrow(
      /column text .* a list of STRING/,
    );
    await expect(readAll(join(files, "pq-int-text.parquet"), { text: "text" })).rejects.toThrow(/column text .* INT64/);
    await expect(readAll(join(files, "ar-list-text.arrow"), { text: "text" })).rejects.toThrow(
      /column text .* a list of Utf8/,
    );
    await expect(readAll(join(files, "ar-struct-domain.arrow"), { text: "meta" })).rejects.toThrow(
      /a struct \(of pile_set_name/,
    );
  });
});

describe("extra columns", () => {
  const texts = ["a", "b", "c", "d", "e"];
  const scores = [0.5, null, 2.5, 3.5, 4.5];
  const wanted = { text: "text", domain: "domain", extra: ["score", "n"] };

  async function extras(path: string) {
    return await withFile(path, async (file) => {
      const score: unknown[] = [];
      const n: unknown[] = [];
      for await (const batch of readShard(file, wanted, { batchBytes: 2 })) {
        expect(batch.extra!.get("score")).toHaveLength(batch.rows);
        score.push(...Array.from(batch.extra!.get("score")!));
        n.push(...Array.from(batch.extra!.get("n")!));
      }
      return { score, n: n.map(Number) };
    });
  }

  it("from Parquet", async () => {
    const path = join(folder, "extra.parquet");
    const buffer = parquetWriteBuffer({
      columnData: [
        { name: "text", data: texts, type: "STRING" },
        { name: "domain", data: texts, type: "STRING" },
        { name: "score", data: scores, type: "DOUBLE" },
        { name: "n", data: [1, 2, 3, 4, 5], type: "INT32" },
      ],
      rowGroupSize: 2,
    });
    await writeFile(path, Buffer.from(buffer));
    expect(await extras(path)).toEqual({ score: scores, n: [1, 2, 3, 4, 5] });
  });

  it.each(["file", "stream"] as const)("from an Arrow %s", async (kind) => {
    const path = join(folder, `extra-${kind}.arrow`);
    const table = new Table({
      text: vectorFromArray(texts, new Utf8()),
      domain: vectorFromArray(["x", "y", "x", "y", "x"]),
      score: vectorFromArray(scores, new Float64()),
      n: vectorFromArray([1, 2, 3, 4, 5], new Int32()),
    });
    await writeFile(path, tableToIPC(table, kind));
    expect(await extras(path)).toEqual({ score: scores, n: [1, 2, 3, 4, 5] });
  });

  it("a dictionary as an extra column", async () => {
    const path = join(folder, "dictionary.arrows");
    const table = new Table({
      text: vectorFromArray(texts, new Utf8()),
      kind: vectorFromArray(["x", "y", "x", "y", "x"]),
    });
    await writeFile(path, RecordBatchStreamWriter.writeAll(table).toUint8Array(true));
    await withFile(path, async (file) => {
      for await (const batch of readShard(file, { text: "text", extra: ["kind"] })) {
        expect(Array.from(batch.extra!.get("kind")!)).toEqual(["x", "y", "x", "y", "x"]);
      }
    });
  });

  it("from JSON Lines", async () => {
    const path = join(folder, "extra.jsonl");
    const lines = texts.map((text, i) => JSON.stringify({ text, domain: text, score: scores[i], n: i + 1 }));
    await writeFile(path, lines.join("\n"));
    expect(await extras(path)).toEqual({ score: scores, n: [1, 2, 3, 4, 5] });
  });
});

describe("null domains", () => {
  it("in JSON Lines: null, or an object that is null", async () => {
    const path = join(folder, "nulls.jsonl");
    await writeFile(
      path,
      '{"text":"a","meta":null}\n{"text":"b","meta":{"set":null}}\n{"text":"c","meta":{"set":"x"}}\n',
    );
    expect((await readAll(path, { text: "text", domain: "meta.set" })).domains).toEqual([null, null, "x"]);
  });
});

describe("domains from folders", () => {
  it("of a hive-partitioned data set", async () => {
    const found = await expandPattern(new LocalStorage(), join(files, "hive/domain={domain}/*"));
    const rows = await Promise.all(
      found.map(async ({ path, domain }) => [domain, (await readAll(path, { text: "text" })).rows.length]),
    );
    expect(rows).toEqual([
      ["C Source/Python", 7],
      [null, 13],
      ["books", 8],
      ["web", 12],
    ]);
  });
});
