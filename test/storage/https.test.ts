import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as arrow from "apache-arrow";
import { parquetWriteBuffer } from "hyparquet-writer";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { inspectShard, readShard, readUnit } from "../../src/formats/read.ts";
import { LocalStorage } from "../../src/storage/local.ts";
import { ObjectStorage } from "../../src/storage/object-storage.ts";
import { Requests } from "../../src/storage/requests.ts";
import type { Storage } from "../../src/storage/storage.ts";
import { type Fault, TestServer } from "./server.ts";

const CORPUS = fileURLToPath(new URL("../files/corpus/folders", import.meta.url));
const NAMES = ["csource/part-00000.parquet", "factbook/part-00000.arrow", "math/part-00000.jsonl.gz"];
const QUICK = { timeoutMs: 300, retries: 2, concurrency: 4 };
const storage = new ObjectStorage(new Requests(QUICK));

const files = new Map<string, Uint8Array>();
let server: TestServer;

beforeAll(async () => {
  for (const name of NAMES) files.set(name, await readFile(join(CORPUS, name)));
  server = await TestServer.files(files);
});
afterEach(() => server.forget());
afterAll(() => server.close());

async function texts(of: Storage, uri: string): Promise<Buffer[]> {
  const file = await of.open(uri);
  try {
    const found: Buffer[] = [];
    for await (const { bytes, offsets, rows } of readShard(file, { text: "text" })) {
      found.push(Buffer.from(bytes.slice(offsets[0], offsets[rows])));
    }
    return found;
  } finally {
    await file.close();
  }
}

it.each(NAMES)("gives the documents of %s as the file does", async (name) => {
  const expected = Buffer.concat(await texts(new LocalStorage(), join(CORPUS, name)));
  expect(Buffer.concat(await texts(storage, `${server.url}/${name}`)).equals(expected)).toBe(true);
});

it("fetches of an Arrow file the footer, the headers of its batches, and then each batch once", async () => {
  const batch = (i: number) =>
    new arrow.Table({
      text: arrow.vectorFromArray(
        Array.from({ length: 50 }, () => `${i}`.repeat(2000)),
        new arrow.Utf8(),
      ),
    });
  const bytes = arrow.tableToIPC(batch(1).concat(batch(2), batch(3)), "file");
  files.set("large.arrow", bytes);
  const uri = `${server.url}/large.arrow`;
  const file = await storage.open(uri);
  const layout = await inspectShard(file, { text: "text" });
  await file.close();
  const heads = layout.units.length * 4096;
  expect(server.sent).toBeLessThanOrEqual(1 + 512 + (64 << 10) + heads);
  server.forget();
  for (const unit of layout.units) {
    const part = await storage.open(uri, await storage.stat(uri));
    for await (const batch of readUnit(part, layout, unit, { text: "text" })) expect(batch.rows).toBeGreaterThan(0);
    await part.close();
  }
  expect(server.requests).toHaveLength(3 * layout.units.length); // its state, the schema in the footer, the batch
  expect(layout.units).toHaveLength(3);
  expect(server.sent).toBeLessThan(bytes.length + 3 * 1000); // the footer is small
});

describe("of a Parquet file with a large column beside the text", () => {
  const ROWS = 2000;
  const texts = Array.from({ length: ROWS }, (_, i) => `text ${i} ${"x".repeat(i % 100)}`);
  beforeAll(() => {
    const other = Array.from({ length: ROWS }, (_, i) => `${i}`.repeat(400));
    const buffer = parquetWriteBuffer({
      columnData: [
        { name: "before", data: other, type: "STRING" },
        { name: "text", data: texts, type: "STRING" },
        { name: "after", data: other, type: "STRING" },
      ],
      codec: "UNCOMPRESSED",
      rowGroupSize: ROWS / 2,
    });
    files.set("wide.parquet", new Uint8Array(buffer));
  });

  it("fetches the footer and the chunks of the text", async () => {
    const size = files.get("wide.parquet")!.length;
    const uri = `${server.url}/wide.parquet`;
    const state = await storage.stat(uri);
    const file = await storage.open(uri, state);
    const layout = await inspectShard(file, { text: "text" });
    await file.close();
    const footer = 64 << 10; // the end, of which the footer is a part
    expect(server.sent).toBe(1 + 512 + footer);
    server.forget();
    const found: string[] = [];
    for (const unit of layout.units) {
      const part = await storage.open(uri, state);
      for await (const { bytes, offsets, rows } of readUnit(part, layout, unit, { text: "text" })) {
        for (let i = 0; i < rows; i++) found.push(Buffer.from(bytes.slice(offsets[i], offsets[i + 1])).toString());
      }
      await part.close();
    }
    expect(found).toEqual(texts);
    expect(server.sent).toBe(layout.units.reduce((sum, { storedBytes }) => sum + storedBytes, 0));
    expect(server.requests).toHaveLength(layout.units.length); // one for each row group
    expect(server.sent).toBeLessThan(size / 10);
  });
});

