import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { DoremiError } from "../../src/lib/errors.ts";
import type { SelectionRow } from "../../src/manifest/contract.ts";
import { verifyManifest } from "../../src/manifest/verify.ts";
import { recount, writeCorpus } from "./corpus.ts";
import { type Loose, resample, tamper, tamperSelection } from "./resample.ts";

let folder: string;
let corpus: string;
let out: string;
let manifest: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "doremi-verify-"));
  corpus = join(folder, "corpus");
  out = join(folder, "out", "run");
  manifest = join(out, "manifest.json");
  await writeCorpus(corpus);
  await resample(corpus, out, "../../corpus");
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

const verify = (root?: string) =>
  verifyManifest(manifest, { recount: (files) => recount(root ?? corpus, files), ...(root !== undefined && { root }) });
const codes = async () => [...new Set((await verify()).problems.map((problem) => problem.code))].sort();

describe("a set as it was written", () => {
  it("has no problem, also from another root", async () => {
    expect(await verify()).toEqual({ ok: true, problems: [], omitted: 0 });
    await cp(corpus, join(folder, "moved"), { recursive: true });
    await rm(corpus, { recursive: true });
    expect((await verify(join(folder, "moved"))).ok).toBe(true);
    expect((await verify()).ok).toBe(false);
  });

  it.each([
    ["no held-out documents", { heldOut: { kind: "none" } as const }],
    ["whole files held out", { heldOut: { kind: "files" } as const }],
    ["auto budget", { budgetTokens: "auto" as const }],
    ["a budget that caps bind", { budgetTokens: 7000, weights: [0.9, 0.05, 0.05, 0] }],
    ["a tiny budget", { budgetTokens: 1 }],
  ])("has no problem with %s", async (_, setting) => {
    await resample(corpus, out, "../../corpus", setting);
    expect(await verify()).toEqual({ ok: true, problems: [], omitted: 0 });
  });
});

describe("a changed claim is named", () => {
  it.each<[string, (m: Loose) => void, string[]]>([
    ["size", (m) => (m.files[0].size += 1), ["size"]],
    ["sha256", (m) => (m.files[1].sha256 = "0".repeat(64)), ["sha256"]],
    ["documents", (m) => (m.domains[0].documents += 1), ["documents", "mean-tokens"]],
    ["bytes", (m) => (m.domains[1].bytes -= 1), ["bytes"]],
    ["tokens", (m) => (m.domains[2].tokens -= 1), ["epochs", "mean-tokens", "tokens"]],
    ["mean", (m) => (m.domains[2].meanTokensPerDocument += 0.01), ["mean-tokens"]],
    ["held-out documents", (m) => (m.domains[0].heldOutDocuments = 0), ["held-out-documents"]],
    ["weight", (m) => (m.domains[0].weight += 0.1), ["allocation", "weight-sum"]],
    ["target weight", (m) => (m.domains[0].targetWeight += 0.1), ["target-weight"]],
    ["target tokens", (m) => (m.domains[1].targetTokens += 1), ["allocation", "target-weight"]],
    [
      "achieved tokens",
      (m) => (m.domains[1].achievedTokens += 1),
      ["achieved-sum", "achieved-tokens", "achieved-weight", "epochs"],
    ],
    ["achieved weight", (m) => (m.domains[1].achievedWeight = 0), ["achieved-weight"]],
    ["total", (m) => (m.achievedTokens += 1), ["achieved-sum", "achieved-weight"]],
    ["epochs", (m) => (m.domains[1].epochs *= 2), ["epochs"]],
    ["cap", (m) => (m.domains[0].maxEpochs = 0.1), ["allocation"]],
    ["selected documents", (m) => (m.domains[1].selectedDocuments -= 1), ["selected-documents"]],
    ["rows", (m) => (m.files[2].rows += 1), ["row-groups", "rows"]],
    ["row groups", (m) => (m.files[0].rowGroups = [8, 32]), ["row-groups", "row-range"]],
    ["format", (m) => (m.files[0].format = "parquet"), ["format"]],
    ["domain of a file", (m) => (m.files[0].domain = "web"), ["file-domain"]],
    ["selection rows", (m) => (m.selection.rows += 1), ["selection-rows"]],
    ["selection hash", (m) => (m.selection.sha256 = "1".repeat(64)), ["selection-sha256"]],
    ["selection path", (m) => (m.selection.path = "../other.parquet"), ["path-outside-root"]],
    ["a file listed twice", (m) => m.files.push(m.files[2]), ["duplicate-file"]],
    ["the generator of random numbers", (m) => (m.rng = "mt19937"), ["rng"]],
  ])("%s", async (_, change, expected) => {
    await tamper(manifest, change);
    const found = await codes();
    expect(found).toEqual(expect.arrayContaining(expected));
    // a held-out or row-group claim also moves what is compared with it; everything else is named alone
    if (!["rows", "row groups", "a file listed twice", "tokens"].includes(_)) expect(found).toEqual(expected);
  });

  it("seed: the documents are not the ones it gives", async () => {
    await tamper(manifest, (m) => (m.seed += 1));
    expect(await codes()).toContain("held-out-selected");
    await resample(corpus, out, "../../corpus", { heldOut: { kind: "none" } });
    await tamper(manifest, (m) => (m.seed += 1));
    expect(await codes()).toEqual(["not-reproduced"]);
  });
});

