/**
 * Every file of a folder gives what its `.expected.json` says. A new case is two new files. The small folder is part of
 * the repository; the large one is looked at where it is there.
 */
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { describe, expect, it } from "vitest";
import type { BadDocumentPolicy, BatchForm, ColumnSelection } from "../../src/formats/shard.ts";
import { DoremiError } from "../../src/lib/errors.ts";
import { LocalStorage } from "../../src/storage/local.ts";
import { expandPattern } from "../../src/storage/pattern.ts";
import { readAll, textSha256 } from "./reading.ts";

interface Expected {
  readonly outcome: "ok" | "error" | "policy";
  readonly text_column?: string;
  readonly domain_column?: string;
  readonly rows?: number;
  readonly texts?: readonly (string | null)[];
  readonly row_sha256?: readonly (string | null)[];
  readonly row_group_rows?: readonly number[];
  readonly text_bytes?: number;
  readonly text_sha256?: string;
  readonly domains?: readonly (string | null)[];
  readonly row_bytes_hex?: readonly string[];
  readonly error?: { readonly kind: string; readonly line?: number; readonly columns?: readonly string[] };
}

/** Where a format leaves the choice, what this reader does: an error's code, or the exact texts. */
const POLICY: Readonly<Record<string, string>> = {
  "ar-big-endian.arrow": "unsupported-endianness",
  "ar-big-endian.arrows": "unsupported-endianness",
  "ar-run-end-encoded.arrow": "wrong-column-type",
  "jl-bz2.jsonl.bz2": "unsupported-format",
  "jl-deep-nesting.jsonl": "texts",
  "jl-empty-file.jsonl": "empty-file",
  "jl-invalid-utf8.jsonl": "invalid-utf8",
  "jl-json-array.json": "bad-json",
  "jl-lone-surrogate.jsonl": "invalid-utf8",
  "jl-nan.jsonl": "bad-json",
  "jl-pretty.json": "bad-json",
  "jl-zst-named-gz.jsonl.gz": "texts",
  "pq-bitflip-zstd-crc-off.parquet": "any",
  // Bytes come out as they are stored; what is not UTF-8 in them is for the consumer of the batch to judge.
  "pq-invalid-utf8-annotated.parquet": "stored bytes",
  "pq-invalid-utf8.parquet": "stored bytes",
  "pq-is-arrow.parquet": "texts",
  "pq-null-type.parquet": "texts",
  "pq-rows-claim-fewer.parquet": "row-count-mismatch",
};

/** Codes that say the same as the sidecar's kind, for files where two things are wrong at once. */
const SAME: Readonly<Record<string, readonly string[]>> = {
  "pq-bomb-claims-only.parquet": ["page-too-large"],
};

/**
 * Files of the large folder that are not what their sidecar says: the claim of 1 TiB was written over other bytes than a
 * buffer's length. The claim itself is tested in limits.test.ts.
 */
const MISMADE: ReadonlySet<string> = new Set(["ar-bomb-claims-lz4.arrow", "ar-bomb-claims-zstd.arrow"]);

const shared = join(process.env.DOREMI_SHARED ?? "../shared", "formats");
const folders = ["test/files/formats", shared];

for (const folder of folders) {
  const names = existsSync(folder)
    ? readdirSync(folder)
        .filter((name) => name.endsWith(".expected.json"))
        .map((name) => name.slice(0, -".expected.json".length))
        .filter((name) => !["hive", "hf-layout", "hf-saved"].includes(name) && !MISMADE.has(name))
    : [];
  describe.skipIf(names.length === 0)(`${folder}${names.length === 0 ? " (left out: not there)" : ""}`, () => {
    const cases = names.flatMap((name) => (["owned", "lent"] as const).map((form) => [name, form] as const));
    it.each(cases)("%s, %s", async (name, form) => {
      const expected = JSON.parse(readFileSync(join(folder, `${name}.expected.json`), "utf8")) as Expected;
      await check(join(folder, name), name, expected, form);
    });
  });
}

/** Folders as data sets come in: files by name, and the texts of each. */
const saved = join(shared, "hf-saved");
describe.skipIf(!existsSync(saved))(`${saved}${existsSync(saved) ? "" : " (left out: not there)"}`, () => {
  it("both streams of a saved Hugging Face data set", async () => {
    const expected = JSON.parse(readFileSync(`${saved}.expected.json`, "utf8")) as Expected;
    const parts = ["data-00000-of-00002.arrow", "data-00001-of-00002.arrow"];
    const rows = (await Promise.all(parts.map((name) => readAll(join(saved, name), { text: "text" })))).flatMap(
      ({ rows }) => rows,
    );
    expect(rows.map((row) => row?.toString("utf8") ?? null)).toEqual(expected.texts);
    await expect(readAll(join(saved, "state.json"), { text: "text" })).rejects.toBeInstanceOf(DoremiError);
  });
});

