import { createHmac } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { loadManifest } from "../../src/manifest/load.ts";
import { draftPipeline } from "../../src/pipeline/init/draft.ts";
import { definePipeline } from "../../src/pipeline/load.ts";
import { materialize } from "../../src/pipeline/materialize.ts";
import { readManifest } from "../../src/pipeline/read-manifest.ts";
import { runPipeline } from "../../src/pipeline/run.ts";
import { verify } from "../../src/pipeline/verify.ts";
import { hashOf, objectStorage, readWhole } from "../../src/storage/files.ts";
import { LocalStorage } from "../../src/storage/local.ts";
import { ObjectStorage } from "../../src/storage/object-storage.ts";
import { faultOf, serviceOptions } from "../../src/storage/opendal.ts";
import { expandPattern } from "../../src/storage/pattern.ts";
import { Requests, requestSettings } from "../../src/storage/requests.ts";
import { smallPipeline, TOKENIZER, temporaryFolder } from "../e2e/small.ts";
import { TestServer } from "./server.ts";
import {
  AZURITE_ACCOUNT,
  AZURITE_KEY,
  hasAzurite,
  hasMoto,
  required,
  type Store,
  startAzurite,
  startMoto,
} from "./stores.ts";

/** Of the storage that runs use, and of their workers. */
process.env.DOREMI_STORAGE_RETRIES = "3";

const FOLDERS = fileURLToPath(new URL("../files/corpus/folders", import.meta.url));
const SECRET = "hush-hush";
const QUICK = new Requests({ timeoutMs: 2000, retries: 2, concurrency: 8 });

function useS3(url: string): void {
  vi.stubEnv("AWS_ENDPOINT_URL", url);
  vi.stubEnv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE");
  vi.stubEnv("AWS_SECRET_ACCESS_KEY", SECRET);
  vi.stubEnv("AWS_REGION", "us-east-1");
}
afterEach(() => vi.unstubAllEnvs());

describe("what a bucket answers", () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await TestServer.files(new Map([["bucket/a.txt", Buffer.from("0123456789")]]));
  });
  beforeEach(() => useS3(server.url));
  afterEach(() => server.forget());
  afterAll(() => server.close());
  const open = () => new ObjectStorage(QUICK).open("s3://bucket/a.txt", { size: 10, version: '"v"' });

  it.each([
    [403, "AccessDenied", "no-permission", 77],
    [403, "InvalidAccessKeyId", "no-permission", 77],
    [403, "SignatureDoesNotMatch", "no-permission", 77],
    [400, "ExpiredToken", "no-permission", 77],
    [403, "RequestTimeTooSkewed", "clock-skew", 77],
    [404, "NoSuchKey", "missing-file", 66],
    [404, "NoSuchBucket", "missing-bucket", 66],
    [301, "PermanentRedirect", "wrong-region", 78],
    [400, "AuthorizationHeaderMalformed", "wrong-region", 78],
    [412, "PreconditionFailed", "file-changed", 65],
    [400, "InvalidRequest", "refused", 65],
  ])("%d %s is said once, as %s", async (status, code, expected, exitStatus) => {
    server.fault = () => ({ status, code });
    const error = await (await open()).read(0, 10).catch((error: unknown) => error);
    expect(error).toMatchObject({ code: expected, exitStatus, file: "s3://bucket/a.txt" });
    expect(server.requests).toHaveLength(1);
    const { message, stack } = error as Error;
    expect(message).toMatch(/^s3:\/\/bucket\/a\.txt: [^\n]*$/);
    expect(`${message}${stack}`).not.toMatch(new RegExp(`${SECRET}|AKID|127\\.0\\.0\\.1`));
  });

  it.each([
    [503, "SlowDown"],
    [500, "InternalError"],
    [429, "TooManyRequests"],
  ])("%d %s is asked again, and then given up", async (status, code) => {
    server.fault = ({ range }) => (range && server.requests.length < 3 ? { status, code } : undefined);
    const file = await open();
    expect(Buffer.from(await file.read(2, 6)).toString()).toBe("2345");
    expect(server.requests).toHaveLength(3);
    server.fault = () => ({ status, code });
    const other = await open();
    await expect(other.read(0, 1)).rejects.toMatchObject({
      code: "unavailable",
      exitStatus: 75,
      message: expect.stringContaining(`after 3 attempts (HTTP ${status} ${code})`),
    });
  });

  it.each(["reset", "truncate"] as const)("a connection that fails with %s is made again", async (fault) => {
    server.fault = () => (server.requests.length === 1 ? fault : undefined);
    expect(Buffer.from(await (await open()).read(0, 10)).toString()).toBe("0123456789");
    expect(server.requests).toHaveLength(2);
  });

  it("an answer that stands still has its time", async () => {
    server.fault = () => "stall";
    const storage = new ObjectStorage(new Requests({ timeoutMs: 100, retries: 1, concurrency: 8 }));
    const file = await storage.open("s3://bucket/a.txt", { size: 10, version: '"v"' });
    await expect(file.read(0, 10)).rejects.toMatchObject({
      code: "unavailable",
      message: expect.stringContaining("after 2 attempts (nothing within 0.1 s)"),
    });
  });

  it("few requests are in flight at a time", async () => {
    const storage = new ObjectStorage(new Requests({ timeoutMs: 100, retries: 0, concurrency: 3 }));
    server.fault = () => "stall";
    const file = await storage.open("s3://bucket/a.txt", { size: 1e6, version: '"v"' });
    const reads = Promise.allSettled(Array.from({ length: 5 }, (_, i) => file.read(i, i + 1)));
    await new Promise((later) => setTimeout(later, 50));
    expect(server.requests.length).toBeLessThanOrEqual(3);
    await reads;
    expect(server.requests).toHaveLength(5);
  });
});

