/** What a run of steps starts from, as files that both sides read: weights, batches, the reference and its losses. */
import { readFileSync } from "node:fs";
import { mkdir, open, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createCpuEngine } from "../../src/engine/cpu.ts";
import { Rng } from "../../src/lib/rng.ts";
import type { BatchSource, ModelConfig, OptimizerConfig, TrainingBatch } from "../../src/trainer/contract.ts";
import { LossModel } from "../../src/trainer/evaluate.ts";
import { initializeWeights, type ModelWeights } from "../../src/trainer/initialization.ts";
import { parameterShapes } from "../../src/trainer/model.ts";
import { learningRateAt } from "../../src/trainer/optimizer.ts";
import { type CaseName, caseOf, DOMAINS, DOREMI, OPTIMIZER } from "./cases.ts";

/** Steps before those that are timed: memory is claimed and programs are compiled in them. */
export const WARM_UP_STEPS = 2;
/** of the initial weights: the model's, the reference's */
export const SEEDS = { model: 1, reference: 2 } as const;

/** `job.json`. Arrays lie beside it, little-endian: see the names in `writeJob`. */
export interface Job {
  readonly model: ModelConfig;
  readonly batchSize: number;
  readonly steps: number;
  readonly optimizer: OptimizerConfig;
  /** learning rate of each step */
  readonly rates: readonly number[];
  readonly doremi: { readonly eta: number; readonly smoothing: number; readonly domains: number };
  /** names and shapes of the parameters, in the order of the weight files */
  readonly parameters: readonly (readonly [string, readonly number[]])[];
}

/** @param withReference also a reference model and its losses on every batch */
export async function writeJob(folder: string, name: CaseName, withReference: boolean): Promise<void> {
  const { model, batchSize, timedSteps } = caseOf[name];
  const steps = WARM_UP_STEPS + timedSteps;
  const job: Job = {
    ...{ model, batchSize, steps, optimizer: OPTIMIZER, doremi: { ...DOREMI, domains: DOMAINS } },
    rates: Array.from({ length: steps }, (_, i) => learningRateAt(OPTIMIZER, i + 1, steps)),
    parameters: Object.entries(parameterShapes(model)),
  };
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, "job.json"), JSON.stringify(job));
  await writeWeights(join(folder, "weights.f32"), initializeWeights(model, SEEDS.model));
  const batches = Array.from({ length: steps }, (_, i) => randomBatch(job, i));
  for (const part of ["inputs", "targets", "domains"] as const)
    await writeFile(join(folder, `${part}.i32`), Buffer.concat(batches.map((batch) => bytesOf(batch[part]))));
  if (!withReference) return;
  const reference = initializeWeights(model, SEEDS.reference);
  await writeWeights(join(folder, "reference.f32"), reference);
  const engine = await createCpuEngine();
  const losses = await LossModel.load(engine, reference, batchSize);
  const file = await open(join(folder, "losses.f32"), "w");
  for (const batch of batches) await file.write(bytesOf(await losses.losses(batch)));
  await file.close();
  await losses.close();
  await engine.close();
}

export function readJob(folder: string): Job {
  return JSON.parse(readFileSync(join(folder, "job.json"), "utf8"));
}

/** The batches of the folder. @param withLosses with the reference's losses in each */
export function storedBatches(folder: string, job: Job, withLosses: boolean): BatchSource {
  const { batchSize: B, model } = job;
  const N = B * model.sequenceLength;
  const read = (name: string) => {
    const bytes = readFileSync(join(folder, name));
    return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length) as ArrayBuffer;
  };
  const [inputs, targets, domains] = ["inputs", "targets", "domains"].map(
    (part) => new Int32Array(read(`${part}.i32`)),
  );
  const losses = withLosses ? new Float32Array(read("losses.f32")) : undefined;
  return {
    domains: job.doremi.domains,
    batchSize: B,
    batch: (step) => ({
      inputs: inputs!.slice((step - 1) * N, step * N),
      targets: targets!.slice((step - 1) * N, step * N),
      mask: new Float32Array(N).fill(1),
      domains: domains!.slice((step - 1) * B, step * B),
      ...(losses && { reference: losses.slice((step - 1) * N, step * N) }),
    }),
  };
}

function randomBatch({ model, batchSize: B }: Job, index: number): Omit<TrainingBatch, "mask"> {
  const N = B * model.sequenceLength;
  const rng = new Rng(1, `bench/train/${index}`);
  const id = (at: number) => Math.floor(rng.uniform(at) * model.vocabularySize);
  return {
    inputs: Int32Array.from({ length: N }, (_, at) => id(at)),
    targets: Int32Array.from({ length: N }, (_, at) => id(N + at)),
    domains: Int32Array.from({ length: B }, (_, row) => (index * B + row) % DOMAINS),
  };
}

async function writeWeights(path: string, { parameters }: ModelWeights): Promise<void> {
  const file = await open(path, "w");
  for (const values of Object.values(parameters)) await file.write(bytesOf(values));
  await file.close();
}

const bytesOf = (values: Int32Array | Float32Array) => Buffer.from(values.buffer, values.byteOffset, values.byteLength);