describe("a changed row of the selection is named", () => {
  const at = (rows: SelectionRow[], index: number, change: Partial<SelectionRow>) =>
    rows.map((row, i) => (i === index ? { ...row, ...change } : row));
  it.each<[string, (rows: SelectionRow[]) => SelectionRow[], string]>([
    ["tokens", (rows) => at(rows, 3, { tokens: rows[3]!.tokens + 1 }), "row-tokens"],
    ["a row twice", (rows) => rows.flatMap((row, i) => (i === 4 ? [row, row] : [row])), "overlap"],
    ["a row left out", (rows) => rows.filter((_, i) => i !== 4), "not-reproduced"],
    ["order", (rows) => [rows[1]!, rows[0]!, ...rows.slice(2)], "order"],
    ["an unknown file", (rows) => at(rows, 0, { file: "nowhere.jsonl" }), "unknown-file"],
    ["an unknown domain", (rows) => at(rows, 0, { domain: "novels" }), "unknown-domain"],
    ["another domain", (rows) => at(rows, rows.length - 1, { domain: "code" }), "not-a-document"],
    ["another row group", (rows) => at(rows, 0, { rowGroup: rows[0]!.rowGroup + 1 }), "row-range"],
    ["a group that is not there", (rows) => at(rows, 0, { rowGroup: 1000 }), "row-range"],
    ["rows beyond the file", (rows) => at(rows, 0, { rowEnd: 1_000_000 }), "row-range"],
    ["an empty range", (rows) => at(rows, 0, { rowEnd: rows[0]!.rowStart }), "row-range"],
    ["nothing", () => [], "off-target"],
  ])("%s", async (_, change, code) => {
    await tamperSelection(out, change);
    expect(await codes()).toContain(code);
  });

  it("says how many problems it leaves out", async () => {
    await tamperSelection(out, (rows) =>
      Array.from({ length: 40 }, () => rows.map((row) => ({ ...row, tokens: 0 }))).flat(),
    );
    const { problems, omitted } = await verify();
    expect(problems.length).toBe(100);
    expect(omitted).toBeGreaterThan(1000);
  });
});

