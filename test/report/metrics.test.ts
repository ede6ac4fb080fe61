/** Figures of trainings as files: exact in text, and for TensorBoard byte for byte what its own package writes. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openingRecord, scalarRecord } from "../../src/formats/tensorboard.ts";
import { parseCsv } from "../../src/lib/csv.ts";
import { runPipeline } from "../../src/pipeline/run.ts";
import { type Metric, metricsOf, writeMetrics } from "../../src/report/metrics.ts";
import { openTrajectory } from "../../src/stages/trajectory-read.ts";
import { smallPipeline, temporaryFolder } from "../e2e/small.ts";

it("event files are the bytes that TensorBoard's package writes", () => {
  const events = [
    {
      step: 1,
      wallTime: 1,
      scalars: [
        ["loss", 2.5],
        ["alpha/web/ä b", 0.125],
      ] as const,
    },
    { step: 300, wallTime: 300, scalars: [["loss", -0.1]] as const },
  ];
  const bytes = Buffer.concat([openingRecord(0), ...events.map(scalarRecord)]);
  expect(bytes.equals(readFileSync("test/files/tensorboard/golden.tfevents"))).toBe(true);
});

interface Figure extends Omit<Metric, "name"> {
  readonly stage: string;
  readonly step: number;
  readonly metric: string;
}

describe("of a run", () => {
  let folder: string;
  let run: string;
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const expected: Figure[] = [];
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "doremi-metrics-"));
    run = join(folder, "out");
    await runPipeline(smallPipeline(run));
    for (const stage of ["reference", "proxy"]) {
      const trajectory = await openTrajectory(join(run, stage, "trajectory.arrow"));
      for await (const stretch of trajectory.stretches())
        for (const [step, metrics] of metricsOf(stretch, trajectory.layout, trajectory.domains))
          for (const { name, domain, value } of metrics) expected.push({ stage, step, metric: name, domain, value });
      await trajectory.close();
    }
  });

  it("every figure is in the text files, to the last bit", async () => {
    const json = await writeMetrics(run, "jsonl");
    expect(json.trainings).toEqual([
      { stage: "reference", steps: 12, finished: true },
      { stage: "proxy", steps: 12, finished: true },
    ]);
    const lines = readFileSync(json.path, "utf8").trimEnd().split("\n");
    expect(lines.map((line) => JSON.parse(line))).toEqual(expected);
    const alphas = expected.filter(({ stage, step, metric }) => stage === "proxy" && step === 12 && metric === "alpha");
    expect(alphas.reduce((sum, { value }) => sum + value, 0)).toBeCloseTo(1, 10);
    const csv = parseCsv(readFileSync((await writeMetrics(run, "csv")).path, "utf8"), "metrics.csv");
    expect(csv.header).toEqual(["stage", "step", "metric", "domain", "value"]);
    expect(csv.rows).toEqual(
      expected.map(({ stage, step, metric, domain, value }) => [stage, `${step}`, metric, domain ?? "", `${value}`]),
    );
  });

  it("a folder without a training is refused", async () => {
    await expect(writeMetrics(temporaryFolder(), "csv")).rejects.toMatchObject({
      code: "no-trainings",
      exitStatus: 66,
    });
  });
});
