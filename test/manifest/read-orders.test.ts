/**
 * The documents of a set in every order, against a list made by hand from the rows of its selection: whole, in parts,
 * from any document on, and what is read and closed on the way.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Manifest } from "../../src/manifest/contract.ts";
import { loadManifest } from "../../src/manifest/load.ts";
import { type ManifestDocument, type ReadManifestOptions, readManifest } from "../../src/manifest/read.ts";
import type { SelectionSettings } from "../../src/manifest/select.ts";
import { readSelection } from "../../src/manifest/selection-file.ts";
import { readStoredUnit, type UnitReader } from "../../src/manifest/source-shard.ts";
import { FILES, textOf, writeCorpus } from "./corpus.ts";
import { resample } from "./resample.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "doremi-read-orders-"));
  await writeCorpus(join(folder, "corpus"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const SETTINGS = (["domain", "mixed"] as const).flatMap((order) =>
  (
    [
      ["document", "none"],
      ["document", "document"],
      ["document", "row-group"],
      ["document", "shard"],
      ["shard", "document"],
    ] as const
  ).map(([granularity, shuffle]): SelectionSettings => ({ granularity, order, shuffle })),
);
const cases = SETTINGS.map((settings) => [Object.values(settings).join(", "), settings] as const);

interface Expected {
  readonly domain: string;
  readonly epoch: number;
  readonly file: string;
  readonly row: number;
  readonly text: string;
}

type ExpectedSet = { readonly path: string; readonly expected: readonly Expected[]; readonly manifest: Manifest };
const sets = new Map<string, Promise<ExpectedSet>>();

/** A set in these orders, and its documents by hand. */
function setOf(settings: SelectionSettings, budgetTokens = 3500): Promise<ExpectedSet> {
  const name = `${Object.values(settings).join("-")}-${budgetTokens}`;
  const set = sets.get(name) ?? makeSet(name, settings, budgetTokens);
  sets.set(name, set);
  return set;
}

async function makeSet(name: string, settings: SelectionSettings, budgetTokens: number): Promise<ExpectedSet> {
  await resample(join(folder, "corpus"), join(folder, name), "../corpus", { selection: settings, budgetTokens });
  const path = join(folder, name, "manifest.json");
  const expected: Expected[] = [];
  for await (const rows of readSelection(join(dirname(path), "selection.parquet"))) {
    for (const { domain, epoch, file, rowStart, rowEnd } of rows) {
      const place = FILES.findIndex(([name]) => name === file);
      for (let row = rowStart; row < rowEnd; row++) {
        expected.push({ domain, epoch, file, row, text: textOf(place, row)! });
      }
    }
  }
  return { path, expected, manifest: await loadManifest(path) };
}

async function read(path: string, options: ReadManifestOptions = {}): Promise<ManifestDocument[]> {
  const documents: ManifestDocument[] = [];
  for await (const document of readManifest(path, options)) documents.push(document);
  return documents;
}

const plain = ({ domain, epoch, file, row, text }: ManifestDocument): Expected => ({
  domain,
  epoch,
  file,
  row,
  text: Buffer.from(text).toString("utf8"),
});

/** Documents of part i of n, by hand: a slice of all, or of each domain and epoch. */
function partOf(all: readonly Expected[], { order }: Manifest, i: number, n: number): Expected[] {
  const slice = (part: readonly Expected[]) =>
    part.slice(Math.floor((part.length * i) / n), Math.floor((part.length * (i + 1)) / n));
  if (order === "mixed") return slice(all);
  const groups = new Map<string, Expected[]>();
  for (const document of all) {
    const key = `${document.domain}/${document.epoch}`;
    groups.set(key, [...(groups.get(key) ?? []), document]);
  }
  return [...groups.values()].flatMap(slice);
}

describe.each(cases)("%s", (_, settings) => {
  it("all, in order, with their positions, whatever the window", async () => {
    const { path, expected, manifest } = await setOf(settings);
    expect(expected.length).toBe(manifest.selection.documents);
    expect(new Set(expected.map((document) => document.epoch)).size).toBeGreaterThan(1);
    for (const windowBytes of [1000, 1 << 27]) {
      const documents = await read(path, { windowBytes });
      expect(documents.map(plain)).toEqual(expected);
      expect(documents.map((document) => document.position)).toEqual([...expected.keys()]);
    }
    const counted = (await read(path)).filter((document) => document.tokens !== null);
    expect(counted.length).toBeGreaterThan(0);
    for (const { tokens, text } of counted) {
      expect(tokens).toBe(text.length === 0 ? 0 : Buffer.from(text).toString().split(" ").length);
    }
  });

  it.each([2, 3, 7])("in %i parts: what a slice by hand has", async (numShards) => {
    const { path, expected, manifest } = await setOf(settings);
    const parts: Expected[][] = [];
    for (let shardIndex = 0; shardIndex < numShards; shardIndex++) {
      parts.push((await read(path, { shardIndex, numShards, windowBytes: 4000 })).map(plain));
      expect(parts.at(-1)).toEqual(partOf(expected, manifest, shardIndex, numShards));
    }
    expect(parts.flat().map(key).sort()).toEqual(expected.map(key).sort());
  });

  it("from every document on, whole and in a part: exactly what is left", async () => {
    const { path } = await setOf(settings, settings.granularity === "shard" ? 1200 : 300);
    for (const part of [{}, { shardIndex: 1, numShards: 3 }]) {
      const documents = await read(path, part);
      expect(documents.length).toBeGreaterThan(5);
      for (const [i, { cursor }] of documents.entries()) {
        const saved = JSON.parse(JSON.stringify(cursor));
        const left = await read(path, { ...part, cursor: saved, windowBytes: 1 + ((i * 997) % 3000) });
        expect(left).toEqual(documents.slice(i + 1));
      }
    }
  });
});

