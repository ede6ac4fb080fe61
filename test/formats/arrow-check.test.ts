/** What passes the check of Arrow files of numbers, the Arrow library reads in the memory and time that the file's size is worth. */
import * as arrow from "apache-arrow";
import { describe, expect, it } from "vitest";
import { checkArrowNumbers } from "../../src/formats/arrow/check.ts";
import { DoremiError } from "../../src/lib/errors.ts";
import { MemoryFile } from "../../src/storage/memory-file.ts";

const check = (bytes: Uint8Array) => checkArrowNumbers(new MemoryFile("file.arrow", bytes));

function numbersFile(rows = 20): Buffer {
  const item = new arrow.Field("item", new arrow.Float64(), false);
  const fields = [
    new arrow.Field("step", new arrow.Int32(), false, new Map([["unit", "steps"]])),
    new arrow.Field("lists", new arrow.FixedSizeList(3, item), false),
    new arrow.Field("some", new arrow.List(item), true),
  ];
  const some = Array.from({ length: rows }, (_, row) => (row % 3 === 0 ? null : [row, row + 1]));
  const columns = [
    arrow.vectorFromArray(Int32Array.from({ length: rows }, (_, row) => row)).data[0]!,
    arrow.makeData({
      type: fields[1]!.type as arrow.FixedSizeList,
      length: rows,
      nullCount: 0,
      child: arrow.makeData({ type: new arrow.Float64(), length: 3 * rows, data: new Float64Array(3 * rows) }),
    }),
    arrow.vectorFromArray(some, fields[2]!.type).data[0]!,
  ];
  const schema = new arrow.Schema(fields, new Map([["doremi.domains", '["web"]']]));
  const batch = () =>
    new arrow.RecordBatch(
      schema,
      arrow.makeData({ type: new arrow.Struct(fields), length: rows, nullCount: 0, children: columns }),
    );
  return Buffer.from(arrow.tableToIPC(new arrow.Table(schema, [batch(), batch()]), "file"));
}

describe("the check of an Arrow file of numbers", () => {
  it("passes numbers and lists of them, with nulls and without, of any rows", async () => {
    for (const rows of [0, 1, 20]) await expect(check(numbersFile(rows))).resolves.toBeUndefined();
  });

  it("refuses what no file of ours is", async () => {
    const texts = arrow.tableToIPC(arrow.tableFromArrays({ text: ["a", "b"] }), "file");
    await expect(check(texts)).rejects.toMatchObject({ code: "bad-footer" }); // it has a dictionary
    const plain = new arrow.Table({ text: arrow.vectorFromArray(["a"], new arrow.Utf8()) });
    await expect(check(arrow.tableToIPC(plain, "file"))).rejects.toThrow(/column text must be of numbers/);
    await expect(check(new Uint8Array(10))).rejects.toMatchObject({ code: "bad-footer" });
  });

  it("passes nothing that the library needs more rows, keys or batches for than the file has bytes", async () => {
    const sound = numbersFile();
    const outcomes = { passed: 0, refused: 0 };
    for (const value of [0x7fff_ffff, 1_000_000, -1, 0, 3]) {
      for (let at = 0; at + 4 <= sound.length; at += 4) {
        const bytes = Buffer.from(sound);
        bytes.writeInt32LE(value, at);
        const fault = await check(bytes).then(
          () => undefined,
          (error: unknown) => error,
        );
        if (fault !== undefined) {
          expect(fault).toBeInstanceOf(DoremiError);
          expect(fault).toMatchObject({ kind: "bad-data" });
          outcomes.refused++;
          continue;
        }
        outcomes.passed++;
        let table: arrow.Table;
        try {
          table = arrow.tableFromIPC(bytes);
        } catch {
          continue; // it says so itself, and at once
        }
        expect(table.numRows).toBeLessThanOrEqual(sound.length);
        for (const { data } of table.batches)
          for (const { length, children } of data.children)
            for (const part of [length, ...children.flatMap((child) => child?.length ?? [])])
              expect(part).toBeLessThanOrEqual(sound.length);
      }
    }
    expect(outcomes.refused).toBeGreaterThan(500);
    expect(outcomes.passed).toBeGreaterThan(500);
  });
});
