/**
 * Manifests and selections that nobody would write: whatever they say, verifying and reading them gives problems or a
 * DoremiError, soon, in little memory, and never opens what is outside the root.
 */
import { execFileSync } from "node:child_process";
import { mkdtemp, readFile, realpath, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, sep } from "node:path";
import fc from "fast-check";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { DoremiError } from "../../src/lib/errors.ts";
import type { ManifestFile, SelectionRow } from "../../src/manifest/contract.ts";
import { type ReadManifestOptions, readManifest } from "../../src/manifest/read.ts";
import { readSelection, writeSelection } from "../../src/manifest/selection-file.ts";
import { readStoredUnit } from "../../src/manifest/source-shard.ts";
import { verifyManifest } from "../../src/manifest/verify.ts";
import { recount, writeCorpus } from "./corpus.ts";
import { type Loose, resample, tamper } from "./resample.ts";

const folder = await realpath(await mkdtemp(join(tmpdir(), "doremi-fuzz-")));
const corpus = join(folder, "corpus");
const out = join(folder, "out", "run");
const manifest = join(out, "manifest.json");
await writeCorpus(corpus);
await writeFile(join(folder, "secret.jsonl"), '{"text":"secret","domain":"web"}\n');
await resample(corpus, out, "../../corpus", {
  selection: { granularity: "document", order: "mixed", shuffle: "document" },
});
const text = await readFile(manifest, "utf8");
const selection = await readFile(join(out, "selection.parquet"));
const rows: SelectionRow[] = [];
for await (const chunk of readSelection(join(out, "selection.parquet"))) rows.push(...chunk);

