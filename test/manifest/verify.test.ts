import { cp, mkdir, mkdtemp, readFile, rename, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { DoremiError } from "../../src/lib/errors.ts";
import type { SelectionRow } from "../../src/manifest/contract.ts";
import { readSelection } from "../../src/manifest/selection-file.ts";
import { type VerifyOptions, type VerifyResult, verifyManifest } from "../../src/manifest/verify.ts";
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

const verify = (root?: string, options: Partial<VerifyOptions> = {}) =>
  verifyManifest(manifest, {
    recount: (files) => recount(root ?? corpus, files),
    ...(root !== undefined && { root }),
    ...options,
  });
const codesOf = ({ problems }: VerifyResult) => [...new Set(problems.map((problem) => problem.code))].sort();
const codes = async () => codesOf(await verify());

describe("a set as it was written", () => {
  it("has no problem, also from another root", async () => {
    const { checked, ...verdict } = await verify();
    expect(verdict).toEqual({ ok: true, problems: [], omitted: 0, notes: [] });
    const { selection } = JSON.parse(await readFile(manifest, "utf8"));
    expect(checked).toEqual({
      sample: null,
      files: { total: 4, hashed: 4, counted: 4 },
      selection: {
        rows: selection.rows,
        documents: selection.documents,
        comparedRows: selection.rows,
        reproduced: true,
      },
      notChecked: [],
    });
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
    expect(await verify()).toMatchObject({ ok: true, problems: [], checked: { notChecked: [] } });
  });

  const orders = (["domain", "mixed"] as const).flatMap((order) =>
    (["document", "row-group", "shard"] as const).flatMap((granularity) =>
      (["document", "row-group", "shard", "none"] as const).map((shuffle) => ({ granularity, order, shuffle })),
    ),
  );
  it.each(orders)("has no problem with $granularity, $order, $shuffle", async (selection) => {
    await resample(corpus, out, "../../corpus", { selection, budgetTokens: 5000 });
    expect(await verify()).toMatchObject({ ok: true, problems: [], checked: { notChecked: [] } });
    const sampled = await verify(undefined, { sample: { share: 0.4 } });
    expect(sampled).toMatchObject({ ok: true, problems: [], checked: { files: { counted: 2 } } });
  });
});

describe("files that are hashed at the same time", () => {
  it("are named in the manifest's order, whichever is done first, and each by itself", async () => {
    const names: string[] = JSON.parse(await readFile(manifest, "utf8")).files.map(
      ({ path }: { path: string }) => path,
    );
    let asked = 0;
    const hash = async (path: string, { size }: { size: number }) => {
      asked++;
      const place = names.findIndex((name) => path.endsWith(name));
      await new Promise((resolve) => setTimeout(resolve, 50 - 10 * place)); // the last is done first
      if (place === 1) throw new DoremiError("bad-data", "shard-changed", `${path}: was written to`);
      return { size, sha256: "0".repeat(64) };
    };
    const { problems, checked } = await verify(undefined, { hash });
    expect(problems.filter(({ code }) => code === "sha256" || code === "shard-changed")).toMatchObject(
      names.map((file, i) => ({ code: i === 1 ? "shard-changed" : "sha256", file })),
    );
    expect(asked).toBe(names.length);
    expect(checked.files.hashed).toBe(names.length - 1);
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
    ["weight", (m) => (m.domains[0].weight += 0.1), ["token-weight", "weight-sum"]],
    ["weight by tokens", (m) => (m.domains[0].tokenWeight += 0.1), ["allocation", "token-weight"]],
    ["unit", (m) => (m.unit = { kind: "documents" }), ["units"]],
    ["units", (m) => (m.domains[0].units += 1), ["units"]],
    ["least share", (m) => (m.domains[0].minShare = 0.9), ["allocation"]],
    ["chosen documents in all", (m) => (m.selection.documents += 1), ["selected-sum", "selection-documents"]],
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
    ["selected documents", (m) => (m.domains[1].selectedDocuments -= 1), ["selected-documents", "selected-sum"]],
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
    ["an epoch too many", (rows) => at(rows, rows.length - 1, { epoch: 1000 }), "epoch"],
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

describe("in a mixed order a changed row is named", () => {
  const MIXED = { granularity: "document", order: "mixed", shuffle: "document" } as const;
  beforeEach(async () => {
    await resample(corpus, out, "../../corpus", { selection: MIXED, budgetTokens: 5000 });
  });

  it("taken twice in an epoch, however far apart", async () => {
    await tamperSelection(out, (rows) => {
      const first = rows[0]!;
      const other = rows.findLastIndex((row) => row.domain === first.domain && row.epoch === first.epoch);
      return rows.map((row, i) => (i === other ? first : row));
    });
    const { problems } = await verify();
    const rows = (await selected()).length;
    const overlap = problems.find((problem) => problem.code === "overlap")!;
    expect(overlap.message).toMatch(/^selection row \d+ \(.*has rows that were taken before in epoch 0$/);
    expect(Number(/\d+/.exec(overlap.message)![0])).toBeGreaterThan(rows / 4);
  });

  it("out of proportion: which domain, where, and by how much", async () => {
    await tamperSelection(out, (rows) =>
      [...rows].sort((a, b) => (a.domain < b.domain ? -1 : a.domain > b.domain ? 1 : 0)),
    );
    const { problems } = await verify();
    const codes = problems.map((problem) => problem.code);
    expect(codes).toEqual(["not-reproduced", "proportion", "proportion", "proportion", "proportion"]);
    expect(problems[1]!.message).toMatch(
      /^selection row \d+: “books” is \d+ tokens ahead of its share of the rows so far, at most \d+/,
    );
    // domain after domain: the last has nothing until all others are done
    const { domains } = JSON.parse(await readFile(manifest, "utf8"));
    const before = domains[0].achievedTokens + domains[1].achievedTokens;
    const lag = Math.round((before * domains[2].achievedTokens) / (before + domains[2].achievedTokens));
    expect(problems.at(-1)!.message).toContain(`“web” is ${lag} tokens behind its share`);
  });

  it("proportions of the true rows stay within the bound, and one swap over a long way leaves it", async () => {
    await tamperSelection(out, (rows) => {
      const books = rows.findIndex((row) => row.domain === "books" && row.tokens > 15);
      const far = rows.slice(0, Math.floor(rows.length / 2)).filter((row) => row.domain === "books");
      return [...rows.slice(0, books), ...far, ...rows.slice(books).filter((row) => !far.includes(row))];
    });
    expect(await codes()).toContain("proportion");
  });

  it("an epoch before the one that ends", async () => {
    await tamperSelection(out, (rows) => {
      const first = rows.findIndex((row) => row.epoch === 1);
      const domain = rows[first]!.domain;
      const last = rows.findLastIndex((row) => row.epoch === 0 && row.domain === domain);
      expect(last).toBeLessThan(first);
      return rows.map((row, i) => (i === first ? rows[last]! : i === last ? rows[first]! : row));
    });
    const { problems } = await verify();
    expect(problems.map(({ message }) => message).join()).toMatch(/is of epoch 0, and epoch 1 began before it/);
  });

  it("from rows that are shuffled where the manifest says that nothing is", async () => {
    await tamper(manifest, (m) => (m.shuffle = "none"));
    const { problems } = await verify(undefined, { sample: { share: 0.3 } });
    expect(problems[0]).toMatchObject({ code: "order" });
    expect(problems[0]!.message).toContain("must be sorted by file and row");
  });
});

async function selected(): Promise<SelectionRow[]> {
  const rows: SelectionRow[] = [];
  for await (const chunk of readSelection(join(out, "selection.parquet"))) rows.push(...chunk);
  return rows;
}

describe("a sample", () => {
  it("counts a share of the files, says which claims it left out, and looks at all sizes", async () => {
    const asked: string[][] = [];
    const sampled = (seed?: number) =>
      verify(undefined, {
        sample: { share: 0.3, ...(seed !== undefined && { seed }) },
        recount: (files) => {
          asked.push(files.map((file) => file.path));
          return recount(corpus, files);
        },
      });
    const { ok, checked } = await sampled();
    expect(ok).toBe(true);
    expect(checked.sample).toEqual({ share: 0.3, seed: 7 }); // the manifest's
    expect(checked.files).toEqual({ total: 4, hashed: 2, counted: 2 });
    const rows = await selected();
    expect(checked.selection).toMatchObject({
      rows: rows.length,
      reproduced: false,
      comparedRows: rows.filter((row) => asked[0]!.includes(row.file)).length,
    });
    expect(checked.notChecked.join("; ")).toMatch(/2 of 4 files.*each domain.*held out.*seed 7/);
    await sampled();
    expect(asked[1]).toEqual(asked[0]);
    for (let seed = 0; seed < 20; seed++) await sampled(seed);
    expect(new Set(asked.flat()).size).toBe(4);

    const left = ["books/a.jsonl", "mixed/m.jsonl", "books/b.jsonl", "web/x.jsonl"].find(
      (path) => !asked[0]!.includes(path),
    )!;
    const text = await readFile(join(corpus, left), "utf8");
    await writeFile(join(corpus, left), text.replace(/w\d/, "v1"));
    expect((await sampled()).ok).toBe(true); // of the same size, and not in the sample
    await writeFile(join(corpus, left), `${text} `);
    expect(codesOf(await sampled())).toEqual(["size"]);
    await rm(join(corpus, left));
    expect(codesOf(await sampled())).toEqual(["missing-file"]);
  });

  it("finds a wrong row of its files", async () => {
    await tamperSelection(out, (rows) => rows.map((row) => ({ ...row, tokens: row.tokens + 1 })));
    for (const seed of [1, 2]) {
      const { problems, checked } = await verify(undefined, { sample: { share: 0.2, seed } });
      const wrong = problems.filter((problem) => problem.code === "row-tokens");
      // A hundred problems are listed; sums that no longer hold are among them.
      const room = 100 - (problems.length - wrong.length);
      expect(wrong.length).toBe(Math.min(checked.selection.comparedRows, room));
      expect(wrong.length).toBeGreaterThan(0);
    }
  });

  it.each([0, 1, -0.1, Number.NaN])("refuses a share of %d", async (share) => {
    await expect(verify(undefined, { sample: { share } })).rejects.toMatchObject({ code: "bad-sample", kind: "usage" });
  });
});

describe("a file that the manifest does not name", () => {
  it("is noted where it looks like the others, and a problem under strict", async () => {
    for (const path of [
      "books/c.jsonl",
      "books/notes.txt",
      "books/.d.jsonl",
      "books/_e.jsonl",
      "f.jsonl",
      "web/valid.jsonl",
    ]) {
      await writeFile(join(corpus, path), "{}\n");
    }
    await mkdir(join(corpus, "books/g.jsonl"));
    await rename(join(corpus, "web/x.jsonl"), join(corpus, "web/part-00.jsonl"));
    await writeFile(join(corpus, "web/part-01.jsonl"), "{}\n");
    await tamper(manifest, (m) => (m.files[3].path = "web/part-00.jsonl"));
    await tamperSelection(out, (rows) =>
      rows.map((row) => (row.file === "web/x.jsonl" ? { ...row, file: "web/part-00.jsonl" } : row)),
    );
    const { ok, notes } = await verify();
    expect(ok).toBe(true);
    expect(notes.map(({ code, file }) => [code, file])).toEqual([
      ["extra-file", "books/c.jsonl"],
      ["extra-file", "web/part-01.jsonl"],
    ]);
    const strict = await verify(undefined, { strict: true });
    expect(codesOf(strict)).toEqual(["extra-file"]);
    expect(strict).toMatchObject({ ok: false, notes: [] });
  });

  it("may be a held-out file where whole files are held out", async () => {
    await resample(corpus, out, "../../corpus", { heldOut: { kind: "files" } });
    await writeFile(join(corpus, "books/c.jsonl"), "{}\n");
    const { ok, notes } = await verify(undefined, { strict: true });
    expect(ok).toBe(true);
    expect(notes[0]!.message).toContain("may be one of the held-out files");
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

  it("a missing file is no reason not to look at the others", async () => {
    await rm(join(corpus, "books/b.jsonl"));
    await tamperSelection(out, (rows) => {
      const wrong = rows.findIndex((row) => row.file === "web/x.jsonl");
      return rows.map((row, i) => (i === wrong ? { ...row, tokens: row.tokens + 1 } : row));
    });
    const { problems, checked } = await verify();
    expect(problems.find((problem) => problem.code === "row-tokens")).toMatchObject({ file: "web/x.jsonl" });
    expect(checked.files).toEqual({ total: 4, hashed: 3, counted: 3 });
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
});