describe("when the network fails", () => {
  const uri = () => `${server.url}/${NAMES[0]}`;

  it.each<Fault>(["reset", "truncate", "stall", { status: 503 }, { status: 429 }])(
    "once with %j, asks again",
    async (fault) => {
      server.fault = () => (server.requests.length === 2 ? fault : undefined);
      const file = await storage.open(uri());
      const bytes = await file.read(0, file.size);
      expect(Buffer.compare(bytes, files.get(NAMES[0]!)!)).toBe(0);
      expect(server.requests).toHaveLength(3);
    },
  );

  it.each<[Fault, string]>([
    ["reset", "ECONNRESET|UND_ERR_SOCKET"],
    ["truncate", "the answer ended early"],
    ["stall", "nothing within 0.3 s"],
    [{ status: 500 }, "HTTP 500"],
  ])("always with %j, gives up after three attempts", async (fault, found) => {
    const file = await storage.open(uri());
    server.forget();
    server.fault = () => fault;
    await expect(file.read(0, 1000)).rejects.toMatchObject({
      kind: "unavailable",
      code: "unavailable",
      exitStatus: 75,
      file: uri(),
      message: expect.stringMatching(new RegExp(`^${uri()}: .* after 3 attempts \\((${found})\\)`)),
    });
    expect(server.requests).toHaveLength(3);
  });

  it.each([
    [404, "missing-file", 66],
    [403, "no-permission", 77],
    [401, "no-permission", 77],
    [400, "refused", 65],
  ])("with HTTP %d, at once", async (status, code, exitStatus) => {
    server.fault = () => ({ status });
    await expect(storage.stat(uri())).rejects.toMatchObject({ code, exitStatus, file: uri() });
    expect(server.requests).toHaveLength(1);
  });

  it("at no address", async () => {
    const closed = await TestServer.files(new Map());
    const { url } = closed;
    await closed.close();
    await expect(storage.stat(`${url}/x`)).rejects.toMatchObject({
      code: "unavailable",
      message: expect.stringContaining("ECONNREFUSED"),
    });
  });
});

it("refuses an object that was written over since it was opened", async () => {
  files.set("growing.jsonl", Buffer.from('{"text":"a"}\n'));
  const uri = `${server.url}/growing.jsonl`;
  const file = await storage.open(uri);
  files.set("growing.jsonl", Buffer.from('{"text":"b"}\n'));
  await expect(file.read(0, 5)).rejects.toMatchObject({ code: "file-changed", file: uri });
});

it("needs parts of files", async () => {
  const whole = await TestServer.files(files, { ranges: false });
  await expect(storage.stat(`${whole.url}/${NAMES[0]}`)).rejects.toMatchObject({ code: "refused" });
  await whole.close();
});

it("knows an empty file", async () => {
  files.set("empty", new Uint8Array(0));
  expect(await storage.stat(`${server.url}/empty`)).toMatchObject({ size: 0 });
});

it("lists what is named, and no pattern", async () => {
  const uri = `${server.url}/${NAMES[0]}`;
  expect(await storage.list(uri)).toEqual([uri]);
  await expect(storage.list(`${server.url}/*/part-*`)).rejects.toMatchObject({ code: "bad-pattern" });
});

it("never says what a URL is signed or opened with", async () => {
  server.fault = () => ({ status: 403 });
  const uri = `${server.url.replace("//", "//somebody:hush@")}/a.parquet?X-Amz-Signature=hush&part=1`;
  const [listed] = await storage.list(uri);
  expect(listed).toBe(`${server.url}/a.parquet`);
  const error = await storage.stat(listed!).catch((error: unknown) => error);
  expect(error).toMatchObject({ code: "no-permission" });
  expect(server.requests[0]!.url).toContain("X-Amz-Signature=hush"); // it was read with it
  expect(JSON.stringify([error, (error as Error).message])).not.toContain("hush");
  expect(String((error as Error).stack)).not.toContain("hush");
});
