/** A count divided among tasks and put together again: to the same bytes, or not at all. */
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { lockFolder } from "../../src/pipeline/folder-lock.ts";
import { countPart, finishedParts, mergeParts, partFolder } from "../../src/pipeline/parts.ts";
import { prepare } from "../../src/pipeline/prepare.ts";
import { runPipeline } from "../../src/pipeline/run.ts";
import { CORPUS, smallPipeline, temporaryFolder } from "../e2e/small.ts";

type Settings = NonNullable<Parameters<typeof smallPipeline>[1]>;

/** The corpus in three parts, counted once; tests that change something change a copy. */
const counted = { folder: mkdtempSync(join(tmpdir(), "doremi-parts-")), parts: [] as string[] };

const pipeline = (output: string, settings: Settings = {}) =>
  smallPipeline(output, {
    tokenizer: "r50k",
    count: {},
    cache: join(counted.folder, "cache"),
    workers: 1,
    ...settings,
  });

/** Counts all parts. @returns their folders */
async function countParts(output: string, of: number, settings: Settings = {}): Promise<string[]> {
  const parts = Array.from({ length: of }, (_, index) => ({ index, of }));
  for (const part of parts) await countPart(pipeline(output, settings), part, {});
  return parts.map((part) => partFolder(output, part));
}

/** Every file of the folders, by path. */
function bytesOf(folder: string, names = ["discover", "count"]): Record<string, string> {
  return Object.fromEntries(
    names.flatMap((name) =>
      readdirSync(join(folder, name)).map((file) => [
        `${name}/${file}`,
        readFileSync(join(folder, name, file), "latin1"),
      ]),
    ),
  );
}

const refusal = (work: Promise<unknown>) =>
  work.then(
    () => expect.unreachable("nothing was refused"),
    (error: unknown) => error,
  );

beforeAll(async () => {
  counted.parts = await countParts(join(counted.folder, "out"), 3);
});
afterAll(() => rmSync(counted.folder, { recursive: true, force: true }));

describe("a count divided among tasks", () => {
  it("gives what one machine writes, byte for byte, and its run goes on from there", async () => {
    const folder = temporaryFolder();
    await runPipeline(pipeline(join(folder, "one"), { cache: false }), { until: "count" });
    const one = bytesOf(join(folder, "one"));
    const output = join(folder, "merged");
    const merged = await mergeParts(counted.parts.toReversed(), output);
    expect(merged).toMatchObject({ status: "done", parts: 3, range: { start: 0, end: 5, files: 5 } });
    expect(bytesOf(output)).toEqual(one);
    expect((await runPipeline(pipeline(output), { until: "count" })).status).toBe("unchanged");
    // More tasks than files; those that have one take its counts from a cache here, which changes nothing.
    const many = await countParts(join(folder, "many"), 9);
    await mergeParts(many, join(folder, "many"));
    expect(bytesOf(join(folder, "many"))).toEqual(one);
  });

  it("may be merged in any grouping", async () => {
    const folder = temporaryFolder();
    const [a, b, c] = counted.parts as [string, string, string];
    const at = (name: string) => join(folder, name);
    await mergeParts([a, b, c], at("abc"));
    await mergeParts([a, b], at("ab"), { partial: true });
    await mergeParts([b, c], at("bc"), { partial: true });
    await mergeParts([at("ab"), c], at("ab-c"));
    await mergeParts([a, at("bc")], at("a-bc"));
    for (const name of ["ab-c", "a-bc"]) expect(bytesOf(at(name)), name).toEqual(bytesOf(at("abc")));
    expect(readdirSync(at("ab-c"))).not.toContain("part.json");

    await mergeParts([b], at("b"), { partial: true });
    await mergeParts([at("b"), a], at("a-b"), { partial: true });
    expect(bytesOf(at("a-b"))).toEqual(bytesOf(at("ab")));
    expect(readFileSync(join(at("a-b"), "part.json"), "utf8")).toBe(readFileSync(join(at("ab"), "part.json"), "utf8"));
  });

  it("leaves out what its parts left out", async () => {
    const folder = temporaryFolder();
    cpSync(join(CORPUS, "folders"), join(folder, "data"), { recursive: true });
    const shards = readdirSync(join(folder, "data"), { recursive: true, encoding: "utf8" }).filter((name) =>
      name.includes("part-"),
    );
    const large = shards.find((name) => name.startsWith("csource"))!;
    const bytes = readFileSync(join(folder, "data", large));
    bytes.fill(0xff, 100, 4000); // pages, not the footer: seen by count alone
    writeFileSync(join(folder, "data", large), bytes);
    writeFileSync(join(folder, "data/math/part-9.parquet"), "PAR1 this is none PAR1");
    const data = {
      files: join(folder, "data/{domain}/part-*"),
      onBadShard: "skip" as const,
      maxSkipped: 1,
      heldOut: "none" as const,
    };
    const one = await runPipeline(pipeline(join(folder, "one"), { data }), { until: "count" });
    expect(one.count!.skipped.map(({ path }) => path)).toEqual([large]);
    const parts = await countParts(join(folder, "out"), 4, { data });
    await mergeParts(parts, join(folder, "out"));
    expect(bytesOf(join(folder, "out"))).toEqual(bytesOf(join(folder, "one")));
  });

  it("is done once by each task, and told apart by its settings", async () => {
    const output = join(temporaryFolder(), "out");
    const part = { index: 2, of: 3 };
    expect((await countPart(pipeline(output), part, {})).status).toBe("done");
    expect((await countPart(pipeline(output), part, {})).status).toBe("unchanged");
    const { corpus } = JSON.parse(readFileSync(join(partFolder(output, part), "part.json"), "utf8"));
    expect(await finishedParts(await prepare(pipeline(output)), 3, corpus)).toEqual(new Set([2]));
    const other = await prepare(pipeline(output, { tokenizer: "cl100k" }));
    expect(await finishedParts(other, 3, corpus)).toEqual(new Set());
    expect(await finishedParts(await prepare(pipeline(output)), 3, "another list of files")).toEqual(new Set());
  });

  it("refuses a second task on the same part, and another pipeline", async () => {
    const output = join(temporaryFolder(), "out");
    const part = { index: 0, of: 2 };
    await countPart(pipeline(output), part, {});
    const lock = await lockFolder(join(partFolder(output, part), ".doremi"));
    expect(await refusal(countPart(pipeline(output), part, {}))).toMatchObject({ code: "locked" });
    await countPart(pipeline(output), { index: 1, of: 2 }, {});
    await lock.release();
    const foreign = countPart(pipeline(output, { name: "another" }), part, {});
    expect(await refusal(foreign)).toMatchObject({ code: "other-pipeline" });
  });
});

