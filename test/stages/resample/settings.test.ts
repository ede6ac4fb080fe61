/** The settings of resample, from the pipeline file to the manifest, which verification recomputes from the files. */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { loadManifest } from "../../../src/manifest/load.ts";
import { runPipeline } from "../../../src/pipeline/run.ts";
import { verify } from "../../../src/pipeline/verify.ts";
import { CORPUS, smallPipeline, temporaryFolder } from "../../e2e/small.ts";

type Resample = NonNullable<NonNullable<Parameters<typeof smallPipeline>[1]>["resample"]>;

async function manifestOf(resample: Resample) {
  const output = temporaryFolder();
  await runPipeline(smallPipeline(output, { count: {}, resample: { budgetTokens: 60_000, ...resample } }));
  const path = join(output, "resample/manifest.json");
  const { ok, problems } = await verify(path);
  expect({ ok, problems }).toEqual({ ok: true, problems: [] });
  return loadManifest(path);
}

/** As long as before, and something else. */
function spoilt(path: string): Uint8Array {
  return readFileSync(path).map((byte) => byte ^ 1);
}

describe("settings of resample", () => {
  it("by default: by tokens, documents, mixed, shuffled", async () => {
    const manifest = await manifestOf({ weights: "natural" });
    expect(manifest).toMatchObject({
      unit: { kind: "tokens" },
      granularity: "document",
      order: "mixed",
      shuffle: "document",
    });
    for (const { weight, tokenWeight, units, tokens, minShare } of manifest.domains) {
      expect([tokenWeight, units, minShare]).toEqual([weight, tokens, 0]);
    }
  });

  it("uniform by documents: as many documents of each domain; a least share by name", async () => {
    const manifest = await manifestOf({
      weights: "uniform",
      unit: "documents",
      maxEpochs: 40,
      minShare: { math: 0.02 },
    });
    const expected = manifest.domains.map(({ targetTokens, tokens, documents }) => targetTokens / (tokens / documents));
    for (const documents of expected) expect(Math.abs(documents / expected[0]! - 1)).toBeLessThan(1e-3);
    expect(manifest.domains.map(({ name, minShare }) => [name, minShare])).toContainEqual(["math", 0.02]);
  });

  it("a table by sequences, row groups, domain after domain", async () => {
    const weights = { csource: 0.5, factbook: 0.3, math: 0.2 };
    const manifest = await manifestOf({
      weights,
      unit: { sequences: 128 },
      granularity: "row-group",
      order: "domain",
      maxEpochs: 40,
      minShare: 0.25,
    });
    expect(manifest).toMatchObject({
      unit: { kind: "sequences", length: 128 },
      granularity: "row-group",
      order: "domain",
      shuffle: "row-group",
    });
    for (const { name, weight, units, tokens, documents, minShare, targetWeight } of manifest.domains) {
      expect([weight, minShare]).toEqual([weights[name as keyof typeof weights], 0.25]);
      expect(units).toBeGreaterThanOrEqual(tokens / 128);
      expect(units).toBeLessThanOrEqual(tokens / 128 + documents);
      expect(targetWeight).toBeGreaterThanOrEqual(0.25);
    }
  });

  it("row groups and shards from their totals: the counts of rows are not read", async () => {
    const output = temporaryFolder();
    const settings = (resample: Resample) =>
      smallPipeline(output, {
        count: {},
        cache: false,
        data: { files: join(CORPUS, "folders/{domain}/part-*"), heldOut: "none" },
        resample: { budgetTokens: 60_000, weights: "uniform", ...resample },
      });
    await runPipeline(settings({}), { until: "count" });
    // Whoever reads them now finds that they are not what counting wrote.
    const counts = readdirSync(join(output, "count")).filter((name) => name.endsWith(".counts.arrow"));
    for (const name of counts) writeFileSync(join(output, "count", name), spoilt(join(output, "count", name)));
    for (const granularity of ["row-group", "shard"] as const) {
      await runPipeline(settings({ granularity, unit: "documents" }));
      const { ok, problems } = await verify(join(output, "resample/manifest.json"));
      expect({ ok, problems }).toEqual({ ok: true, problems: [] });
    }
    // Where documents move inside what is chosen, each of them has to be known: what is damaged is named and made again.
    const moved = { granularity: "shard", shuffle: "document" } as const;
    const notes: string[] = [];
    const { stages } = await runPipeline(settings(moved), {
      onEvent: (event) => void (event.type === "note" && notes.push(event.message)),
    });
    expect(notes.join()).toMatch(/\.counts\.arrow: is not what count wrote .* so count runs again/);
    expect(stages.map(({ stage, status }) => [stage, status])).toEqual([
      ["discover", "unchanged"],
      ["count", "done"],
      ["resample", "done"],
    ]);
    expect(await verify(join(output, "resample/manifest.json"))).toMatchObject({ ok: true });
  });

  it("refuses weights by documents where they are shares of tokens, before anything is counted", async () => {
    const run = runPipeline(smallPipeline(temporaryFolder(), { resample: { weights: "natural", unit: "documents" } }));
    await expect(run).rejects.toMatchObject({ code: "weights-by-tokens" });
  });

  it("refuses a least share above what the caps allow, before models are trained", async () => {
    const resample = { budgetTokens: 60_000, maxEpochs: { math: 0.1 }, minShare: { math: 0.5 } };
    const run = runPipeline(smallPipeline(temporaryFolder(), { resample }), { until: "resample" });
    await expect(run).rejects.toMatchObject({ code: "floor-exceeds-cap" });
    const misspelt = runPipeline(smallPipeline(temporaryFolder(), { resample: { minShare: { maths: 0.5 } } }));
    await expect(misspelt).rejects.toThrow(/resample\.minShare.*“maths”.*math/);
  });
});