const key = (document: Expected) => `${document.epoch}/${document.file}/${document.row}`;

/** Reads as it is stored, and notes which units, and whether they were closed. */
function watched() {
  const units: string[] = [];
  const open = { now: 0, most: 0 };
  const readUnit: UnitReader = async function* (request) {
    units.push(`${request.file.path}/${request.unit.index}`);
    open.now += 1;
    open.most = Math.max(open.most, open.now);
    try {
      yield* readStoredUnit(request);
    } finally {
      open.now -= 1;
    }
  };
  return { units, open, readUnit };
}

describe("reading", () => {
  it.each(cases)("closes every file when the loop ends early: %s", async (_, settings) => {
    const { path, expected } = await setOf(settings);
    for (const stop of [1, 40, expected.length - 1]) {
      const { open, readUnit } = watched();
      let seen = 0;
      for await (const _ of readManifest(path, { readUnit, windowBytes: 5000 })) if (++seen === stop) break;
      expect(open.most).toBeGreaterThan(0);
      expect(open.now).toBe(0);
    }
  });

  it("opens a file for each domain of a mixed order, and one of domain after domain", async () => {
    for (const [order, most] of [
      ["mixed", 3],
      ["domain", 1],
    ] as const) {
      const { path } = await setOf({ granularity: "document", order, shuffle: "none" });
      const { open, readUnit } = watched();
      await read(path, { readUnit });
      expect(open.most).toBe(most);
    }
  });

  it("reads a file once for each domain and epoch in it, and a window's once for the window", async () => {
    const mixed = await setOf({ granularity: "document", order: "mixed", shuffle: "none" });
    const streams = watched();
    await read(mixed.path, { readUnit: streams.readUnit });
    const passes = new Set(mixed.expected.map(({ domain, epoch, file }) => `${domain}/${epoch}/${file}`));
    expect(streams.units.length).toBe(passes.size);

    const shuffled = await setOf({ granularity: "document", order: "mixed", shuffle: "document" });
    const window = watched();
    await read(shuffled.path, { readUnit: window.readUnit });
    expect(window.units.length).toBe(new Set(shuffled.expected.map(({ file }) => file)).size);
  });

  it("does not decode what a cursor leaves behind", async () => {
    const { path, expected } = await setOf({ granularity: "document", order: "domain", shuffle: "none" });
    const documents = await read(path);
    const last = expected.findLastIndex((document) => document.file === "mixed/m.jsonl" && document.domain === "code");
    const { units, readUnit } = watched();
    await read(path, { cursor: documents[last]!.cursor, readUnit });
    expect(new Set(units)).toEqual(new Set(expected.slice(last + 1).map(({ file }) => `${file}/0`)));
    expect(units).not.toContain("books/a.jsonl/0");
  });

  it("stops in the middle at an abort, with all files closed", async () => {
    for (const shuffle of ["none", "document"] as const) {
      const { path } = await setOf({ granularity: "document", order: "mixed", shuffle });
      const { open, readUnit } = watched();
      const stop = new AbortController();
      let seen = 0;
      const reading = async () => {
        for await (const _ of readManifest(path, { readUnit, signal: stop.signal, windowBytes: 2000 })) {
          if (++seen === 30) stop.abort(new Error("enough"));
        }
      };
      await expect(reading()).rejects.toThrow("enough");
      expect(seen).toBe(30);
      expect(open.now).toBe(0);
    }
  });

  it("every stretch of a mixed order, and so every part, has the domains in proportion", async () => {
    const { path, manifest } = await setOf({ granularity: "document", order: "mixed", shuffle: "document" });
    const longest = 30; // words of a document, as textOf makes them: 1 + 22 + 5 at most
    for (let shardIndex = 0; shardIndex < 3; shardIndex++) {
      const given = new Map(manifest.domains.map(({ name }) => [name, 0]));
      let tokens = 0;
      for (const document of await read(path, { shardIndex, numShards: 3 })) {
        const words = document.text.length === 0 ? 0 : Buffer.from(document.text).toString().split(" ").length;
        given.set(document.domain, given.get(document.domain)! + words);
        tokens += words;
        for (const { name, achievedWeight } of manifest.domains) {
          expect(Math.abs(given.get(name)! - achievedWeight * tokens)).toBeLessThanOrEqual(2 * longest);
        }
      }
    }
  });
});

describe("a cursor that is refused", () => {
  it.each<[string, (cursor: ManifestDocument["cursor"]) => unknown, string]>([
    ["of another selection", (cursor) => ({ ...cursor, selection: "0".repeat(16) }), "must come from this manifest"],
    ["of another part", (cursor) => ({ ...cursor, shardIndex: 1, numShards: 2 }), "is of part 1 of 2"],
    ["that is none", () => ({}), "must be the cursor of a document"],
    ["with a text for a number", (cursor) => ({ ...cursor, position: "5" }), "must be the cursor of a document"],
    ["that was changed", (cursor) => ({ ...cursor, position: 90, offset: 90 }), "has \\d+ documents, got offset"],
    ["behind the end", (cursor) => ({ ...cursor, row: 1e6 }), "ends after"],
  ])("%s", async (_, change, message) => {
    const { path } = await setOf({ granularity: "document", order: "domain", shuffle: "none" });
    const [first] = await read(path);
    const cursor = change(first!.cursor) as ManifestDocument["cursor"];
    await expect(read(path, { cursor })).rejects.toThrow(new RegExp(message));
  });

  it("a window that is none", async () => {
    const { path } = await setOf({ granularity: "document", order: "domain", shuffle: "none" });
    await expect(read(path, { windowBytes: 0 })).rejects.toMatchObject({ code: "bad-window", kind: "usage" });
  });
});