describe("credentials and endpoints", () => {
  it("are taken as the tools of each maker take them", () => {
    expect(
      serviceOptions("s3", "b", {
        AWS_ENDPOINT_URL: "http://e",
        AWS_ENDPOINT_URL_S3: "http://s",
        AWS_SESSION_TOKEN: "t",
      }),
    ).toEqual({ bucket: "b", endpoint: "http://s", region: "us-east-1", session_token: "t" });
    expect(serviceOptions("s3", "b", { AWS_DEFAULT_REGION: "eu-west-1" })).toEqual({
      bucket: "b",
      region: "eu-west-1",
    });
    expect(serviceOptions("s3", "b", { AWS_NO_SIGN_REQUEST: "YES", AWS_ACCESS_KEY_ID: "x" })).toMatchObject({
      allow_anonymous: "true",
    });
    expect(serviceOptions("gs", "b", { GOOGLE_APPLICATION_CREDENTIALS: "/key.json" })).toEqual({
      bucket: "b",
      credential_path: "/key.json",
    });
    expect(serviceOptions("gs", "b", { STORAGE_EMULATOR_HOST: "localhost:4443" })).toMatchObject({
      endpoint: "http://localhost:4443",
      allow_anonymous: "true",
    });
    expect(serviceOptions("az", "c", { AZURE_STORAGE_ACCOUNT: "a", AZURE_STORAGE_KEY: "k==" })).toEqual({
      container: "c",
      endpoint: "https://a.blob.core.windows.net",
      account_name: "a",
      account_key: "k==",
    });
    const connection =
      "DefaultEndpointsProtocol=https;AccountName=a;SharedAccessSignature=?sv=1&sig=x%3D;EndpointSuffix=core.example";
    expect(serviceOptions("az", "c", { AZURE_STORAGE_CONNECTION_STRING: connection })).toEqual({
      container: "c",
      endpoint: "https://a.blob.core.example",
      account_name: "a",
      sas_token: "sv=1&sig=x%3D",
    });
  });

  it("are missed by name", async () => {
    for (const name of [
      "AWS_ACCESS_KEY_ID",
      "AWS_SECRET_ACCESS_KEY",
      "AWS_ENDPOINT_URL",
      "AWS_REGION",
      "AWS_PROFILE",
    ]) {
      vi.stubEnv(name, undefined);
    }
    vi.stubEnv("AWS_EC2_METADATA_DISABLED", "true");
    vi.stubEnv("HOME", "/nowhere");
    const asked = () => new ObjectStorage(QUICK).stat("s3://bucket/a");
    await expect(asked()).rejects.toMatchObject({ code: "no-region", exitStatus: 78 });
    vi.stubEnv("AWS_REGION", "us-east-1");
    await expect(asked()).rejects.toMatchObject({
      code: "no-credentials",
      exitStatus: 77,
      message: expect.stringContaining("AWS_ACCESS_KEY_ID"),
    });
    for (const name of ["AZURE_STORAGE_ACCOUNT", "AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_CONNECTION_STRING"]) {
      vi.stubEnv(name, undefined);
    }
    await expect(new ObjectStorage(QUICK).stat("az://c/a")).rejects.toMatchObject({
      code: "no-credentials",
      message: expect.stringContaining("AZURE_STORAGE_ACCOUNT"),
    });
  });

  it("that were found once are waited for", () => {
    const error = new Error("Unexpected (temporary) at stat, context: { called: reqsign::LoadCredential } => no");
    expect(faultOf(error, false).isTemporary).toBe(false);
    expect(faultOf(error, true).isTemporary).toBe(true);
  });

  it("settings of the requests are numbers", () => {
    expect(requestSettings({ DOREMI_STORAGE_TIMEOUT: "1.5", DOREMI_STORAGE_RETRIES: "0" })).toMatchObject({
      timeoutMs: 1500,
      retries: 0,
    });
    expect(() => requestSettings({ DOREMI_STORAGE_RETRIES: "many" })).toThrow(
      expect.objectContaining({ code: "bad-setting", kind: "bad-configuration" }),
    );
  });
});

