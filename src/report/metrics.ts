/**
 * The figures of a run's trainings as files for other tools: JSON Lines or CSV in long form, a figure a line, of the
 * trainings that are finished and those that go on, as far as they are. Reads the run's folder and changes nothing of the
 * run. TensorBoard's files are written in tensorboard.ts.
 */
import { join } from "node:path";
import { AtomicFile } from "../lib/atomic-write.ts";
import { csvCell } from "../lib/csv.ts";
import { DoremiError } from "../lib/errors.ts";
import { HELD_OUT, TRAJECTORY, type TrajectoryLayout } from "../stages/trajectory.ts";
import type { TrajectoryStretch } from "../stages/trajectory-read.ts";
import { findTrainings, readTraining } from "./trainings.ts";

/** One figure. */
export interface Metric {
  readonly name: string;
  /** null where it is of the whole batch */
  readonly domain: string | null;
  readonly value: number;
}

export interface MetricsReport {
  readonly path: string;
  /** steps: that there are by now, of one that is not finished */
  readonly trainings: readonly { readonly stage: string; readonly steps: number; readonly finished: boolean }[];
}

/** @param run output folder of a run @param output default: metrics.jsonl or metrics.csv in it @throws DoremiError no-trainings */
export async function writeMetrics(run: string, format: "jsonl" | "csv", output?: string): Promise<MetricsReport> {
  const found = await findTrainings(run);
  if (found.length === 0) throw noTrainings(run);
  const path = output ?? join(run, `metrics.${format}`);
  const trainings: MetricsReport["trainings"][number][] = [];
  const file = await AtomicFile.create(path);
  try {
    const write = (text: string) => file.write(Buffer.from(text));
    if (format === "csv") await write("stage,step,metric,domain,value\n");
    for (const training of found) {
      const { stage, finished } = training;
      const steps = await readTraining(run, training, async (stretch, { layout, domains }) => {
        for (const [step, metrics] of metricsOf(stretch, layout, domains)) {
          await write(metrics.map((metric) => lineOf(format, stage, step, metric)).join(""));
        }
      });
      if (steps !== undefined) trainings.push({ stage, steps, finished });
    }
    await file.commit();
    return { path, trainings };
  } catch (error) {
    await file.discard();
    throw error;
  }
}

export function noTrainings(run: string): DoremiError {
  return new DoremiError(
    "missing-input",
    "no-trainings",
    `${run}: must be the output folder of a run that has begun a training, and holds no ${TRAJECTORY} and no log of one`,
    { file: run },
  );
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
