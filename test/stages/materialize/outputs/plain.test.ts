/** Megatron's files, .npy with its tables, and JSON Lines: bytes as the stacks' own writers, or Python, give them. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ZstdEncoder } from "../../../../src/formats/codecs/zstd-encoder.ts";
import { sha256 } from "../../../../src/lib/hash.ts";
import { jsonl } from "../../../../src/stages/materialize/outputs/jsonl.ts";
import { megatron } from "../../../../src/stages/materialize/outputs/megatron.ts";
import { npy } from "../../../../src/stages/materialize/outputs/npy.ts";
import { document, writeShard } from "./writing.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "doremi-outputs-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const hex = (name: string) => readFileSync(join(folder, name)).toString("hex");

const DOCUMENTS = [
  document(3, { file: "x,y.jsonl", ids: Uint32Array.of(1, 2, 3) }),
  document(0, {}),
  document(9, { file: "x,y.jsonl", ids: Uint32Array.of(4095) }),
];

// Of IndexedDatasetBuilder of megatron-core 0.16.1: add_document of each with its separator 0, finalize.
const MEGATRON = [
  {
    vocabularySize: 65_499,
    bin: "01000200030000000000ff0f0000",
    idx: "4d4d4944494458000001000000000000000803000000000000000400000000000000040000000100000002000000000000000000000008000000000000000a000000000000000000000000000000010000000000000002000000000000000300000000000000",
  },
  {
    vocabularySize: 65_500,
    bin: "0100000002000000030000000000000000000000ff0f000000000000",
    idx: "4d4d49444944580000010000000000000004030000000000000004000000000000000400000001000000020000000000000000000000100000000000000014000000000000000000000000000000010000000000000002000000000000000300000000000000",
  },
];

describe("megatron", () => {
  it.each(MEGATRON)(
    "is what megatron-core writes, ids by a vocabulary of $vocabularySize",
    async ({ vocabularySize, bin, idx }) => {
      await writeShard(megatron, folder, DOCUMENTS, { vocabularySize, separator: 0 });
      expect(hex("part-00000.bin")).toBe(bin);
      expect(hex("part-00000.idx")).toBe(idx);
    },
  );
});

describe("npy", () => {
  it.each([
    { vocabularySize: 65_536, ids: "01000200030000000000ff0f0000" },
    { vocabularySize: 65_537, ids: "0100000002000000030000000000000000000000ff0f000000000000" },
  ])(
    "is the ids and where documents begin and end, by a vocabulary of $vocabularySize",
    async ({ vocabularySize, ids }) => {
      await writeShard(npy, folder, DOCUMENTS, { vocabularySize, separator: 0 });
      expect(hex("part-00000.npy")).toBe(ids);
      const table = readFileSync(join(folder, "part-00000.csv.gz"));
      expect(gunzipSync(table).toString()).toBe('0,4,"x,y.jsonl",3\n4,5,a.parquet,0\n5,7,"x,y.jsonl",9\n');
      // no time of writing, and the same on every Node
      expect(table.readUInt32LE(4)).toBe(0);
      expect(sha256(table)).toBe("f1672191318f321210b91d69f594b6f7ae853a5105adddfe0c83a358b256e732");
    },
  );

  it("has a table of more documents than are held at once", async () => {
    const many = Array.from({ length: 9000 }, (_, row) => document(row, { ids: Uint32Array.of(row) }));
    await writeShard(npy, folder, many, { vocabularySize: 10_000, separator: 1 });
    const lines = gunzipSync(readFileSync(join(folder, "part-00000.csv.gz"))).toString();
    expect(lines).toBe(many.map((_, row) => `${row * 2},${row * 2 + 2},a.parquet,${row}\n`).join(""));
  });
});

describe("jsonl", () => {
  it("escapes what JSON must and reads what is no UTF-8 as U+FFFD", async () => {
    const text = Buffer.from([0xef, 0xbb, 0xbf, 0x22, 0x0a, 0x00, 0xff, 0xe5, 0xae, 0x8b]);
    await writeShard(jsonl, folder, [document(7, { text, tokens: 5, epoch: 2 })]);
    expect(readFileSync(join(folder, "part-00000.jsonl"), "utf8")).toBe(
      '{"text":"\\ufeff\\"\\n\\u0000\\ufffd宋","domain":"web","epoch":2,"source":"a.parquet","row":7,"tokens":5}\n'
        .replace("\\ufeff", "\ufeff")
        .replace("\\ufffd", "\ufffd"),
    );
  });
});

describe.each([megatron, npy, jsonl])("$name", (format) => {
  it("leaves nothing behind when it is discarded", async () => {
    const compression = format.compressions?.[0] ?? null;
    const request = { folder, index: 0, name: "a", documents: 1, vocabularySize: 100, separator: 0, compression };
    const writer = await format.openShard(request);
    await writer.write(document(0, { ids: Uint32Array.of(1), text: Buffer.from("a") }));
    await writer.discard();
    expect(readdirSync(folder)).toEqual([]);
  });
});

describe("ZstdEncoder", () => {
  const INPUT = Buffer.concat(
    Array.from({ length: 60_000 }, (_, i) => Buffer.from(`{"text":"line ${(i * 7919) % 1009} of ${i}"}\n`)),
  );

  async function frame(pieces: readonly Uint8Array[]): Promise<Buffer> {
    const encoder = await ZstdEncoder.open();
    const ready = pieces.flatMap((piece) => encoder.write(piece));
    return Buffer.concat([...ready, ...encoder.end()]);
  }

  it("gives the same bytes however the input comes, on every Node", async () => {
    const whole = await frame([INPUT]);
    const cut = [INPUT.subarray(0, 1000), INPUT.subarray(1000, 1_500_001), INPUT.subarray(1_500_001)];
    expect(await frame(cut)).toEqual(whole);
    // seen to be read by python-zstandard 0.25, and the same under Node 20, 22 and 24
    expect(sha256(whole)).toBe("3f5ba7a2c84a5d7f5cde66f1da1c71bf593e1254b1e7592818b4554231adad99");
  });

  it("writes one frame at a time: who comes second waits for the first, also where that gives up", async () => {
    const first = await ZstdEncoder.open();
    let opened = false;
    const second = ZstdEncoder.open().then((encoder) => {
      opened = true;
      return encoder;
    });
    first.write(INPUT);
    await new Promise((resolve) => setImmediate(resolve));
    expect(opened).toBe(false);
    first.release();
    const encoder = await second;
    expect(Buffer.concat([...encoder.write(INPUT), ...encoder.end()])).toEqual(await frame([INPUT]));
  });
});
