/** Documents that are not UTF-8, or lines without a text: every format has them as the policy says, row for row. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as arrow from "apache-arrow";
import fc from "fast-check";
import { parquetWriteBuffer } from "hyparquet-writer";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { inspectShard, readUnit } from "../../src/formats/read.ts";
import type { BadDocument, BadDocumentPolicy, BatchForm } from "../../src/formats/shard.ts";
import { rowsOf, withFile } from "./reading.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "doremi-bad-documents-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

type Texts = readonly (Buffer | null)[];

/** A JSON string of any bytes. */
function jsonString(text: Buffer): Buffer {
  const parts = Array.from(text, (byte) => {
    if (byte < 0x20) return Buffer.from(`\\u00${byte.toString(16).padStart(2, "0")}`);
    return byte === 0x22 || byte === 0x5c ? Buffer.from([0x5c, byte]) : Buffer.from([byte]);
  });
  return Buffer.concat([Buffer.from('"'), ...parts, Buffer.from('"')]);
}

const WRITERS: Record<string, (texts: Texts) => Buffer> = {
  parquet: (texts) =>
    Buffer.from(parquetWriteBuffer({ columnData: [{ name: "text", data: [...texts], type: "BYTE_ARRAY" }] } as never)),
  "parquet with a dictionary": (texts) => {
    const data = texts.flatMap((text) => [text, text, text, text]);
    return Buffer.from(parquetWriteBuffer({ columnData: [{ name: "text", data, type: "BYTE_ARRAY" }] } as never));
  },
  arrow: (texts) => {
    const table = new arrow.Table({ text: arrow.vectorFromArray([...texts], new arrow.Binary()) });
    return Buffer.from(arrow.tableToIPC(table, "file"));
  },
  jsonl: (texts) =>
    Buffer.concat(
      texts.flatMap((text) => [
        Buffer.from('{"text": '),
        text ? jsonString(text) : Buffer.from("null"),
        Buffer.from("}\n"),
      ]),
    ),
};

async function read(bytes: Buffer, onBadDocument: BadDocumentPolicy, form: BatchForm = "owned") {
  const path = join(folder, "shard");
  writeFileSync(path, bytes);
  return withFile(path, async (file) => {
    const columns = { text: "text", onBadDocument };
    const layout = await inspectShard(file, columns);
    const rows: (string | null)[] = [];
    const bad: BadDocument[] = [];
    for (const unit of layout.units) {
      for await (const batch of readUnit(file, layout, unit, columns, {}, form)) {
        rows.push(...rowsOf(batch).map((row) => row?.toString("latin1") ?? null));
        bad.push(...(batch.bad ?? []));
      }
    }
    return { rows: rows.map((row) => (row === null ? null : Buffer.from(row, "latin1"))), bad };
  });
}

const text = (hex: string) => Buffer.from(hex, "hex");
/** As the golden file of invalid UTF-8 has them; with a null and a sound text at the end. */
const STORED: Texts = [
  ...["676f6f64206f6e65", "62616420fffe2068657265", "67757420c3bc6d6c617574", "63757420e282"].map(text),
  null,
  ...["6f7665726c6f6e6720c0af", "737572726f6761746520eda080", "", "61626f766520f4908080", "656e64"].map(text),
];
const REPLACED = [
  ...["good one", "bad \ufffd\ufffd here", "gut \u00fcmlaut", "cut \ufffd"],
  null,
  ...["overlong \ufffd\ufffd", "surrogate \ufffd\ufffd\ufffd", "", "above \ufffd\ufffd\ufffd\ufffd", "end"],
];
const BAD_ROWS = [1, 3, 5, 6, 8];

