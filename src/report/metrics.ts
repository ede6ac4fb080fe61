/**
 * The figures of a run's trainings as files for other tools: JSON Lines or CSV in long form, a figure a line, and
 * TensorBoard's event files, a folder for each model. Of trainings that are finished; reads the run's folder and changes
 * nothing of the run.
 */
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { openingRecord, scalarRecord } from "../formats/tensorboard.ts";
import { AtomicFile } from "../lib/atomic-write.ts";
import { csvCell } from "../lib/csv.ts";
import { DoremiError } from "../lib/errors.ts";
import { makeFolder } from "../lib/make-folder.ts";
import { HELD_OUT, TRAJECTORY, type TrajectoryLayout } from "../stages/trajectory.ts";
import { openTrajectory, type TrajectoryStretch } from "../stages/trajectory-read.ts";

export const METRICS_FORMATS = ["jsonl", "csv", "tensorboard"] as const;
export type MetricsFormat = (typeof METRICS_FORMATS)[number];

/** One figure. */
export interface Metric {
  readonly name: string;
  /** null where it is of the whole batch */
  readonly domain: string | null;
  readonly value: number;
}

export interface MetricsReport {
  /** files, or of TensorBoard the folder */
  readonly path: string;
  readonly trainings: readonly { readonly stage: string; readonly steps: number }[];
}

/** @param run output folder of a run @param output default: metrics.jsonl, metrics.csv or tensorboard in it @throws DoremiError no-trainings */
export async function writeMetrics(run: string, format: MetricsFormat, output?: string): Promise<MetricsReport> {
  const stages = await trainedStages(run);
  if (stages.length === 0) {
    throw new DoremiError(
      "missing-input",
      "no-trainings",
      `${run}: must be the output folder of a run that has finished a training, and holds no ${TRAJECTORY}`,
      { file: run },
    );
  }
  const path = output ?? join(run, format === "tensorboard" ? format : `metrics.${format}`);
  const trainings: { stage: string; steps: number }[] = [];
  if (format === "tensorboard") {
    for (const stage of stages) {
      const folder = join(path, stage);
      await makeFolder(folder);
      const steps = await written(join(folder, `events.out.tfevents.0.${stage}`), async (write) => {
        await write(openingRecord(0));
        return each(run, stage, (step, metrics) => write(scalarRecord(eventOf(step, metrics))));
      });
      trainings.push({ stage, steps });
    }
    return { path, trainings };
  }
  await written(path, async (write) => {
    if (format === "csv") await write("stage,step,metric,domain,value\n");
    for (const stage of stages) {
      const steps = await each(run, stage, (step, metrics) =>
        write(metrics.map((metric) => lineOf(format, stage, step, metric)).join("")),
      );
      trainings.push({ stage, steps });
    }
  });
  return { path, trainings };
}

/** In the order in which they were finished. */
async function trainedStages(run: string): Promise<string[]> {
  const entries = await readdir(run, { withFileTypes: true }).catch(() => []);
  const found: { stage: string; at: number }[] = [];
  for (const entry of entries) {
    const file = await stat(join(run, entry.name, TRAJECTORY)).catch(() => undefined);
    if (file) found.push({ stage: entry.name, at: file.mtimeMs });
  }
  return found.sort((a, b) => a.at - b.at || (a.stage < b.stage ? -1 : 1)).map(({ stage }) => stage);
}

async function written<T>(path: string, work: (write: (bytes: Uint8Array | string) => Promise<void>) => Promise<T>) {
  const file = await AtomicFile.create(path);
  try {
    const result = await work((bytes) => file.write(typeof bytes === "string" ? Buffer.from(bytes) : bytes));
    await file.commit();
    return result;
  } catch (error) {
    await file.discard();
    throw error;
  }
}

/** @returns how many steps there were */
async function each(
  run: string,
  stage: string,
  take: (step: number, metrics: readonly Metric[]) => Promise<void>,
): Promise<number> {
  const trajectory = await openTrajectory(join(run, stage, TRAJECTORY));
  let steps = 0;
  try {
    for await (const stretch of trajectory.stretches()) {
      for (const [step, metrics] of metricsOf(stretch, trajectory.layout, trajectory.domains)) {
        await take(step, metrics);
        steps = step;
      }
    }
    return steps;
  } finally {
    await trajectory.close();
  }
}

/** What was measured in each step: figures that were not are left out. */
export function* metricsOf(
  { firstStep, steps, values }: TrajectoryStretch,
  { domains: K, width, scalars, heldOut, vectors }: TrajectoryLayout,
  names: readonly string[],
): Generator<[step: number, metrics: Metric[]]> {
  const byDomain = Object.entries({ [HELD_OUT]: heldOut, ...vectors });
  for (let row = 0; row < steps; row++) {
    const record = values.subarray(row * width, (row + 1) * width);
    const metrics: Metric[] = [];
    const add = (name: string, domain: string | null, value: number) => {
      if (!Number.isNaN(value)) metrics.push({ name, domain, value });
    };
    for (const [name, at] of Object.entries(scalars)) add(name, null, record[at]!);
    for (const [name, at] of byDomain) for (let k = 0; k < K; k++) add(name, names[k]!, record[at + k]!);
    yield [firstStep + row, metrics];
  }
}

function lineOf(format: "jsonl" | "csv", stage: string, step: number, { name, domain, value }: Metric): string {
  if (format === "jsonl") return `${JSON.stringify({ stage, step, metric: name, domain, value })}\n`;
  return `${[stage, step, name, domain, value].map(csvCell).join(",")}\n`;
}

/** A trajectory has no times, so that a step stands for a second: the axis of steps is the one to look at. */
function eventOf(step: number, metrics: readonly Metric[]) {
  const scalars = metrics.map(
    ({ name, domain, value }) => [domain === null ? name : `${name}/${domain}`, value] as const,
  );
  return { step, wallTime: step, scalars };
}