describe("changed files are named", () => {
  it("another text in one line", async () => {
    const path = join(corpus, "mixed/m.jsonl");
    await writeFile(path, (await readFile(path, "utf8")).replace(/w\d+ w\d+/, "w1"));
    const { problems } = await verify();
    expect(problems[0]).toMatchObject({ code: "size", file: "mixed/m.jsonl" });
    expect(problems.map((problem) => problem.code)).toEqual(expect.arrayContaining(["tokens", "bytes"]));
  });

  it("a missing file: says so, and what could not be checked", async () => {
    await rm(join(corpus, "books/b.jsonl"));
    expect(await codes()).toEqual(["missing-file", "not-checked"]);
  });

  it("a file that cannot be counted", async () => {
    await writeFile(join(corpus, "books/b.jsonl"), "not JSON\n");
    expect(await codes()).toEqual(["not-checked", "recount-failed", "size"]);
  });

  it("a selection cut short, overwritten or missing", async () => {
    const path = join(out, "selection.parquet");
    const bytes = await readFile(path);
    await writeFile(path, bytes.subarray(0, bytes.length - 100));
    expect(await codes()).toEqual(["bad-selection", "selection-sha256"]);
    await writeFile(path, "PAR1");
    expect(await codes()).toEqual(["bad-selection", "selection-sha256"]);
    await rm(path);
    expect(await codes()).toEqual(["missing-file"]);
  });

  it("paths that leave the root", async () => {
    await writeFile(join(folder, "secret.jsonl"), '{"text":"x","domain":"web"}\n');
    await symlink(join(folder, "secret.jsonl"), join(corpus, "link.jsonl"));
    for (const path of [
      "../secret.jsonl",
      join(folder, "secret.jsonl"),
      "link.jsonl",
      "a/../../secret.jsonl",
      "C:\\x",
      "a//b",
    ]) {
      await tamper(manifest, (m) => (m.files[0].path = path));
      const { problems } = await verify();
      expect(problems[0]).toMatchObject({ code: "path-outside-root", file: path });
    }
    await tamper(manifest, (m) => (m.root = "/"));
    await expect(verify()).rejects.toThrow(/root must be relative/);
  });

  it("links inside the root are no escape, nor is a root behind a link", async () => {
    await mkdir(join(folder, "elsewhere"));
    await symlink(corpus, join(folder, "elsewhere", "linked"));
    expect((await verify(join(folder, "elsewhere", "linked"))).ok).toBe(true);
  });
});

describe("a broken manifest", () => {
  it.each<[string, string, string]>([
    ["bad-json", "{", "must be JSON"],
    ["not-a-manifest", "[]", "must be a manifest"],
    ["not-a-manifest", "null", "must be a manifest"],
    ["unsupported-version", '{"format":"doremi-manifest","version":2}', "reads manifests of version 1, this one has 2"],
    ["bad-manifest", '{"format":"doremi-manifest","version":1}', "and \\d+ more"],
  ])("%s: %s", async (code, text, message) => {
    await writeFile(manifest, text);
    const error = (await verify().catch((thrown: unknown) => thrown)) as DoremiError;
    expect(error).toBeInstanceOf(DoremiError);
    expect(error.code).toBe(code);
    expect(error.message).toMatch(new RegExp(message));
    expect(error.file).toBe(manifest);
  });

  it("that is missing", async () => {
    await rm(manifest);
    await expect(verify()).rejects.toMatchObject({ code: "missing-file", kind: "missing-input" });
  });

  it("however it is changed, gives problems or a DoremiError, nothing else", async () => {
    const text = await readFile(manifest, "utf8");
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
      fc.constantFrom<unknown>(-1, 1e300, "", "..", null, [], {}, 2 ** 53, 0.1, "__proto__"),
    );
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
          try {
            await verify();
          } catch (error) {
            expect(error).toBeInstanceOf(DoremiError);
            expect((error as DoremiError).kind).not.toBe("internal");
          }
        },
      ),
      { numRuns: 150 },
    );
  });

  it("a selection with any byte changed gives problems, never an exception", async () => {
    const path = join(out, "selection.parquet");
    const bytes = await readFile(path);
    await fc.assert(
      fc.asyncProperty(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), async (place, change) => {
        const broken = Buffer.from(bytes);
        broken[place]! ^= change;
        await writeFile(path, broken);
        expect((await verify()).ok).toBe(false);
      }),
      { numRuns: 150 },
    );
  });
});