describe.each(Object.entries(WRITERS))("%s", (name, write) => {
  const times = name.endsWith("dictionary") ? 4 : 1;
  const repeated = <T>(values: readonly T[]) => values.flatMap((value) => new Array<T>(times).fill(value));
  const badRows = BAD_ROWS.flatMap((row) => Array.from({ length: times }, (_, i) => row * times + i));

  it.each(["owned", "lent"] as const)("leaves them out, and row numbers hold, %s", async (form) => {
    const { rows, bad } = await read(write(STORED), "skip", form);
    const expected = repeated(STORED.map((stored, row) => (BAD_ROWS.includes(row) ? null : stored)));
    expect(rows).toEqual(expected);
    expect(bad.map(({ row, outcome, code }) => [row, outcome, code])).toEqual(
      badRows.map((row) => [row, "skipped", "invalid-utf8"]),
    );
  });

  it.each(["owned", "lent"] as const)("puts U+FFFD for each maximal invalid subsequence, %s", async (form) => {
    const { rows, bad } = await read(write(STORED), "replace", form);
    expect(rows.map((row) => row?.toString("utf8") ?? null)).toEqual(repeated(REPLACED));
    expect(bad.map(({ row, outcome }) => [row, outcome])).toEqual(badRows.map((row) => [row, "replaced"]));
  });

  it("refuses them, and says where and what else can be done", async () => {
    const failure = await read(write(STORED), "fail").catch((error: unknown) => error);
    const where = name === "jsonl" ? / line 2: / : new RegExp(` row group 0: row ${badRows[0]} of it \\(from 0\\) `);
    expect(failure).toMatchObject({ code: "invalid-utf8", kind: "bad-data", file: join(folder, "shard") });
    expect((failure as Error).message).toMatch(where);
    expect((failure as Error).message).toMatch(/set data\.onBadDocument \(.*--on-bad-document\) to skip or replace$/);
  });

  it("says nothing of sound texts", async () => {
    const sound = STORED.filter((_, row) => !BAD_ROWS.includes(row));
    for (const policy of ["fail", "skip", "replace"] as const)
      expect(await read(write(sound), policy)).toEqual({ rows: repeated(sound), bad: [] });
  });

  it("replaces any bytes as the WHATWG decoder does", async () => {
    const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 12 }),
      fc.array(fc.constantFrom(0x41, 0x80, 0xbf, 0xc3, 0xe2, 0x82, 0xac, 0xed, 0xa0, 0xf0, 0x9f, 0xff), {
        maxLength: 12,
      }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(bytes, { minLength: 1, maxLength: 8 }), async (values) => {
        const texts = values.map((value) => Buffer.from(value));
        // A byte order mark opens a file of JSON Lines only, where none of these stands.
        const { rows, bad } = await read(write(texts), "replace");
        const decoded = repeated(texts.map((value) => decoder.decode(value)));
        expect(rows.map((row) => row!.toString("utf8"))).toEqual(decoded);
        const changed = repeated(texts).flatMap((value, row) => (rows[row]!.equals(value) ? [] : [row]));
        expect(bad.map(({ row }) => row)).toEqual(changed);
      }),
      { numRuns: 150 },
    );
  });
});

describe("a line of JSON", () => {
  const LINES = [
    '{"text":"a"}',
    "",
    "{half",
    '{"txt":"b"}',
    '{"text":5}',
    '{"text":"\\ud800"}',
    '{"text":null}',
    '{"text":"z"}',
  ];
  const bytes = Buffer.from(LINES.join("\n"));

  it("that holds no text is left out for its own reason; an empty line is no row", async () => {
    const { rows, bad } = await read(bytes, "skip");
    expect(rows.map((row) => row?.toString() ?? null)).toEqual(["a", null, null, null, null, null, "z"]);
    expect(bad.map(({ row, code }) => [row, code])).toEqual([
      [1, "bad-json"],
      [2, "missing-column"],
      [3, "wrong-column-type"],
      [4, "invalid-utf8"],
    ]);
  });

  it("that holds no text is refused where only encodings are mended", async () => {
    const failure = await read(bytes, "replace").catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: "bad-json", line: 3 });
    expect((failure as Error).message).toMatch(/set data\.onBadDocument \(.*--on-bad-document\) to skip$/);
  });

  it("with half of a surrogate pair has U+FFFD for it, in the text alone", async () => {
    const line = Buffer.from('{"text":"half \\ud800 pair","meta":{"a":"\\udfff"}}\n{"text":"whole \\ud83d\\ude00"}');
    const { rows, bad } = await read(line, "replace");
    expect(rows.map((row) => row!.toString())).toEqual(["half \ufffd pair", "whole 😀"]);
    expect(bad.map(({ row }) => row)).toEqual([0]);
  });
});