const hive = join(shared, "hive");
describe.skipIf(!existsSync(hive))(`${hive}${existsSync(hive) ? "" : " (left out: not there)"}`, () => {
  it("every document of the domain that its folder names, and no file beside the data", async () => {
    const expected = JSON.parse(readFileSync(`${hive}.expected.json`, "utf8")) as FolderExpected;
    const found = await expandPattern(new LocalStorage(), join(hive, "domain={domain}/*"));
    const byFile = await Promise.all(
      found.map(async ({ path }) => [relative(hive, path), await textsOf(path)] as const),
    );
    expect(Object.fromEntries(byFile)).toEqual(expected.texts_by_file);
    const named = found.flatMap(({ domain }) => (domain === null ? [] : [domain]));
    expect([...new Set(named)].sort()).toEqual([...expected.domain_values!].sort());
  });
});

const layout = join(shared, "hf-layout");
describe.skipIf(!existsSync(layout))(`${layout}${existsSync(layout) ? "" : " (left out: not there)"}`, () => {
  it.each(["train", "validation"])("the %s split of a Hugging Face data set, and nothing of another", async (split) => {
    const expected = JSON.parse(readFileSync(`${layout}.expected.json`, "utf8")) as FolderExpected;
    const found = await expandPattern(new LocalStorage(), join(layout, `data/${split}-*`));
    const texts = (await Promise.all(found.map(({ path }) => textsOf(path)))).flat();
    expect(texts).toEqual(expected.splits![split]!.texts);
  });
});

/** What is not UTF-8, under each policy. */
const invalid = ["pq-invalid-utf8.parquet", "pq-invalid-utf8-annotated.parquet"];
describe.skipIf(!existsSync(join(shared, invalid[0]!)))("invalid UTF-8 of the large folder", () => {
  it.each(invalid)("%s: refused with its first row, left out, or replaced", async (name) => {
    const path = join(shared, name);
    const expected = JSON.parse(readFileSync(`${path}.expected.json`, "utf8")) as FolderExpected;
    const bad = expected.invalid_rows!;
    const read = (onBadDocument: BadDocumentPolicy) => textsOf(path, { text: "text", onBadDocument });
    await expect(read("fail")).rejects.toMatchObject({ code: "invalid-utf8", file: path });
    await expect(read("fail")).rejects.toThrow(`row ${bad[0]} of it (from 0)`);
    expect(await read("replace")).toEqual(expected.replaced_texts);
    expect(await read("skip")).toEqual(expected.replaced_texts!.map((text, row) => (bad.includes(row) ? null : text)));
  });
});

async function textsOf(path: string, columns: ColumnSelection = { text: "text" }): Promise<(string | null)[]> {
  const { rows } = await readAll(path, columns);
  return rows.map((row) => row?.toString("utf8") ?? null);
}

interface FolderExpected {
  readonly texts_by_file?: Readonly<Record<string, readonly (string | null)[]>>;
  readonly domain_values?: readonly string[];
  readonly splits?: Readonly<Record<string, { readonly texts: readonly (string | null)[] }>>;
  readonly invalid_rows?: readonly number[];
  readonly replaced_texts?: readonly string[];
}

async function check(path: string, name: string, expected: Expected, form: BatchForm): Promise<void> {
  const columns = {
    text: expected.text_column ?? "text",
    ...(expected.domain_column !== undefined && { domain: expected.domain_column }),
  };
  const outcome = await readAll(path, columns, {}, form).catch((error: unknown) => error);
  const wanted =
    expected.outcome === "policy" ? POLICY[name] : expected.outcome === "error" ? expected.error!.kind : "texts";
  expect(wanted, `a stated policy for ${name}`).toBeDefined();
  if (wanted === "any") {
    if (outcome instanceof Error) expect(outcome).toBeInstanceOf(DoremiError);
    return;
  }
  if (wanted !== "texts" && wanted !== "stored bytes") {
    expect(outcome).toBeInstanceOf(DoremiError);
    const error = outcome as DoremiError;
    expect([wanted, ...(SAME[name] ?? [])], error.message).toContain(error.code);
    expect(error.file).toBe(path);
    expect(error.message).toContain(path);
    if (expected.error?.line !== undefined) expect(error.line).toBe(expected.error.line);
    for (const column of expected.error?.columns ?? []) expect(error.message).toContain(column);
    return;
  }
  if (outcome instanceof Error) throw outcome;
  const { rows, domains, unitRows, layout } = outcome as Awaited<ReturnType<typeof readAll>>;
  if (expected.rows !== undefined) expect(rows).toHaveLength(expected.rows);
  if (layout.rows !== null) expect(layout.rows).toBe(rows.length);
  if (expected.texts) expect(rows.map((row) => row?.toString("utf8") ?? null)).toEqual(expected.texts);
  if (expected.row_sha256) {
    expect(rows.map((row) => row && createHash("sha256").update(row).digest("hex"))).toEqual(expected.row_sha256);
  }
  if (expected.text_bytes !== undefined) {
    expect(rows.reduce((sum, row) => sum + (row?.length ?? 0), 0)).toBe(expected.text_bytes);
  }
  if (expected.text_sha256 !== undefined) expect(textSha256(rows)).toBe(expected.text_sha256);
  if (expected.row_bytes_hex) expect(rows.map((row) => row?.toString("hex"))).toEqual(expected.row_bytes_hex);
  if (expected.domains) expect(domains).toEqual(expected.domains);
  if (expected.row_group_rows) expect(unitRows).toEqual(expected.row_group_rows);
}