beforeEach(async () => {
  await writeFile(manifest, text);
  await writeFile(join(out, "selection.parquet"), selection);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Of every shard that was asked for, where it is. */
const opened = new Set<string>();

const verify = (sample?: number) =>
  verifyManifest(manifest, {
    recount: (files: readonly ManifestFile[]) => {
      for (const { path } of files) opened.add(join(corpus, path));
      return recount(corpus, files);
    },
    ...(sample !== undefined && { sample: { share: sample } }),
  });

/** Reads a part of a part, so that a manifest that claims more is no reason to read on. */
async function read(options: ReadManifestOptions = {}): Promise<number> {
  let documents = 0;
  const readUnit: ReadManifestOptions["readUnit"] = (request) => {
    opened.add(request.path);
    return readStoredUnit(request);
  };
  for await (const _ of readManifest(manifest, { readUnit, ...options })) if (++documents === 400) break;
  return documents;
}

/** Does everything with the manifest as it lies there. */
async function tryAll(): Promise<void> {
  for (const attempt of [
    verify,
    () => verify(0.5),
    read,
    () => read({ shardIndex: 1, numShards: 3, windowBytes: 999 }),
  ]) {
    try {
      await attempt();
    } catch (error) {
      expect(error).toBeInstanceOf(DoremiError);
      expect((error as DoremiError).kind).not.toBe("internal");
    }
  }
  for (const path of opened) expect(path.startsWith(corpus + sep)).toBe(true);
  expect(opened).not.toContain(join(folder, "secret.jsonl"));
}

const ESCAPES = [
  "../secret.jsonl",
  "books/../../secret.jsonl",
  "/etc/passwd",
  join(folder, "secret.jsonl"),
  "..",
  ".",
  "",
  "books//a.jsonl",
  "./books/a.jsonl",
  "books/a.jsonl/",
  "..\\secret.jsonl",
  "C:\\secret.jsonl",
  "C:secret.jsonl",
  "\\\\host\\share\\secret.jsonl",
  "file:///etc/passwd",
  "books/a.jsonl\0.txt",
  "\0",
  "books/%2e%2e/%2e%2e/secret.jsonl",
  "~/secret.jsonl",
  "x".repeat(5000),
];

describe("a changed manifest", () => {
  const places: (string | number)[][] = [];
  const walk = (value: unknown, path: (string | number)[]) => {
    places.push(path);
    if (Array.isArray(value)) value.forEach((item, i) => void walk(item, [...path, i]));
    else if (value && typeof value === "object")
      for (const [k, item] of Object.entries(value)) walk(item, [...path, k]);
  };
  walk(JSON.parse(text), []);
  const value = fc.oneof(
    fc.jsonValue(),
    fc.constantFrom<unknown>(-1, 1e300, "", null, [], {}, 0, 1, 2 ** 31, 2 ** 53, 2 ** 53 - 1, 0.1, 5e-324),
    fc.constantFrom<unknown>("__proto__", "constructor", "toString", "mixed", "domain", "none", "shard", "row-group"),
    fc.constantFrom<unknown>(...ESCAPES),
  );

  it("wherever and however, gives problems or a DoremiError, nothing else", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.constantFrom(...places), value), { minLength: 1, maxLength: 3 }),
        async (changes) => {
          let changed = JSON.parse(text);
          for (const [path, replacement] of changes) {
            const last = path.at(-1);
            const parent = path.slice(0, -1).reduce((node: Loose, key) => node?.[key], changed);
            if (last === undefined) changed = replacement;
            else if (parent !== null && typeof parent === "object") parent[last] = replacement;
          }
          await writeFile(manifest, JSON.stringify(changed));
          await tryAll();
        },
      ),
      { numRuns: 60 },
    );
  }, 60_000);

  it.each(["version", "domains", "transform", "heldOut", "domainRule", "more"])(
    "nested a hundred thousand deep in %s",
    async (key) => {
      for (const [open, close] of [
        ["[", "]"],
        ['{"a":', "}"],
      ] as const) {
        const deep = `${open.repeat(100_000)}1${close.repeat(100_000)}`;
        await writeFile(manifest, text.replace(/^\{/, `{"${key}-was":0,`).replace(/\}\s*$/, `,"${key}":${deep}}`));
        await tryAll();
      }
    },
  );

  it("with keys of the prototype changes nothing", async () => {
    const polluted = text
      .replace(/^\{/, '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}},')
      .replace('"columns": {', '"columns": {"__proto__":{"domain":"x"},');
    expect(polluted).not.toBe(text);
    await writeFile(manifest, polluted);
    expect(await verify()).toMatchObject({ ok: true });
    expect(({} as { polluted?: number }).polluted).toBeUndefined();
  });

  it("of a file and a domain that are named like the prototype's parts", async () => {
    for (const name of ["__proto__", "constructor", "hasOwnProperty"]) {
      await tamper(manifest, (m) => {
        m.files[0].path = name;
        m.domains[0].name = name;
        m.files[0].domain = name;
      });
      await tryAll();
      const { problems } = await verify();
      expect(problems).toContainEqual(expect.objectContaining({ code: "missing-file", file: name }));
      await writeFile(manifest, text);
    }
  });

  const paths = ESCAPES.map((path) => [JSON.stringify(path.slice(0, 40)), path] as const);
  it.each(paths)("whose file, selection or transform is at %s opens nothing outside", async (_, path) => {
    const moved = rows.map((row) => (row.file === "mixed/m.jsonl" ? { ...row, file: path } : row));
    const written = await writeSelection(join(out, "selection.parquet"), moved);
    await tamper(manifest, (m) => {
      m.files[1].path = path;
      Object.assign(m.selection, written);
    });
    await tryAll();
    expect((await verify().catch((error: unknown) => error)) as object).not.toMatchObject({ ok: true });
    await expect(read()).rejects.toBeInstanceOf(DoremiError);
    await writeFile(manifest, text);
    await tamper(manifest, (m) => (m.selection.path = path));
    await tryAll();
    await expect(read()).rejects.toBeInstanceOf(DoremiError);
    await writeFile(manifest, text);
    await tamper(manifest, (m) => (m.transform = { module: path, sha256: "0".repeat(64), columns: [], options: {} }));
    await expect(readManifest(manifest).next()).rejects.toMatchObject({ code: "needs-transform" });
  });

  it("whose selection is a link to another folder, or a file a link out of the root, is refused", async () => {
    await rm(join(out, "selection.parquet"));
    await writeFile(join(folder, "elsewhere.parquet"), selection);
    await symlink(join(folder, "elsewhere.parquet"), join(out, "selection.parquet"));
    expect((await verify()).problems.map((problem) => problem.code)).toContain("path-outside-root");
    await expect(read()).rejects.toMatchObject({ code: "path-outside-root" });
    await rm(join(out, "selection.parquet"));
  });

  it.skipIf(process.platform === "win32")("whose file is a named pipe does not wait for its writer", async () => {
    execFileSync("mkfifo", [join(corpus, "books", "pipe.jsonl")]);
    await tamper(manifest, (m) => (m.files[0].path = "books/pipe.jsonl"));
    expect((await verify()).problems[0]).toMatchObject({ code: "not-a-file" });
  });
});