const NAMES = [
  "books/part-1.jsonl",
  "books/part-10.jsonl",
  "books/.part-1.crc",
  "books/_SUCCESS",
  "Web/part-1.jsonl",
  "_temporary/part-1.jsonl",
  "odd #1?%20é/a[1] b.jsonl",
  "hive/domain=C%20Source/x",
];
const PATTERNS = [
  "books/part-?.jsonl",
  "{books,Web}/*",
  "**/part-1.*",
  "books/_*",
  "books/.*",
  "[!a-z]*/part-1.*",
  "odd #1*/a*",
  "odd #1?%20é/a[1] b.jsonl",
  "books/part-1.jsonl",
  "books",
  "nothing/*",
];

/** The same of every store: what it lists, what it gives, and what is said where it does not. */
function storeTests(scheme: "s3" | "az", start: () => Promise<Store>, prepare: (store: Store) => Promise<void>): void {
  let store: Store;
  let proxy: TestServer;
  let folder: string;
  const use = (url: string) => {
    if (scheme === "s3") return useS3(url);
    vi.stubEnv("AZURE_STORAGE_ACCOUNT", AZURITE_ACCOUNT);
    vi.stubEnv("AZURE_STORAGE_KEY", AZURITE_KEY);
    vi.stubEnv("AZURITE_BLOB_STORAGE_URL", url);
  };
  const root = `${scheme}://corpus`;
  const storage = () => new ObjectStorage(QUICK);

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "doremi-names-"));
    store = await start();
    proxy = await TestServer.proxy(store.url);
    use(proxy.url);
    await prepare(store);
    for (const name of NAMES) {
      await mkdir(dirname(join(folder, name)), { recursive: true });
      await writeFile(join(folder, name), name);
      await storage().write(`${root}/names/${name}`, Buffer.from(name));
    }
    for (const name of await readdir(FOLDERS, { recursive: true })) {
      if (/\/part-/.test(name)) await storage().write(`${root}/folders/${name}`, await readFile(join(FOLDERS, name)));
    }
    vi.unstubAllEnvs();
  });
  beforeEach(() => use(proxy.url));
  afterEach(() => proxy.forget());
  afterAll(async () => {
    await proxy?.close();
    await store?.close();
    await rm(folder, { recursive: true, force: true });
  });

  it.each(PATTERNS)("lists %s as it is listed here", async (pattern) => {
    const here = await new LocalStorage().list(join(folder, pattern));
    const there = await storage().list(`${root}/names/${pattern}`);
    expect(there).toEqual(here.map((path) => `${root}/names${path.slice(folder.length)}`));
  });

  it("finds the domain in a key", async () => {
    expect(await expandPattern(storage(), `${root}/names/{domain}/part-*`)).toEqual([
      { path: `${root}/names/Web/part-1.jsonl`, domain: "Web" },
      { path: `${root}/names/books/part-1.jsonl`, domain: "books" },
      { path: `${root}/names/books/part-10.jsonl`, domain: "books" },
    ]);
    expect(await expandPattern(storage(), `${root}/names/hive/domain={domain}/*`)).toMatchObject([
      { domain: "C Source" },
    ]);
  });

  it("drafts a pipeline file of a prefix", async () => {
    const path = join(folder, "p.yaml");
    const draft = await draftPipeline(
      { source: `${root}/folders/`, path, machine: { cores: 2 }, takeLikeliest: false },
      null,
    );
    const { files, domains, textColumn, shards } = draft;
    expect({ files, domains, textColumn, shards }).toEqual({
      files: [`${root}/folders/{domain}/*{.arrow,.jsonl.gz,.parquet}`],
      domains: ["csource", "factbook", "math"],
      textColumn: "text",
      shards: 5,
    });
    expect(draft.text).not.toContain(SECRET);
  });

  it("gives a listed object without asking for its state", async () => {
    const of = storage();
    const [uri] = await of.list(`${root}/names/odd*/*`);
    const state = await of.stat(uri!);
    proxy.forget();
    const file = await of.open(uri!, state);
    expect(Buffer.from(await file.read(4, 9)).toString()).toBe("#1?%2");
    expect(proxy.requests).toHaveLength(1);
    expect(await storage().stat(uri!)).toEqual(state); // the listing and the object say the same version
  });

  it("says what is missing: object, bucket", async () => {
    await expect(storage().stat(`${root}/nothing`)).rejects.toMatchObject({ code: "missing-file", exitStatus: 66 });
    await expect(storage().list(`${scheme}://nowhere/*`)).rejects.toMatchObject({ code: "missing-bucket" });
    await expect(storage().stat(`${scheme}://nowhere/a`)).rejects.toMatchObject({ code: "missing-bucket" });
  });

  it("refuses an object that was written over since its state was asked for", async () => {
    const uri = `${root}/changing`;
    await storage().write(uri, Buffer.from("one"));
    const file = await storage().open(uri);
    await storage().write(uri, Buffer.from("two"));
    await expect(file.read(0, 3)).rejects.toMatchObject({ code: "file-changed", file: uri });
  });

  it("counts as here, in workers, through failures; and only the versions are new where nothing is", async () => {
    const output = temporaryFolder();
    const here = await runPipeline(smallPipeline(temporaryFolder()), { until: "count" });
    const data = { files: `${root}/folders/{domain}/part-*`, heldOut: { fraction: 0.1, minDocuments: 1 } };
    const pipeline = smallPipeline(output, { data });
    let failed = 0;
    proxy.fault = ({ range }) =>
      range !== undefined && ++failed % 5 === 1 ? { status: 503, code: "SlowDown" } : undefined;
    const there = await runPipeline(pipeline, { until: "count" });
    expect(there.count!.domains).toEqual(here.count!.domains);
    expect(failed).toBeGreaterThan(5);
    proxy.forget();
    expect((await runPipeline(pipeline, { until: "count" })).status).toBe("unchanged");
    expect(proxy.requests.filter(({ range }) => range !== undefined)).toEqual([]); // nothing was read
    expect(await readFile(join(output, "count/shards.jsonl"), "utf8")).not.toMatch(/hush|127\.0\.0\.1/);
  });

  outputTests(scheme, () => proxy);
}

