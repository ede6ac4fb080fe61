/**
 * Our side of a run of steps: a process of its own, so that every run starts with nothing. Prints one line of JSON.
 *
 *   steps.ts FOLDER plain|resident|cached STEPS THREADS
 */
import { createCpuEngine } from "../../src/engine/cpu.ts";
import { uniformFacts } from "../../src/mixture/objective.ts";
import { DOREMI_PRESETS } from "../../src/mixture/objective-settings.ts";
import { LossModel } from "../../src/trainer/evaluate.ts";
import { initializeWeights } from "../../src/trainer/initialization.ts";
import { train } from "../../src/trainer/train.ts";
import { readJob, SEEDS, storedBatches } from "./job.ts";
import type { StepsLine } from "./measure.ts";

const [folder, kind, steps, threads] = process.argv.slice(2) as [
  string,
  "plain" | "resident" | "cached",
  string,
  string,
];
const job = readJob(folder);
const { model, optimizer, batchSize } = job;
const engine = await createCpuEngine({ threads: Number(threads) });
const reference =
  kind === "resident" ? await LossModel.load(engine, initializeWeights(model, SEEDS.reference), batchSize) : undefined;
const losses: number[] = [];
const milliseconds: number[] = [];
const { alpha } = await train({
  ...{ engine, model, optimizer, steps: Number(steps), seed: SEEDS.model },
  batches: storedBatches(folder, job, kind === "cached"),
  ...(kind !== "plain" && {
    proxy: {
      objective: { ...DOREMI_PRESETS.paper, eta: job.doremi.eta, smoothing: job.doremi.smoothing },
      facts: uniformFacts(job.doremi.domains, model),
      ...(reference && { reference }),
    },
  }),
  onStep(record) {
    losses.push(record.loss);
    milliseconds.push(record.durationMs);
  },
});
await reference?.close();
await engine.close();
const line: StepsLine = { losses, milliseconds, alpha: alpha ? [...alpha] : null };
console.log(JSON.stringify(line));