describe("parts that do not belong together", () => {
  it("are refused, saying which, what is wrong and what to do", async () => {
    const folder = temporaryFolder();
    const output = join(folder, "out");
    cpSync(join(counted.folder, "out"), output, { recursive: true });
    const [a, b, c] = [0, 1, 2].map((index) => partFolder(output, { index, of: 3 })) as [string, string, string];
    const merge = async (parts: string[], partial = false) =>
      refusal(mergeParts(parts, join(folder, "merged"), { partial }));
    expect(await merge([a, c])).toMatchObject({
      code: "gap",
      file: c,
      message: expect.stringMatching(/files? 1 (to . )?of 5 (is|are) in none of them.*name the folders of all parts/),
    });
    expect(await merge([a, c], true)).toMatchObject({ code: "gap" });
    expect(await merge([b, c])).toMatchObject({ code: "gap", file: b });
    expect(await merge([a, b])).toMatchObject({ code: "gap", file: b });
    expect(await merge([a, b, b, c])).toMatchObject({
      code: "overlap",
      message: expect.stringMatching(/a file must be in one part only.*also in .*name each part once/),
    });
    const larger = join(folder, "larger");
    await mergeParts([a, b], larger, { partial: true });
    expect(await merge([larger, b, c])).toMatchObject({ code: "overlap" });

    const last = { index: 2, of: 3 };
    const elsewhere = join(folder, "elsewhere");
    const countedWith = async (settings: Settings) => {
      await countPart(pipeline(elsewhere, settings), last, {});
      return partFolder(elsewhere, last);
    };
    expect(await merge([a, b, await countedWith({ tokenizer: "cl100k" })])).toMatchObject({
      code: "mixed-tokenizers",
      file: partFolder(elsewhere, last),
      message: expect.stringMatching(
        /same tokenizers.*found cl100k \(\w{8}\) and there r50k \(\w{8}\); count the parts/,
      ),
    });
    const { files } = pipeline(output).config.data;
    const kept = await countedWith({ data: { files, heldOut: "none", onBadShard: "skip" as const, maxSkipped: 1 } });
    expect(await merge([a, b, kept])).toMatchObject({
      code: "mixed-configurations",
      message: expect.stringMatching(/same settings.*onBadShard "skip" and there "fail"/),
    });

    cpSync(join(CORPUS, "folders"), join(folder, "data"), { recursive: true });
    const data = { files: join(folder, "data/{domain}/part-*"), heldOut: "none" as const };
    const before = await countParts(join(folder, "grown"), 2, { data });
    cpSync(join(folder, "data/math"), join(folder, "data/maths"), { recursive: true });
    const [, after] = await countParts(join(folder, "grown-2"), 2, { data });
    expect(await merge([before[0]!, after!])).toMatchObject({ code: "mixed-corpora" });

    expect(await merge([a, b, join(folder, "nowhere")])).toMatchObject({ code: "not-a-part" });
    expect(await refusal(mergeParts([a, b, c], a))).toMatchObject({ code: "merge-output" });
    rmSync(join(b, "count/00000.counts.arrow"));
    expect(await merge([a, b, c])).toMatchObject({ code: "unfinished-part", file: b });
  });

  it("are refused where their counts are not what was written", async () => {
    const folder = temporaryFolder();
    cpSync(join(counted.folder, "out"), join(folder, "out"), { recursive: true });
    const parts = [0, 1, 2].map((index) => partFolder(join(folder, "out"), { index, of: 3 }));
    const file = join(parts[0]!, "count/00000.counts.arrow");
    const bytes = readFileSync(file);
    bytes[bytes.length >> 1]! ^= 1;
    writeFileSync(file, bytes);
    expect(await refusal(mergeParts(parts, join(folder, "merged")))).toMatchObject({
      code: "damaged-part",
      message: expect.stringMatching(/part-.*must have its counts.*count it again/),
    });
    expect(readdirSync(join(folder, "merged"))).not.toContain("count");
  });
});
