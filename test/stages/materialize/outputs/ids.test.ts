import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { IdFile } from "../../../../src/formats/id-file.ts";
import type { OutputFormat } from "../../../../src/stages/materialize/output-format.ts";
import { datatrove, tokenTotal } from "../../../../src/stages/materialize/outputs/datatrove.ts";
import { litdata } from "../../../../src/stages/materialize/outputs/litdata.ts";
import { mds } from "../../../../src/stages/materialize/outputs/mds.ts";
import { document, writeShard } from "./writing.ts";

const FILES = new URL("../../../files/outputs/", import.meta.url);
const file = (path: string) => readFileSync(new URL(path, FILES));
const json = (path: string) => JSON.parse(file(path).toString());

interface Case {
  readonly vocabularySize: number;
  readonly separator: number;
  readonly documents: readonly { readonly domain: string; readonly ids: readonly number[] }[];
}
const CASES: Readonly<Record<string, Case>> = json("documents.json");

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "doremi-ids-"));
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true });
});

async function write(format: OutputFormat, bits: string) {
  const { documents, ...options } = CASES[bits]!;
  const all = documents.map(({ domain, ids }, row) => document(row, { domain, ids: Uint32Array.from(ids) }));
  const set = await writeShard(format, folder, all, options);
  const beside = await format.groupFiles!(set.groups[0]!, set, folder);
  return { set, beside };
}

describe.each(["16", "32"])(
  "documents of ids of %s bits have the bytes that the stack's own writer gives them",
  (bits) => {
    it("MDS", async () => {
      const { set, beside } = await write(mds, bits);
      expect(readFileSync(join(folder, "part-00000.mds"))).toEqual(file(`mds/uint${bits}/shard.00000.mds`));
      const theirs = json(`mds/uint${bits}/index.json`);
      theirs.shards[0].raw_data.basename = "part-00000.mds";
      expect(beside.map(({ path, content }) => [path, JSON.parse(content)])).toEqual([["index.json", theirs]]);
      expect(theirs.shards[0].raw_data.hashes.sha256).toBe(set.groups[0]!.shards[0]!.files[0]!.sha256);
    });

    it("datatrove", async () => {
      const { beside } = await write(datatrove, bits);
      for (const name of ["part-00000.ds", "part-00000.ds.index"])
        expect(readFileSync(join(folder, name))).toEqual(file(`datatrove/uint${bits}/${name}`));
      const metadata = file(`datatrove/uint${bits}/part-00000.ds.metadata`).toString();
      expect(beside).toEqual([{ path: "part-00000.ds.metadata", content: metadata }]);
    });

    it("litdata", async () => {
      const { beside } = await write(litdata, bits);
      expect(readFileSync(join(folder, "part-00000.bin"))).toEqual(file(`litdata/uint${bits}/chunk-0-0.bin`));
      const theirs = json(`litdata/uint${bits}/index.json`);
      theirs.chunks[0].filename = "part-00000.bin";
      // litdata: the size that was aimed at, and the time
      theirs.config.chunk_bytes = theirs.chunks[0].chunk_bytes;
      theirs.updated_at = expect.stringMatching(/^[0-9a-f]{16}$/);
      expect(beside.map(({ path, content }) => [path, JSON.parse(content)])).toEqual([["index.json", theirs]]);
    });
  },
);

it("a shape of more than 255, or 65,535, tokens takes two, or four, bytes, as NumPy arrays in MDS do", async () => {
  const lengths = [255, 256, 65535, 65536];
  const documents = lengths.map((length, row) => document(row, { ids: new Uint32Array(length).fill(row + 1) }));
  await writeShard(mds, folder, documents);
  const bytes = readFileSync(join(folder, "part-00000.mds"));
  for (const [i, length] of lengths.entries()) {
    const sample = bytes.subarray(bytes.readUInt32LE(4 + i * 4), bytes.readUInt32LE(8 + i * 4));
    const code = i === 0 ? 0 : i < 3 ? 1 : 2;
    expect(sample.subarray(8, 11).toString()).toBe("web");
    expect(sample.readUInt8(11)).toBe(4 + code);
    expect(sample.readUIntLE(12, 2 ** code)).toBe(length);
    expect(sample.length).toBe(12 + 2 ** code + length * 2);
    expect(sample.readUInt32LE(4)).toBe(sample.length - 11);
  }
});

