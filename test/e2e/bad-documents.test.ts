/** Bad documents through a whole run: every stage and reader has them as the policy says, and no more than the limit. */
import { appendFileSync, cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as arrow from "apache-arrow";
import { parquetWriteBuffer } from "hyparquet-writer";
import { describe, expect, it } from "vitest";
import type { Manifest } from "../../src/manifest/contract.ts";
import { countPart, mergeParts } from "../../src/pipeline/parts.ts";
import { readManifest } from "../../src/pipeline/read-manifest.ts";
import { runPipeline } from "../../src/pipeline/run.ts";
import { verify } from "../../src/pipeline/verify.ts";
import { CORPUS, smallPipeline, temporaryFolder } from "./small.ts";

const SOUND = Array.from({ length: 60 }, (_, i) => Buffer.from(`document ${i} of sound text, `.repeat(6)));
const BAD = Buffer.concat([Buffer.from("not all of this is UTF-8: "), Buffer.from([0xff, 0xfe]), Buffer.from(" end")]);
const REPLACED = "not all of this is UTF-8: \ufffd\ufffd end";

/** The small corpus and three domains more, one of each format, in each of which two of 62 documents are bad. */
function corpus(): string {
  const folder = temporaryFolder();
  cpSync(join(CORPUS, "folders"), folder, { recursive: true });
  const texts = [...SOUND.slice(0, 10), BAD, ...SOUND.slice(10), BAD];
  for (const name of ["inarrow", "injson", "inparquet"]) mkdirSync(join(folder, name));
  const table = new arrow.Table({ text: arrow.vectorFromArray(texts, new arrow.Binary()) });
  writeFileSync(join(folder, "inarrow/part-0.arrow"), arrow.tableToIPC(table, "file"));
  const columnData = [{ name: "text", data: texts, type: "BYTE_ARRAY" }];
  const file = parquetWriteBuffer({ columnData, rowGroupSize: 20 } as never);
  writeFileSync(join(folder, "inparquet/part-0.parquet"), Buffer.from(file));
  const lines = texts.map((text) => Buffer.concat([Buffer.from('{"text":"'), text, Buffer.from('"}\n')]));
  writeFileSync(join(folder, "injson/part-0.jsonl"), Buffer.concat(lines));
  return folder;
}

const NEW = ["inarrow", "injson", "inparquet"];

const pipeline = (folder: string, output: string, data: object, other: object = {}) =>
  smallPipeline(output, {
    data: { files: join(folder, "{domain}/part-*"), heldOut: { fraction: 0.1, minDocuments: 1 }, ...data },
    ...other,
  });

const manifestOf = (output: string): Manifest =>
  JSON.parse(readFileSync(join(output, "resample/manifest.json"), "utf8"));

async function textsOf(path: string): Promise<string[]> {
  const texts: string[] = [];
  for await (const { text } of readManifest(path)) texts.push(Buffer.from(text).toString("utf8"));
  return texts;
}

describe("documents that are not UTF-8", () => {
  it("that are left out are in no count, no training and no selection, and row numbers hold", {
    timeout: 60_000,
  }, async () => {
    const folder = corpus();
    const output = join(temporaryFolder(), "out");
    const { count } = await runPipeline(pipeline(folder, output, { onBadDocument: "skip", maxSkipped: 0.04 }));
    for (const name of NEW)
      expect(count!.domains.find((domain) => domain.name === name)).toMatchObject({ documents: SOUND.length });
    expect(count!.badDocuments).toMatchObject({
      skipped: 6,
      replaced: 0,
      domains: NEW.map((domain) => ({ domain, skipped: 2, replaced: 0 })),
    });
    expect(count!.badDocuments!.places.slice(-2)).toMatchObject([
      { path: "inparquet/part-0.parquet", rowGroup: 0, row: 10, code: "invalid-utf8", outcome: "skipped" },
      { path: "inparquet/part-0.parquet", rowGroup: 3, row: 1 },
    ]);
    const manifest = manifestOf(output);
    expect(manifest.badDocuments).toEqual({
      policy: "skip",
      skipped: 6,
      replaced: 0,
      domains: NEW.map((domain) => ({ domain, skipped: 2, replaced: 0 })),
    });
    const path = join(output, "resample/manifest.json");
    expect(await verify(path)).toMatchObject({ ok: true, problems: [] });
    const texts = await textsOf(path);
    expect(texts.length).toBeGreaterThan(100);
    expect(texts.filter((text) => text.startsWith("not all"))).toEqual([]);
  });

  it("that are mended are counted, selected and read with U+FFFD", { timeout: 60_000 }, async () => {
    const folder = corpus();
    const output = join(temporaryFolder(), "out");
    const resample = { weights: "uniform", budgetTokens: "auto", maxEpochs: 1 };
    const settings = pipeline(folder, output, { onBadDocument: "replace", heldOut: "none" }, { resample });
    const { count } = await runPipeline(settings);
    for (const name of NEW)
      expect(count!.domains.find((domain) => domain.name === name)).toMatchObject({ documents: SOUND.length + 2 });
    const path = join(output, "resample/manifest.json");
    expect(manifestOf(output).badDocuments).toMatchObject({ policy: "replace", skipped: 0, replaced: 6 });
    expect(await verify(path)).toMatchObject({ ok: true, problems: [] });
    const found = (await textsOf(path)).filter((text) => text.startsWith("not all"));
    expect(found.length).toBeGreaterThan(0);
    expect(new Set(found)).toEqual(new Set([REPLACED]));
    // Read as they are stored, the counts are others: a manifest says how its documents were read.
    const stored: Record<string, unknown> = { ...manifestOf(output) };
    delete stored.badDocuments;
    writeFileSync(path, JSON.stringify(stored));
    expect((await verify(path)).ok).toBe(false);
  });

  it("are refused by themselves, and so is more than the limit; what was counted is kept", async () => {
    const folder = corpus();
    const output = join(temporaryFolder(), "out");
    const run = (data: object) => runPipeline(pipeline(folder, output, data), { until: "count" });
    await expect(run({})).rejects.toMatchObject({ code: "invalid-utf8", exitStatus: 65 });
    await expect(run({ onBadDocument: "skip" })).rejects.toMatchObject({
      code: "too-many-skipped",
      exitStatus: 65,
      message: expect.stringMatching(/^domain “inarrow”: at most 1 % .*2 of 62 documents are; the first is inarrow/),
    });
    let counted: unknown;
    const again = pipeline(folder, output, { onBadDocument: "skip", maxSkipped: 0.04 });
    const onEvent = (event: { readonly type: string }) => {
      if (event.type === "counted" || event.type === "unchanged") counted = event;
    };
    const { count } = await runPipeline(again, { until: "count", onEvent });
    expect(counted).toMatchObject({ type: "unchanged", stage: "count" });
    // Changed by one shard, the count takes over the others', and what it says of them.
    appendFileSync(join(folder, "injson/part-0.jsonl"), '{"text":"one more"}\n');
    const { count: changed } = await runPipeline(again, { until: "count", onEvent });
    expect(counted).toMatchObject({ type: "counted", shards: 1 });
    expect(changed!.badDocuments).toEqual(count!.badDocuments);
  });

  it("come together from parts as they were counted, and the limit is the whole's", async () => {
    const folder = corpus();
    const whole = join(temporaryFolder(), "out");
    const data = { onBadDocument: "skip", maxSkipped: 0.04 };
    const { count } = await runPipeline(pipeline(folder, whole, data), { until: "count" });
    const partsOf = async (settings: object) => {
      const output = join(temporaryFolder(), "out");
      const paths: string[] = [];
      for (const index of [0, 1, 2])
        paths.push((await countPart(pipeline(folder, output, settings), { index, of: 3 }, {})).output);
      return { output, paths };
    };
    const { output, paths } = await partsOf(data);
    const merged = await mergeParts(paths, output, { partial: false });
    expect(merged.count.badDocuments).toEqual(count!.badDocuments);
    const low = await partsOf({ ...data, maxSkipped: 0.03 });
    await expect(mergeParts(low.paths, low.output, { partial: false })).rejects.toMatchObject({
      code: "too-many-skipped",
    });
  });
});

describe("shards that cannot be read", () => {
  it("are left out up to the limit, by their bytes", async () => {
    const folder = corpus();
    writeFileSync(join(folder, "injson/part-1.parquet"), "PAR1 and no more of it");
    const run = (maxSkipped: number) =>
      runPipeline(
        pipeline(folder, join(temporaryFolder(), "out"), { onBadDocument: "replace", onBadShard: "skip", maxSkipped }),
        { until: "count" },
      );
    const size = readFileSync(join(folder, "injson/part-0.jsonl")).length;
    const share = 22 / (22 + size);
    const { count } = await run(share * 1.01);
    expect(count!.domains.find(({ name }) => name === "injson")!.documents).toBe(62);
    await expect(run(share * 0.99)).rejects.toMatchObject({
      code: "too-many-skipped",
      message: expect.stringMatching(/domain “injson”: .*22 of \d+ bytes, in 1 of 2 shards are; .*part-1\.parquet/),
    });
  });
});
