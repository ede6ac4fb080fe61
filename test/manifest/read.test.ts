import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as arrow from "apache-arrow";
import { parquetWriteBuffer } from "hyparquet-writer";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readUnit } from "../../src/formats/read.ts";
import type { ManifestFile } from "../../src/manifest/contract.ts";
import { type DocumentIndex, indexDocuments } from "../../src/manifest/document-index.ts";
import { planResample } from "../../src/manifest/plan.ts";
import { type ManifestDocument, type ReadManifestOptions, readManifest } from "../../src/manifest/read.ts";
import { type SelectionSettings, selectDocuments } from "../../src/manifest/select.ts";
import { ShardCursor } from "../../src/manifest/shard-cursor.ts";
import { readStoredUnit, SourceShard } from "../../src/manifest/source-shard.ts";
import { verifyManifest } from "../../src/manifest/verify.ts";
import { writeResampledSet } from "../../src/manifest/write.ts";
import { LocalStorage } from "../../src/storage/local.ts";
import { countBytes } from "./corpus.ts";
import { FILE_ORDER, tamper } from "./resample.ts";

const NAMES = ["web", "code"];
const HELD_OUT = { kind: "fraction", fraction: 0.1, minDocuments: 1 } as const;
let folder: string;
let root: string;
let manifest: string;
let index: DocumentIndex;
/** path → text and domain of every row, by hand */
const truth = new Map<string, { text: string | null; domain: string }[]>();

/** Rows of a file; every 11th has no text. Code documents are long, so that batches end inside a unit. */
function rowsOf(salt: number, count: number): { text: string | null; domain: string }[] {
  return Array.from({ length: count }, (_, i) => ({
    text: (i + salt) % 11 === 3 ? null : `${salt}:${i} ${"é".repeat((i * salt) % 40)}`,
    domain: NAMES[(i * salt) % 3 === 0 ? 1 : 0]!,
  }));
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "doremi-read-"));
  root = join(folder, "data");
  manifest = join(folder, "out", "manifest.json");
  await mkdir(root);
  const write = async (path: string, rows: { text: string | null; domain: string }[], bytes: Uint8Array | string) => {
    truth.set(path, rows);
    await writeFile(join(root, path), bytes);
  };
  const parquet = rowsOf(1, 500);
  const columnData = [
    { name: "domain", data: parquet.map((row) => row.domain), type: "STRING" as const },
    { name: "text", data: parquet.map((row) => row.text), type: "STRING" as const },
  ];
  await write("a.parquet", parquet, new Uint8Array(parquetWriteBuffer({ columnData, rowGroupSize: 120 })));
  for (const [path, salt, format] of [
    ["b.arrow", 2, "file"],
    ["c.arrows", 4, "stream"],
  ] as const) {
    const rows = rowsOf(salt, 300);
    const schema = arrow.tableFromArrays({ text: ["x", null], domain: ["x"] }).schema;
    const batches = [rows.slice(0, 90), rows.slice(90, 91), rows.slice(91)].map((part) => {
      const table = new arrow.Table({
        text: arrow.vectorFromArray(
          part.map((row) => row.text),
          new arrow.Utf8(),
        ),
        domain: arrow.vectorFromArray(
          part.map((row) => row.domain),
          new arrow.Utf8(),
        ),
      });
      return table.batches[0]!;
    });
    expect(schema.fields.length).toBe(2);
    await write(path, rows, arrow.tableToIPC(new arrow.Table(batches), format));
  }
  const lines = rowsOf(5, 250);
  await write("d.jsonl", lines, lines.map((row) => `${JSON.stringify(row)}\n`).join(""));

  index = await indexDocuments({ counts: countAll, domains: NAMES, heldOut: HELD_OUT, seed: 3 });
  manifest = await writeSet("out", FILE_ORDER);
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

const COLUMNS = { text: "text", domain: "domain" };

