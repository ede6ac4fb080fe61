import { execFile } from "node:child_process";
import { chmod, mkdir, mkdtemp, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { LocalStorage } from "../../src/storage/local.ts";
import { domainMatcher, expandPattern } from "../../src/storage/pattern.ts";

const storage = new LocalStorage();
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "doremi-storage-"));
  const names = [
    "books/part-1.parquet",
    "books/part-10.parquet",
    "books/part-2.parquet",
    "books/.part-1.crc",
    "books/_SUCCESS",
    "Web/part-1.jsonl",
    "_temporary/part-1.parquet",
    ".hidden/part-1.parquet",
    "flat/web-1.jsonl",
    "data (1)+@!x/a!b-1.jsonl",
    "flat/wiki-en-2.jsonl",
    "flat/a[1].jsonl",
    "hive/domain=C%20Source%2FPython/x",
    "hive/domain=__HIVE_DEFAULT_PARTITION__/x",
    "hive/domain=a%zz/x",
  ];
  for (const name of names) {
    await mkdir(join(folder, name, ".."), { recursive: true });
    await writeFile(join(folder, name), name);
  }
  await symlink(join(folder, "books/part-1.parquet"), join(folder, "flat/link.jsonl"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const listed = async (pattern: string) =>
  (await storage.list(join(folder, pattern))).map((path) => relative(folder, path));

describe("list", () => {
  it.each([
    ["books/part-*", ["books/part-1.parquet", "books/part-10.parquet", "books/part-2.parquet"]],
    ["books/part-?.parquet", ["books/part-1.parquet", "books/part-2.parquet"]],
    ["books/part-[13]*", ["books/part-1.parquet", "books/part-10.parquet"]],
    ["books/part-[!1]*", ["books/part-2.parquet"]],
    ["books/part-[^1]*", ["books/part-2.parquet"]],
    ["[!a-z]*/part-1.*", ["Web/part-1.jsonl"]],
    ["{books,Web}/part-1.*", ["Web/part-1.jsonl", "books/part-1.parquet"]],
    ["**/part-1.*", ["Web/part-1.jsonl", "books/part-1.parquet"]],
    ["books/*", ["books/part-1.parquet", "books/part-10.parquet", "books/part-2.parquet"]],
    ["books/_*", ["books/_SUCCESS"]],
    ["books/.*", ["books/.part-1.crc"]],
    ["_temporary/*", ["_temporary/part-1.parquet"]],
    ["_*/part-*", ["_temporary/part-1.parquet"]],
    ["flat/a[1].jsonl", ["flat/a[1].jsonl"]],
    ["flat/l*", ["flat/link.jsonl"]],
    ["data (1)+@!x/a!b-*.jsonl", ["data (1)+@!x/a!b-1.jsonl"]],
    ["data (1)*/a!*", ["data (1)+@!x/a!b-1.jsonl"]],
    ["nothing/*", []],
    ["books", []],
  ])("%s", async (pattern, expected) => {
    expect(await listed(pattern)).toEqual(expected);
  });

  it("a link to nothing is data that is missing, if the pattern means it", async () => {
    await mkdir(join(folder, "links"));
    await writeFile(join(folder, "links/a.jsonl"), "");
    await symlink(join(folder, "gone.jsonl"), join(folder, "links/b.jsonl"));
    await expect(listed("links/*.jsonl")).rejects.toMatchObject({
      code: "missing-file",
      file: join(folder, "links/b.jsonl"),
    });
    expect(await listed("links/a*")).toEqual(["links/a.jsonl"]);
    await rm(join(folder, "links"), { recursive: true });
  });

  it("a folder that can't be listed is data that is missing", async () => {
    const closed = join(folder, "closed/inside");
    await mkdir(closed, { recursive: true });
    await chmod(folder, 0o755);
    await chmod(closed, 0);
    // root may list every folder: somebody else asks
    const list = `import { listFiles } from ${JSON.stringify(join(import.meta.dirname, "../../src/storage/glob.ts"))};
      if (process.getuid() === 0) process.seteuid(65534);
      listFiles(${JSON.stringify(join(folder, "closed/*/x"))}).catch((error) => console.log(error.code, error.file));`;
    const { stdout } = await promisify(execFile)(process.execPath, [
      ...["--import", "tsx", "--input-type=module"],
      ...["--eval", list],
    ]);
    expect(stdout.trim()).toBe(`no-permission ${closed}/`);
    await chmod(closed, 0o755);
  });

  it("spells paths as the pattern does", async () => {
    const here = `./${relative(process.cwd(), folder)}`;
    expect(await storage.list(`${here}/Web/*`)).toEqual([`${here}/Web/part-1.jsonl`]);
    expect(await expandPattern(storage, `${here}/{domain}/part-1.jsonl`)).toEqual([
      { path: `${here}/Web/part-1.jsonl`, domain: "Web" },
    ]);
  });
});

describe("{domain}", () => {
  it.each([
    ["{domain}/part-*", ["Web", "books", "books", "books"]],
    ["flat/{domain}-*.jsonl", ["web", "wiki"]],
    ["flat/{domain}-[0-9].jsonl", ["web", "wiki-en"]],
    ["hive/domain={domain}/*", ["C Source/Python", null, "a%zz"]],
    ["data (1)*/{domain}!b-?.jsonl", ["a"]],
    ["hive/{domain}/x", ["domain=C%20Source%2FPython", "domain=__HIVE_DEFAULT_PARTITION__", "domain=a%zz"]],
  ])("%s", async (pattern, domains) => {
    const found = await expandPattern(storage, join(folder, pattern));
    expect(found.map(({ domain }) => domain)).toEqual(domains);
  });

  it("stands once", async () => {
    await expect(expandPattern(storage, "{domain}/{domain}/*")).rejects.toMatchObject({ code: "bad-pattern" });
  });

  it("does not match other folders", () => {
    expect(domainMatcher("a/{domain}/*")("a/b/c/d")).toBeUndefined();
  });
});

describe("files", () => {
  it("tells versions apart by the nanosecond", async () => {
    const path = join(folder, "books/part-1.parquet");
    await utimes(path, 1, 1);
    const before = await storage.stat(path);
    await utimes(path, 1, 2);
    const after = await storage.stat(path);
    expect(before.size).toBe("books/part-1.parquet".length);
    expect(before.version).toMatch(/^1000000000-\d+-\d+$/);
    expect(after.version).not.toBe(before.version);
  });

  it("reads ranges, clipped to the end, and streams", async () => {
    const path = join(folder, "stream");
    const content = Buffer.alloc(2_500_000, "0123456789");
    await writeFile(path, content);
    const file = await storage.open(path);
    expect(Buffer.from(await file.read(8, 12)).toString()).toBe("8901");
    expect((await file.read(2_499_999, 9_999_999)).length).toBe(1);
    expect((await file.read(5_000_000, 6_000_000)).length).toBe(0);
    const chunks: Uint8Array[] = [];
    for await (const chunk of file.stream(3, 2_000_000)) chunks.push(chunk);
    expect(chunks.length).toBeGreaterThan(1);
    expect(Buffer.concat(chunks).equals(content.subarray(3, 2_000_000))).toBe(true);
    await file.close();
  });

  it("says when a file shrinks under it", async () => {
    const path = join(folder, "shrinking");
    await writeFile(path, "0123456789");
    const file = await storage.open(path);
    await writeFile(path, "0");
    await expect(file.read(0, 10)).rejects.toMatchObject({ code: "truncated", file: path });
    await file.close();
  });

  it("says what is missing and what is no file", async () => {
    await expect(storage.open(join(folder, "none"))).rejects.toMatchObject({
      kind: "missing-input",
      code: "missing-file",
    });
    await expect(storage.stat(join(folder, "none"))).rejects.toMatchObject({ code: "missing-file" });
    await expect(storage.open(folder)).rejects.toMatchObject({ code: "not-a-file" });
    await expect(storage.stat(folder)).rejects.toMatchObject({ code: "not-a-file" });
  });
});
