/** The data of a report against the files of the run, read by other means. */
import { cpSync, existsSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as arrow from "apache-arrow";
import { parquetReadObjects } from "hyparquet";
import { compressors } from "hyparquet-compressors";
import { beforeAll, describe, expect, it } from "vitest";
import { runPipeline } from "../../src/pipeline/run.ts";
import type { ReportData } from "../../src/report/data/contract.ts";
import { LengthTally } from "../../src/report/data/lengths.ts";
import { packNumbers, unpackNumbers } from "../../src/report/data/pack.ts";
import { readReportData } from "../../src/report/data/read.ts";
import { embedJson } from "../../src/report/page/template.ts";
import { renderSvgCharts } from "../../src/report/svg.ts";
import { writeReport } from "../../src/report/write.ts";
import { smallPipeline, smallTraining } from "../e2e/small.ts";
import { lastingFolder } from "./lasting-folder.ts";

describe("the data of a report", () => {
  const folder = lastingFolder();
  const output = () => join(folder(), "run");
  let data: ReportData;

  beforeAll(async () => {
    const train = { ...smallTraining(), reference: { steps: 12 }, proxy: { steps: 12 } };
    await runPipeline(smallPipeline(output(), { train, cache: false }));
    data = await readReportData(output());
  });

  it("has no problem with a run that is sound", () => {
    expect(data.problems).toEqual([]);
    expect(data.run).toMatchObject({ pipeline: "small", state: "done", error: null });
    expect(data.stages.map(({ stage, state }) => `${stage} ${state}`)).toEqual(
      ["discover", "count", "tokenize", "reference", "proxy", "resample"].map((stage) => `${stage} done`),
    );
    expect(data.hashes.filter(([name]) => name.startsWith("stage key")).length).toBe(6);
    expect(JSON.parse(data.settings!)).toMatchObject({ name: "small", resample: { budgetTokens: 60_000 } });
  });

  it("tells where the tokens went as the selection does", async () => {
    const bytes = readFileSync(join(output(), "resample/selection.parquet"));
    const file = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
    const rows = (await parquetReadObjects({ file, compressors })) as {
      domain: string;
      epoch: number;
      tokens: number | bigint;
    }[];
    for (const [k, name] of data.domains.entries()) {
      const own = rows.filter(({ domain }) => domain === name);
      const sum = (some: typeof own) => some.reduce((total, { tokens }) => total + Number(tokens), 0);
      expect(data.flow!.used[k]).toBe(sum(own.filter(({ epoch }) => epoch === 0)));
      expect(data.flow!.repeated[k]).toBe(sum(own.filter(({ epoch }) => epoch > 0)));
      const parts = data.flow!.used[k]! + data.flow!.unused[k]! + data.flow!.heldOut[k]!;
      expect(parts).toBe(data.counts!.tokenizers[0]!.tokens[k]);
    }
    expect(data.flow!.repeated.some((tokens) => tokens > 0)).toBe(true);
  });

  it("has the lengths of the documents that the count files have", () => {
    const lengths = new Map<string, number[]>();
    const shards = readFileSync(join(output(), "count/shards.jsonl"), "utf8").trim().split("\n");
    for (const line of shards) {
      const { counts, rows, domain } = JSON.parse(line) as {
        counts: { path: string; rowStart: number };
        rows: number;
        domain: string;
      };
      const table = arrow.tableFromIPC(readFileSync(join(output(), "count", counts.path)));
      const tokens = [...table.getChild("tokens.tokenizer-4096")!].slice(counts.rowStart, counts.rowStart + rows);
      const kept = [...table.getChild("domain")!].slice(counts.rowStart, counts.rowStart + rows);
      lengths.set(domain, [...(lengths.get(domain) ?? []), ...tokens.filter((_, i) => kept[i] !== -1)]);
    }
    for (const [k, name] of data.domains.entries()) {
      const own = lengths.get(name)!.sort((a, b) => a - b);
      const found = data.lengths!.domains[k]!;
      expect(found.documents).toBe(own.length);
      expect([found.min, found.max]).toEqual([own[0], own.at(-1)]);
      expect(found.mean).toBeCloseTo(own.reduce((sum, tokens) => sum + tokens, 0) / own.length, 9);
      // A class is 1.1 % wide.
      const median = own[Math.floor((own.length - 1) / 2)]!;
      expect(Math.abs(found.p50 - median)).toBeLessThanOrEqual(Math.max(0.5, median * 0.011));
      const histogram = data.lengths!.histogram[k]!;
      for (const [bin, documents] of histogram.entries())
        expect(documents).toBe(
          own.filter((tokens) => (tokens < 2 ? bin === 0 : Math.floor(Math.log2(tokens)) === bin)).length,
        );
    }
  });

  it("has the steps of the trajectory", () => {
    const proxy = data.trainings.find(({ kind }) => kind === "proxy")!;
    const table = arrow.tableFromIPC(readFileSync(join(output(), "proxy/trajectory.arrow")));
    expect([...unpackNumbers(proxy.step)]).toEqual([...table.getChild("step")!]);
    const alpha = [...table.getChild("alpha")!].map((row) => [...(row as Iterable<number>)]);
    for (const k of data.domains.keys()) {
      expect([...unpackNumbers(proxy.domains!.alpha![k]!.points!)]).toEqual(alpha.map((row) => Math.fround(row[k]!)));
    }
    const weights = JSON.parse(readFileSync(join(output(), "proxy/weights.json"), "utf8")) as Record<string, number>;
    expect(data.weights!.learned).toEqual(data.domains.map((name) => weights[name]));
    expect(data.weights!.set!.epochs.length).toBe(data.domains.length);
  });

  it("is drawn as SVG files that are whole XML, each with a title and a description", async () => {
    const charts = renderSvgCharts(data);
    expect(charts.map(({ id }) => id)).toEqual([
      ...["weights", "epochs", "alpha", "excess", "domain-loss", "loss"],
      ...["shares", "lengths", "length-histogram", "flow"],
    ]);
    for (const { svg } of charts) {
      expect(svg).toMatch(/^<svg role="img" [^>]*><title>[^<]+<\/title><desc>[^<]+<\/desc>/);
      expect(svg).not.toMatch(/NaN|undefined|Infinity/);
    }
    const { html, svg, bytes } = await writeReport(output(), { output: join(folder(), "a", "b.html") });
    expect(readFileSync(html).length).toBe(bytes);
    expect(svg.map((path) => existsSync(path))).toEqual(svg.map(() => true));
    expect(svg[0]).toBe(join(folder(), "a", "b-charts", "weights.svg"));
  });

  it("leaves out what is damaged and says so", async () => {
    const copy = join(folder(), "damaged");
    cpSync(output(), copy, { recursive: true });
    writeFileSync(
      join(copy, "resample/manifest.json"),
      "{".padEnd(readFileSync(join(copy, "resample/manifest.json")).length),
    );
    truncateSync(join(copy, "proxy/trajectory.arrow"), 100);
    rmSync(join(copy, "reference/trajectory.arrow"));
    const found = await readReportData(copy);
    expect(found.flow).toBeNull();
    expect(found.counts).toEqual(data.counts);
    expect(found.problems.map((problem) => problem.split(":")[0])).toEqual([
      ...["proxy", "reference"],
      expect.stringContaining("JSON"),
    ]);
    expect(renderSvgCharts(found).map(({ id }) => id)).toEqual(["weights", "shares", "lengths", "length-histogram"]);
  });

  it("is refused of what is no run, with what to do", async () => {
    await expect(readReportData(join(folder(), "nowhere"))).rejects.toMatchObject({
      kind: "missing-input",
      code: "missing-folder",
    });
    await expect(readReportData(join(output(), "proxy"))).rejects.toMatchObject({
      kind: "missing-input",
      code: "no-run",
    });
    await expect(writeReport(output(), { output: folder() })).rejects.toMatchObject({
      kind: "usage",
      code: "output-is-folder",
    });
  });
});

describe("its parts", () => {
  it("pack numbers and give them back as float32", () => {
    const values = [0, -1.5, 1e-30, 3e38, Number.NaN, 1 / 3];
    expect([...unpackNumbers(packNumbers(values))]).toEqual(values.map(Math.fround));
  });

  it("tell every length up to 64 apart in quantiles", () => {
    const tally = new LengthTally();
    for (let tokens = 0; tokens <= 60; tokens++) tally.add(tokens);
    expect(tally.quantiles()).toEqual({
      documents: 61,
      mean: 30,
      min: 0,
      p5: 3,
      p25: 15,
      p50: 30,
      p75: 45,
      p95: 57,
      max: 60,
    });
    expect(tally.histogram(6)).toEqual([2, 2, 4, 8, 16, 29]);
    expect(new LengthTally().quantiles()).toBeNull();
  });

  it("embed JSON that no parser of markup can end", () => {
    const value = { name: "</script><!--<script>\u2028&" };
    const text = embedJson(value);
    expect(text).not.toMatch(/[<>&\u2028]/);
    expect(JSON.parse(text)).toEqual(value);
  });
});
