/** Token stores: the bytes that Megatron expects, round trips, windows, and stores that are damaged. */
import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openTokenStore, TokenStoreWriter, tokenWindows } from "../../src/formats/token-store.ts";

let folder: string;
let prefix: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "doremi-store-"));
  prefix = join(folder, "books");
});
afterEach(() => rm(folder, { recursive: true }));

async function write(documents: readonly (readonly number[])[], vocabularySize = 100): Promise<void> {
  const writer = await TokenStoreWriter.create(prefix, { vocabularySize });
  for (const ids of documents) await writer.write(Uint32Array.from(ids));
  await writer.commit();
}

describe("TokenStoreWriter", () => {
  test("writes Megatron's bytes, two per id in a small vocabulary", async () => {
    await write([[1, 2, 3], [], [99]]);
    expect((await readFile(`${prefix}.bin`)).toString("hex")).toBe("0100020003006300");
    const hex = (await readFile(`${prefix}.idx`)).toString("hex");
    const le = (value: number, bytes: number) =>
      Buffer.from(Array.from({ length: bytes }, (_, i) => Math.floor(value / 256 ** i) % 256)).toString("hex");
    expect(hex).toBe(
      [
        Buffer.from("MMIDIDX\0\0").toString("hex"),
        le(1, 8),
        le(8, 1), // uint16
        le(3, 8),
        le(4, 8),
        ...[3, 0, 1].map((length) => le(length, 4)),
        ...[0, 6, 6].map((pointer) => le(pointer, 8)),
        ...[0, 1, 2, 3].map((boundary) => le(boundary, 8)),
      ].join(""),
    );
  });

  test("four bytes per id from a vocabulary of 65 500 on", async () => {
    await write([[65_499]], 65_500);
    expect((await readFile(`${prefix}.bin`)).toString("hex")).toBe("dbff0000");
    expect((await readFile(`${prefix}.idx`))[17]).toBe(4);
  });

  test("refuses an id outside the vocabulary; discarding leaves nothing", async () => {
    const writer = await TokenStoreWriter.create(prefix, { vocabularySize: 10 });
    await expect(writer.write(Uint32Array.of(10))).rejects.toThrow(/id 10 is outside the vocabulary of 10/);
    await writer.discard();
    expect(await readdir(folder)).toEqual([]);
  });
});

describe("openTokenStore", () => {
  test("any range of what was written is read back", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(fc.nat(69_999), { maxLength: 20 }), { maxLength: 10 }),
        fc.constantFrom(65_000, 70_000),
        fc.nat(1000),
        fc.nat(1000),
        async (raw, vocabularySize, a, b) => {
          const documents = raw.map((ids) => ids.map((id) => id % vocabularySize));
          await write(documents, vocabularySize);
          const store = await openTokenStore(prefix);
          const stream = documents.flat();
          const [start, end] = [a % (stream.length + 1), b % (stream.length + 1)].sort((x, y) => x - y) as [
            number,
            number,
          ];
          expect(Array.from(store.lengths)).toEqual(documents.map((ids) => ids.length));
          expect(Array.from(store.read(start, end))).toEqual(stream.slice(start, end));
          store.close();
        },
      ),
      { numRuns: 30 },
    );
  });

  test("streams more than its buffer holds", async () => {
    const long = Uint32Array.from({ length: 700_000 }, (_, i) => i % 50_000);
    const writer = await TokenStoreWriter.create(prefix, { vocabularySize: 50_000 });
    for (let i = 0; i < 2; i++) await writer.write(long);
    await writer.commit();
    const store = await openTokenStore(prefix);
    expect(store.tokens).toBe(1_400_000);
    expect(Array.from(store.read(699_999, 700_002))).toEqual([49_999, 0, 1]);
    store.close();
  });

  test("refuses other files, cut files and pairs that do not agree", async () => {
    await write([[1, 2, 3], [4]]);
    const index = await readFile(`${prefix}.idx`);
    const cases: [Buffer, RegExp][] = [
      [Buffer.from("PAR1"), /MMIDIDX/],
      [index.subarray(0, 40), /truncated/],
      [Buffer.concat([index.subarray(0, 9), Buffer.of(2), index.subarray(10)]), /version must be 1, found 2/],
      [Buffer.concat([index.subarray(0, 17), Buffer.of(6), index.subarray(18)]), /found code 6/],
    ];
    for (const [bytes, message] of cases) {
      await writeFile(`${prefix}.idx`, bytes);
      await expect(openTokenStore(prefix)).rejects.toThrow(message);
    }
    await writeFile(`${prefix}.idx`, index);
    await truncate(`${prefix}.bin`, 7);
    await expect(openTokenStore(prefix)).rejects.toMatchObject({ kind: "bad-data", file: `${prefix}.bin` });
  });
});

describe("tokenWindows", () => {
  test("each token but the first is a target once", async () => {
    await write([[0, 1, 2], [3, 4, 5, 6], [7]]);
    const store = await openTokenStore(prefix);
    const windows = (T: number, tail: boolean) => {
      const view = tokenWindows(store, T, { tail });
      return Array.from({ length: view.sequences }, (_, i) => Array.from(view.sequence(i)));
    };
    expect(windows(3, false)).toEqual([
      [0, 1, 2, 3],
      [3, 4, 5, 6],
    ]);
    expect(windows(3, true)).toEqual([
      [0, 1, 2, 3],
      [3, 4, 5, 6],
      [6, 7],
    ]);
    expect(windows(7, true)).toEqual([[0, 1, 2, 3, 4, 5, 6, 7]]);
    expect(windows(8, false)).toEqual([]);
    expect(() => tokenWindows(store, 3).sequence(2)).toThrow(RangeError);
    store.close();
  });

  test("an empty store has none", async () => {
    await write([]);
    const store = await openTokenStore(prefix);
    expect(tokenWindows(store, 4, { tail: true }).sequences).toBe(0);
    store.close();
  });
});
