/** Reference losses on disk: exact, added to, and never wrong where a file is damaged. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as arrow from "apache-arrow";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ReferenceLossFiles } from "../../src/trainer/reference-losses.ts";

const T = 3;
const IDENTITY = { store: "aa", model: "bb", sequenceLength: T, engine: "cpu" };

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "doremi-losses-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Losses of a sequence that tell it and the position. */
const of = (...sequences: number[]) => ({
  sequences: Int32Array.from(sequences),
  losses: Float32Array.from(sequences.flatMap((sequence) => [sequence + 0.1, 1 / sequence, -0])),
});

describe("kept reference losses", () => {
  it("come back bit for bit, of an odd number of sequences too", async () => {
    const files = new ReferenceLossFiles(folder, IDENTITY);
    expect(await files.read(0)).toStrictEqual(of());
    await files.add(0, of(1, 5, 1000));
    expect(await files.read(0)).toStrictEqual(of(1, 5, 1000));
    expect(await files.read(1)).toStrictEqual(of());
  });

  it("are added to, in the order of their sequences, and those that are there stay", async () => {
    const files = new ReferenceLossFiles(folder, IDENTITY);
    await files.add(2, of(7, 9));
    await files.add(2, { sequences: Int32Array.of(3, 9), losses: Float32Array.of(3.1, 1 / 3, -0, 8, 8, 8) });
    expect(await files.read(2)).toStrictEqual(of(3, 7, 9));
  });

  it("are no one else's: another store, model, length or engine has a folder of its own", async () => {
    await new ReferenceLossFiles(folder, IDENTITY).add(0, of(1));
    for (const other of [{ store: "x" }, { model: "x" }, { sequenceLength: 4 }, { engine: "cuda" }]) {
      const files = new ReferenceLossFiles(folder, { ...IDENTITY, ...other });
      expect((await files.read(0)).sequences).toHaveLength(0);
    }
  });

  it("are computed again where their file is damaged or cut", async () => {
    const files = new ReferenceLossFiles(folder, IDENTITY);
    await files.add(0, of(1, 2, 3));
    const path = join(files.folder, readdirSync(files.folder)[0]!);
    const intact = readFileSync(path);
    const value = intact.indexOf(Buffer.from(Float32Array.of(2.1).buffer));
    const flipped = Buffer.from(intact);
    flipped[value + 2]! ^= 1;
    for (const bytes of [flipped, intact.subarray(0, 100), Buffer.alloc(0)]) {
      writeFileSync(path, bytes);
      expect((await files.read(0)).sequences).toHaveLength(0);
    }
    await files.add(0, of(4));
    expect(await files.read(0)).toStrictEqual(of(4));
  });

  it("are an Arrow file that says whose they are", async () => {
    const files = new ReferenceLossFiles(folder, IDENTITY);
    await files.add(0, of(1, 2));
    const table = arrow.tableFromIPC(readFileSync(join(files.folder, "block-000000.arrow")));
    expect([...table.getChild("sequence")!]).toEqual([1, 2]);
    expect([...table.getChild("losses")!.get(1)]).toEqual([Math.fround(2.1), 0.5, -0]);
    expect(Object.fromEntries(table.schema.metadata)).toMatchObject({ "doremi.store": "aa", "doremi.model": "bb" });
  });
});