it("shards in folders of their own are named from there in an index, and from the set's folder where they are said to lie", async () => {
  const { set } = await write(mds, "16");
  const [group] = set.groups;
  const [shard] = group!.shards;
  const files = [{ ...shard!.files[0]!, path: "web/part-00000.mds" }];
  const [index] = await mds.groupFiles!({ ...group!, folder: "web", shards: [{ ...shard!, files }] }, set, folder);
  expect(index!.path).toBe("web/index.json");
  expect(JSON.parse(index!.content).shards[0].raw_data.basename).toBe("part-00000.mds");
});

it("any documents, larger than the buffers as well, are in datatrove's files whole and where the index says", async () => {
  const length = fc.oneof({ weight: 5, arbitrary: fc.nat(40) }, fc.integer({ min: 250_000, max: 600_000 }));
  const lengths = fc.array(length, { maxLength: 4 });
  await fc.assert(
    fc.asyncProperty(lengths, fc.boolean(), fc.boolean(), async (lengths, isWide, isSeparated) => {
      const vocabularySize = isWide ? 70_000 : 60_000;
      const separator = isSeparated ? vocabularySize - 1 : null;
      const all = lengths.map((length, row) => {
        const ids = new Uint32Array(length);
        for (let i = 0; i < length; i++) ids[i] = (i * 31 + row) % (vocabularySize - 1);
        return document(row, { ids });
      });
      await writeShard(datatrove, folder, all, { vocabularySize, separator });
      const { buffer } = new Uint8Array(readFileSync(join(folder, "part-00000.ds")));
      const stored = isWide ? new Uint32Array(buffer) : new Uint16Array(buffer);
      const index = readFileSync(join(folder, "part-00000.ds.index"));
      let end = 0;
      for (const [i, { ids }] of all.entries()) {
        const found = Uint32Array.from(stored.subarray(end, end + ids.length));
        expect(Buffer.from(found.buffer).equals(Buffer.from(ids.buffer))).toBe(true);
        end += ids.length;
        if (separator !== null) expect(stored[end++]).toBe(separator);
        expect(Number(index.readBigUInt64LE(i * 8))).toBe(end);
      }
      expect(stored.length).toBe(end);
      expect(index.length).toBe(all.length * 8);
    }),
    { numRuns: 12 },
  );
});

it("totals for people are spelt as humanize 4 spells them for datatrove", () => {
  const spelt = [
    [0, "0.00 T"],
    [8, "8.00 T"],
    [999, "999 T"],
    [1000, "1.00 kT"],
    [12345, "12.3 kT"],
    [999499, "999 kT"],
    [999500, "1.00 MT"],
    [59998111, "60.0 MT"],
    [25e9, "25.0 GT"],
    [7e15, "7.00 PT"],
  ] as const;
  for (const [tokens, text] of spelt) expect(tokenTotal(tokens)).toBe(text);
});

describe.each([mds, datatrove, litdata])("$name", (format) => {
  it("leaves nothing behind when it is discarded", async () => {
    const name = "part-00000";
    const request = { folder, index: 0, name, documents: 2, vocabularySize: 100, separator: 1, compression: null };
    const writer = await format.openShard(request);
    await writer.write(document(0, { ids: Uint32Array.of(2, 3) }));
    await writer.discard();
    expect(readdirSync(folder)).toEqual([]);
  });
});

it("a shard whose offsets do not fit 32 bits is refused, and one with documents missing does not appear", async () => {
  const request = {
    folder,
    index: 0,
    name: "a",
    documents: 2,
    vocabularySize: 100,
    separator: null,
    compression: null,
  };
  const writer = await litdata.openShard(request);
  await writer.write(document(0, { ids: Uint32Array.of(2, 3) }));
  await expect(writer.finish()).rejects.toThrow(/room for 2 documents, got 1/);
  vi.spyOn(IdFile.prototype, "size", "get").mockReturnValue(2 ** 32);
  await expect(writer.write(document(1, { ids: Uint32Array.of(4) }))).rejects.toMatchObject({
    code: "shard-too-large",
  });
  await writer.discard();
  expect(readdirSync(folder)).toEqual([]);
});