describe("a changed selection", () => {
  it("with any byte changed gives problems, never an exception", async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(selection.length - 1), fc.integer({ min: 1, max: 255 }), async (place, change) => {
        const broken = Buffer.from(selection);
        broken[place]! ^= change;
        await writeFile(join(out, "selection.parquet"), broken);
        expect((await verify()).ok).toBe(false);
        await tryAll();
      }),
      { numRuns: 40 },
    );
  }, 60_000);

  it("of any numbers gives problems or a DoremiError", async () => {
    const number = fc.oneof(fc.nat(200), fc.constantFrom(0, 2 ** 31 - 1));
    const long = fc.oneof(number, fc.constantFrom(2 ** 31, 2 ** 40, 2 ** 53 - 1));
    const row = fc.record({
      file: fc.constantFrom(...new Set(rows.map((row) => row.file)), "__proto__", ...ESCAPES),
      rowGroup: number,
      rowStart: long,
      rowEnd: long,
      domain: fc.constantFrom(...new Set(rows.map((row) => row.domain)), "__proto__", ""),
      epoch: number,
      tokens: long,
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(rows.length - 1), row), { minLength: 1, maxLength: 5 }),
        async (changes) => {
          const changed = [...rows];
          for (const [at, wrong] of changes) changed[at] = wrong;
          const written = await writeSelection(join(out, "selection.parquet"), changed);
          await tamper(manifest, (m) => Object.assign(m.selection, written));
          expect((await verify()).ok).toBe(false);
          await tryAll();
        },
      ),
      { numRuns: 30 },
    );
  }, 60_000);

  it("of two thousand million rows takes little memory and time", async () => {
    const claimed = 2 ** 31;
    for (const { order, shuffle } of [
      { order: "mixed", shuffle: "document" },
      { order: "domain", shuffle: "none" },
    ]) {
      await writeFile(manifest, text);
      const { path, domain } = { path: "books/a.jsonl", domain: "books" };
      await tamper(manifest, (m) => {
        const file = m.files.find((file: ManifestFile) => file.path === path);
        Object.assign(file, { rows: claimed, rowGroups: [claimed] });
        Object.assign(m, { order, shuffle });
        Object.assign(m.domains[0], {
          documents: claimed,
          selectedDocuments: claimed,
          bytes: claimed,
          tokens: claimed,
        });
      });
      const row = { file: path, rowGroup: 0, rowStart: 0, rowEnd: claimed, domain, epoch: 0, tokens: claimed };
      const written = await writeSelection(join(out, "selection.parquet"), [row]);
      await tamper(manifest, (m) => Object.assign(m.selection, written, { documents: claimed }));
      const before = process.memoryUsage.rss();
      const started = performance.now();
      expect((await verify()).problems.map((problem) => problem.code)).toContain("not-a-document");
      await tryAll();
      expect(process.memoryUsage.rss() - before).toBeLessThan(700e6); // a window of 128 MiB, a bit for each row
      expect(performance.now() - started).toBeLessThan(30_000);
    }
  }, 90_000);
});