/** Writes a set of the corpus beside it; gives the path of its manifest. */
async function writeSet(name: string, settings: SelectionSettings, budgetTokens: number | "auto" = "auto") {
  const plan = planResample({
    names: NAMES,
    weights: [0.5, 0.5],
    availableTokens: index.domains.map((domain) => domain.tokens),
    budgetTokens,
    maxEpochs: 2.5,
  });
  const targets = plan.domains.map((domain) => domain.targetTokens);
  await writeResampledSet(join(folder, name), {
    header: {
      generator: "doremi@0.0.0",
      name: "t",
      seed: 3,
      heldOut: HELD_OUT,
      weightsFrom: "given",
      root: "../data",
      notes: [],
      tokenizer: { name: "bytes", source: "bytes", fingerprint: "f", vocabularySize: 256 },
      columns: { text: "text", domain: "domain" },
      transform: null,
    },
    index,
    plan,
    selection: selectDocuments(index, targets, 3, settings),
  });
  return join(folder, name, "manifest.json");
}

async function* countAll() {
  for (const path of ["a.parquet", "b.arrow", "c.arrows", "d.jsonl"]) {
    yield await countBytes(root, path, COLUMNS, NAMES, null);
  }
}

const key = ({ domain, epoch, file, row }: ManifestDocument) => `${domain}/${epoch}/${file}/${row}`;

async function all(options: ReadManifestOptions = {}, path = manifest) {
  const documents: (Omit<ManifestDocument, "text"> & { key: string; text: string })[] = [];
  for await (const document of readManifest(path, options)) {
    documents.push({ ...document, key: key(document), text: Buffer.from(document.text).toString("utf8") });
  }
  return documents;
}

describe("the documents of a resampled set", () => {
  it("are the selected rows' texts, from Parquet, both Arrow forms and JSONL, in order", async () => {
    const documents = await all();
    const claimed = JSON.parse(await readFile(manifest, "utf8"));
    const expected = claimed.domains.reduce(
      (sum: number, domain: { selectedDocuments: number }) => sum + domain.selectedDocuments,
      0,
    );
    expect(documents.length).toBe(expected);
    expect(new Set(documents.map((document) => document.file)).size).toBe(4);
    expect(new Set(documents.map((document) => document.key)).size).toBe(documents.length);
    for (const { file, row, domain, text } of documents) expect({ text, domain }).toEqual(truth.get(file)![row]);
    expect((await verifyManifest(manifest, { recount: () => countAll() })).problems).toEqual([]);
  });

  it.each(["none", "row-group", "document"] as const)("mixed, shuffle %s: the texts of their rows", async (shuffle) => {
    const path = await writeSet(shuffle, { granularity: "document", order: "mixed", shuffle });
    for (const windowBytes of [20_000, 1 << 27]) {
      const documents = await all({ windowBytes }, path);
      expect(documents.length).toBe((await all()).length);
      for (const { file, row, domain, text } of documents) expect({ text, domain }).toEqual(truth.get(file)![row]);
    }
  });

  it.each([2, 3, 25])(
    "in %i parts: the whole, nothing twice, each part with its share of every domain",
    async (numShards) => {
      const whole = (await all()).map((document) => document.key);
      const parts: string[][] = [];
      for (let shardIndex = 0; shardIndex < numShards; shardIndex++) {
        parts.push((await all({ shardIndex, numShards })).map((document) => document.key));
      }
      expect(parts.flat().sort()).toEqual([...whole].sort());
      const groups = [...new Set(whole.map((k) => k.split("/").slice(0, 2).join("/")))];
      for (const group of groups) {
        const sizes = parts.map((part) => part.filter((k) => k.startsWith(`${group}/`)).length);
        expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
      }
    },
  );

  it("stop when the consumer stops, and end with an abort", async () => {
    for await (const document of readManifest(manifest)) {
      expect(document.epoch).toBe(0);
      break;
    }
    await expect(all({ signal: AbortSignal.abort(new Error("enough")) })).rejects.toThrow("enough");
  });

  it("come through a reader of the caller's own, which may reorder and drop", async () => {
    const reversed = await all({
      readUnit: async function* ({ path, layout, unit, columns }) {
        expect(columns.domain).toBe("domain");
        const file = await new LocalStorage().open(path);
        try {
          for await (const batch of readUnit(file, layout, unit, columns)) {
            const keep = Array.from({ length: batch.rows }, (_, i) => i)
              .filter((i) => batch.validity?.[i] !== 0)
              .reverse();
            const texts = keep.map((i) => Buffer.from(batch.bytes.subarray(batch.offsets[i], batch.offsets[i + 1])));
            const offsets = Uint32Array.from(
              [0, ...texts].map((_, i) => texts.slice(0, i).reduce((n, t) => n + t.length, 0)),
            );
            const { validity: _, ...rest } = batch;
            yield {
              row: Uint32Array.from(keep, (i) => batch.rowStart + i),
              batch: { ...rest, rows: keep.length, bytes: Buffer.concat(texts), offsets },
            };
          }
        } finally {
          await file.close();
        }
      },
    });
    expect(reversed).toEqual(await all());
  });
});