/** Signed by hand (Shared Key): the client makes no containers. */
async function createContainer(url: string, name: string): Promise<void> {
  const date = new Date().toUTCString();
  const resource = `/${AZURITE_ACCOUNT}/${AZURITE_ACCOUNT}/${name}\nrestype:container`;
  const text = `PUT${"\n".repeat(12)}x-ms-date:${date}\nx-ms-version:2021-12-02\n${resource}`;
  const signature = createHmac("sha256", Buffer.from(AZURITE_KEY, "base64")).update(text).digest("base64");
  const answer = await fetch(`${url}/${AZURITE_ACCOUNT}/${name}?restype=container`, {
    method: "PUT",
    headers: {
      authorization: `SharedKey ${AZURITE_ACCOUNT}:${signature}`,
      "x-ms-date": date,
      "x-ms-version": "2021-12-02",
    },
  });
  if (answer.status !== 201) throw new Error(`Azurite: HTTP ${answer.status} ${await answer.text()}`);
}

/** Results of a run that go to a store. */
function outputTests(scheme: "s3" | "az", proxy: () => TestServer): void {
  const uri = `${scheme}://corpus/runs/one`;
  const pipelineTo = (output: string, workDir: string) =>
    definePipeline(
      {
        version: 1,
        name: "small",
        output,
        seed: 1,
        workers: 1,
        tokenizer: TOKENIZER,
        cache: false,
        data: { files: `${scheme}://corpus/folders/{domain}/*.jsonl.gz` },
        resample: { weights: "natural", budgetTokens: 20_000 },
      },
      { workDir },
    );
  const resample = (workDir: string) => runPipeline(pipelineTo(uri, workDir), { until: "resample" });

  it("puts the results there, the manifest last; and reads, verifies and repeats them", async () => {
    const workDir = temporaryFolder();
    const { status, paths } = await resample(workDir);
    expect(status).toBe("done");
    expect(paths.manifest).toBe(`${uri}/resample/manifest.json`);
    const puts = proxy().requests.filter(({ method }) => method === "PUT");
    expect(puts.at(-1)!.url).toContain("resample/manifest.json");
    expect(puts.map(({ url }) => url.replace(/.*runs\/one\//, "").replace(/\?.*/, "")).sort()).toEqual([
      "count/00000.counts.arrow",
      "count/00000.counts.arrow.kept.jsonl",
      "count/counts.json",
      "count/shards.jsonl",
      "resample/manifest.json",
      "resample/selection.parquet",
      "resample/tokenizer.json",
    ]);

    const manifest = await loadManifest(paths.manifest!);
    expect(
      manifest.files.every(({ path, sha256, version }) => path.startsWith(uri.slice(0, 5)) && !sha256 && version),
    ).toBe(true);
    expect(JSON.stringify(manifest)).not.toMatch(/hush|127\.0\.0\.1|AKID/);
    expect(await verify(paths.manifest!, { workers: 1 })).toMatchObject({ ok: true, notes: [] });
    let documents = 0;
    for await (const _ of readManifest(paths.manifest!)) documents++;
    expect(documents).toBe(manifest.selection.documents);

    proxy().forget();
    expect((await resample(workDir)).status).toBe("unchanged");
    expect(proxy().requests.filter(({ method }) => method !== "GET" && method !== "HEAD")).toEqual([]);

    await objectStorage().write(`${uri}/resample/selection.parquet`, Buffer.from("somebody's"));
    expect((await resample(workDir)).status).toBe("done");
    expect((await hashOf(`${uri}/resample/selection.parquet`)).sha256).toBe(manifest.selection.sha256);
  });
  if (scheme === "az") return; // the rest is the same of every store

  it("materializes shard by shard, with the bytes of a set made here, and goes on after a failure", async () => {
    const manifest = `${uri}/resample/manifest.json`;
    const settings = { format: "jsonl", compression: "none", shardDocuments: 10, workers: 1 } as const;
    const here = temporaryFolder();
    const { set } = await materialize(manifest, { ...settings, output: here });
    const paths = set.groups.flatMap(({ shards }) => shards.flatMap(({ files }) => files.map(({ path }) => path)));
    expect(paths.length).toBeGreaterThan(2);

    const workDir = join(temporaryFolder(), "work");
    const there = { ...settings, output: `${scheme}://corpus/sets/one`, workDir };
    proxy().forget();
    proxy().fault = ({ method, url }) =>
      method === "PUT" && url.includes(paths[1]!) ? { status: 403, code: "AccessDenied" } : undefined;
    await expect(materialize(manifest, there)).rejects.toMatchObject({ code: "no-permission" });
    expect(await readdir(workDir)).not.toContain(paths[0]); // it was put and taken away here
    expect([...(await objectStorage().listAll(there.output)).keys()]).not.toContain(
      `${there.output}/materialized.json`,
    );

    proxy().forget();
    expect(await materialize(manifest, there)).toMatchObject({ status: "done", output: there.output });
    const puts = proxy().requests.filter(({ method }) => method === "PUT");
    expect(puts).toHaveLength(paths.length); // all but the first, and the record
    expect(puts.at(-1)!.url).toContain("materialized.json");
    for (const path of paths) {
      expect(Buffer.compare(await readWhole(`${there.output}/${path}`), await readFile(join(here, path)))).toBe(0);
    }
    await expect(readdir(workDir)).rejects.toMatchObject({ code: "ENOENT" });

    expect((await materialize(manifest, there)).status).toBe("unchanged");
    await expect(materialize(manifest, { ...there, shardDocuments: 11 })).rejects.toMatchObject({ code: "other-set" });
    await expect(materialize(manifest, { ...there, output: `${scheme}://corpus/folders` })).rejects.toMatchObject({
      code: "other-set",
    });
  });

  it("finds an object that is not the one that was counted", async () => {
    const [file] = (await loadManifest(`${uri}/resample/manifest.json`)).files;
    const before = Buffer.from(await readWhole(file!.path));
    await objectStorage().write(file!.path, Buffer.concat([before, Buffer.from(" ")]));
    const { ok, problems } = await verify(`${uri}/resample/manifest.json`, { workers: 1 });
    expect(ok).toBe(false);
    expect(problems.map(({ code }) => code)).toContain("version");
    await objectStorage().write(file!.path, before);
  });

  it("leaves no manifest where the upload fails, and goes on from there", async () => {
    const workDir = temporaryFolder();
    const other = `${scheme}://corpus/runs/two`;
    const pipeline = pipelineTo(other, workDir);
    proxy().fault = ({ method, url }) =>
      method === "PUT" && url.includes("selection.parquet") ? { status: 503, code: "SlowDown" } : undefined;
    await expect(runPipeline(pipeline, { until: "resample" })).rejects.toMatchObject({ code: "unavailable" });
    expect([...(await objectStorage().listAll(`${other}/resample/`)).keys()]).not.toContain(
      `${other}/resample/manifest.json`,
    );
    proxy().forget();
    const result = await runPipeline(pipeline, { until: "resample" });
    expect(result.stages.map(({ status }) => status)).not.toContain("done"); // what was done here is kept
    expect(result.status).toBe("done");
    expect(await loadManifest(result.paths.manifest!)).toMatchObject({ name: "small" });
  });

  it("refuses shards of this machine", async () => {
    const pipeline = { ...smallPipeline(temporaryFolder()), publish: uri };
    await expect(runPipeline(pipeline, { until: "count" })).rejects.toMatchObject({
      code: "local-inputs",
      exitStatus: 78,
    });
  });
}

const left = (name: string, there: boolean, how: string) =>
  there || required ? name : `${name} (skipped: ${how}; see test/storage/stores.ts)`;

describe.skipIf(!hasMoto && !required)(left("S3", hasMoto, "no moto in DOREMI_CONSUMERS"), () => {
  storeTests("s3", startMoto, async ({ url }) => {
    await fetch(`${url}/corpus`, { method: "PUT" });
  });
});

describe.skipIf(!hasAzurite && !required)(left("Azure", hasAzurite, "no DOREMI_AZURITE"), () => {
  storeTests("az", startAzurite, async ({ url }) => {
    await createContainer(url, "corpus");
  });
});
