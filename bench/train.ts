/**
 * Time and memory of training steps: plain, and proxy with a resident reference. Prints one JSON line.
 * Settings by environment: V D L H T B K (sizes), STEPS, THREADS, KIND (plain | proxy).
 */
import { createCpuEngine } from "../src/engine/cpu.ts";
import { Rng } from "../src/lib/rng.ts";
import { createBatchSource, type SequenceReader } from "../src/trainer/batches.ts";
import type { ModelConfig, OptimizerConfig } from "../src/trainer/contract.ts";
import { LossModel } from "../src/trainer/evaluate.ts";
import { initializeWeights } from "../src/trainer/initialization.ts";
import { parameterCount, trainingFlops } from "../src/trainer/model.ts";
import { train } from "../src/trainer/train.ts";

const number = (name: string, fallback: number): number => Number(process.env[name] ?? fallback);
const model: ModelConfig = {
  architecture: "gpt2",
  vocabularySize: number("V", 4096),
  sequenceLength: number("T", 128),
  width: number("D", 128),
  layers: number("L", 4),
  heads: number("H", 4),
};
const optimizer: OptimizerConfig = {
  name: "adamw",
  learningRate: 1e-3,
  finalLearningRate: 1e-4,
  warmupSteps: 10,
  decay: "exponential",
  beta1: 0.9,
  beta2: 0.99,
  epsilon: 1e-8,
  weightDecay: 0.01,
  clipNorm: 1,
};
const batchSize = number("B", 16);
const domains = number("K", 8);
const steps = number("STEPS", 20);
const proxy = process.env.KIND === "proxy";
const T = model.sequenceLength;

const readers: SequenceReader[] = Array.from({ length: domains }, (_, domain) => {
  const rng = new Rng(1, `bench/${domain}`);
  return {
    sequences: 1000,
    sequence: (i) =>
      Int32Array.from({ length: T + 1 }, (_, t) => Math.floor(rng.uniform(i * (T + 1) + t) * model.vocabularySize)),
  };
});
const engine = await createCpuEngine(process.env.THREADS ? { threads: number("THREADS", 1) } : {});
const reference = proxy ? await LossModel.load(engine, initializeWeights(model, 2), batchSize) : undefined;
const started = performance.now();
const times: number[] = [];
let firstStepAt = 0;
let lastLoss = 0;
await train({
  engine,
  model,
  optimizer,
  batches: createBatchSource({ readers, weights: readers.map(() => 1), batchSize, sequenceLength: T, seed: 3 }),
  steps,
  seed: 1,
  ...(reference && { doremi: { eta: 1, smoothing: 1e-3, reference } }),
  onStep: (record) => {
    if (record.step === 1) firstStepAt = performance.now() - started - record.durationMs;
    times.push(record.durationMs);
    lastLoss = record.loss;
  },
});
await engine.close();
const sorted = times.slice(2).sort((a, b) => a - b);
const median = sorted[sorted.length >> 1]!;
console.log(
  JSON.stringify({
    bench: "train",
    kind: proxy ? "proxy" : "plain",
    model,
    batchSize,
    parameters: parameterCount(model),
    steps,
    setupMs: Math.round(firstStepAt),
    minMs: Number(sorted[0]!.toFixed(1)),
    medianMs: Number(median.toFixed(1)),
    tokensPerSecond: Math.round((batchSize * T * 1000) / median),
    gflops: Number((trainingFlops(model, batchSize * T) / median / 1e6).toFixed(1)),
    peakRssMb: Math.round(process.resourceUsage().maxRSS / 1024),
    lastLoss,
  }),
);