describe("refusals", () => {
  it("a part that is not one", async () => {
    await expect(all({ shardIndex: 3, numShards: 3 })).rejects.toMatchObject({
      code: "bad-shard-index",
      kind: "usage",
    });
  });

  it("a manifest with a transform, unless told how to read", async () => {
    const before = await readFile(manifest);
    await tamper(manifest, (m) => {
      m.transform = { module: "../clean.mjs", sha256: "0".repeat(64), columns: [], options: {} };
    });
    await expect(all()).rejects.toMatchObject({ code: "needs-transform" });
    expect((await all({ readUnit: "stored" })).length).toBeGreaterThan(0);
    await writeFile(manifest, before);
  });

  it("a path out of the root, and a file that changed", async () => {
    const before = await readFile(manifest);
    const { files } = JSON.parse(before.toString());
    await tamper(manifest, (m) => (m.root = "../data/x"));
    await expect(all()).rejects.toMatchObject({ code: "missing-file" });
    await writeFile(manifest, before);
    const path = join(root, "d.jsonl");
    const text = await readFile(path, "utf8");
    await writeFile(path, text.split("\n").slice(0, 100).join("\n"));
    await expect(all()).rejects.toMatchObject({ code: "changed-file", file: "d.jsonl" });
    await writeFile(path, text);
    expect(files.length).toBe(4);
  });
});

describe("a JSONL file of several stretches, whose rows are only known by reading", () => {
  it("is read from any row on, forward, backward and across the stretches", async () => {
    const path = join(folder, "long.jsonl");
    const filler = "x".repeat(3 << 20);
    // 15 lines of 3 MiB: the second stretch of 32 MiB starts in line 10
    await writeFile(path, Array.from({ length: 15 }, (_, i) => `{"text":"${i} ${filler}"}\n`).join(""));
    const file: ManifestFile = {
      path: "long.jsonl",
      size: 0,
      sha256: "",
      format: "jsonl",
      rows: 15,
      rowGroups: [15],
      domain: "web",
    };
    const cursor = new ShardCursor(await SourceShard.open(path, file, { text: "text" }, readStoredUnit));
    for (const [start, end] of [
      [2, 4],
      [9, 13],
      [14, 15],
      [0, 1],
      [12, 13],
      [14, 15],
    ] as const) {
      const rows: number[] = [];
      for await (const { row, text } of cursor.texts(start, end)) {
        expect(Number(Buffer.from(text.subarray(0, 3)).toString().split(" ")[0])).toBe(row);
        rows.push(row);
      }
      expect(rows).toEqual(Array.from({ length: end - start }, (_, i) => start + i));
    }
    await cursor.close();
  });
});
