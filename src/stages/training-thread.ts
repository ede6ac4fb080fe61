/**
 * The trainer's thread: the engine, the models and the training loop live here and nothing else does, so that neither
 * files nor progress displays wait for a step, nor a step for them.
 */
import { parentPort, type Transferable, workerData } from "node:worker_threads";
import { createEngine } from "../engine/choose.ts";
import { cpuThreads } from "../engine/cpu.ts";
import type { Engine } from "../engine/engine.ts";
import { availableMemory } from "../lib/available-memory.ts";
import { DoremiError, toPlainError } from "../lib/errors.ts";
import type { CheckpointStore, RunConfiguration } from "../trainer/checkpoint.ts";
import type { TrainingBatch } from "../trainer/contract.ts";
import { LossModel } from "../trainer/evaluate.ts";
import type { ModelWeights } from "../trainer/initialization.ts";
import { refuseTooLarge } from "../trainer/memory.ts";
import { loadModel, saveModel } from "../trainer/model-folder.ts";
import { type TrainResult, train } from "../trainer/train.ts";
import type { ProxyOptions } from "../trainer/train-options.ts";
import { Feed } from "./feed.ts";
import { throwIfAborted } from "./pool.ts";
import { CheckpointPort } from "./training-checkpoints.ts";
import type {
  FromTrainer,
  ProxySettings,
  StoredModel,
  ToTrainer,
  TrainingJob,
  TrainingOutcome,
  TrainingThreadData,
} from "./training-contract.ts";

const { job, feed: feedPort } = workerData as TrainingThreadData;
const main = parentPort!;
const stop = new AbortController();
const feed = new Feed(feedPort, stop.signal);
const checkpoints = new CheckpointPort(post);

function post(message: FromTrainer, transfer: readonly Transferable[] = []): void {
  main.postMessage(message, transfer);
}

main.on("message", (message: ToTrainer) => {
  if (message.type === "stop") stop.abort();
  else checkpoints.answer(message);
});

run(job)
  .then(
    (outcome) => post({ type: "done", outcome }),
    (error) => post({ type: "failed", error: toPlainError(error) }),
  )
  .finally(() => {
    main.unref(); // nothing is waited for any more, so the thread ends
    feedPort.unref();
  });

async function run({ engine: wanted, model, batchSize, domains, threads }: TrainingJob): Promise<TrainingOutcome> {
  const { engine, why } = await createEngine({ engine: wanted, threads });
  if (wanted === "auto") post({ type: "note", message: `engine ${why}` });
  if (engine.name === "cpu" && cpuThreads(threads) < threads) {
    const message = `train.threads is ${threads}, and ${cpuThreads(threads)} compute: there are no more processors`;
    post({ type: "note", message });
  }
  try {
    if (model.kind === "stored") {
      const weights = await loadModel(model.stored.folder, model.stored.demands);
      return { evaluation: await evaluate(engine, weights, batchSize, domains.length) };
    }
    const rows = model.settings.microBatch ?? batchSize; // computed at once, whatever is computed
    const { weights, steps, alpha, average } = await trainModel(engine, model, { rows, batchSize, domains });
    const evaluation = await evaluate(engine, weights, rows, domains.length);
    await saveModel(model.folder, weights, { endOfText: model.endOfText });
    return { evaluation, trained: { steps, ...(alpha && { alpha }), ...(average && { average }) } };
  } finally {
    await engine.close();
  }
}

async function trainModel(
  engine: Engine,
  { settings, checkpointEvery, data, heldOut, proxy }: Extract<TrainingJob["model"], { kind: "train" }>,
  {
    rows,
    batchSize,
    domains,
  }: { readonly rows: number; readonly batchSize: number; readonly domains: readonly string[] },
): Promise<TrainResult> {
  if (engine.name === "cpu") refuseTooLarge({ ...settings, batchSize, microBatch: rows }, availableMemory().limit);
  const stored = proxy?.reference ?? null;
  const reference = stored && (await residentReference(engine, stored, rows));
  const batches = feed.training({ domains: domains.length, batchSize }, stored !== null && reference === null);
  const store = (configuration: RunConfiguration): CheckpointStore => {
    const own = checkpoints.store(configuration);
    return {
      ...own,
      load: async () => {
        const checkpoint = await own.load();
        batches.startAt((checkpoint?.step ?? 0) + 1); // while the engine prepares its graph
        return checkpoint;
      },
    };
  };
  return train({
    ...settings,
    engine,
    batches,
    domainNames: domains,
    ...(proxy && { proxy: { ...options(proxy), ...(reference && { reference }) } }),
    ...(heldOut && { heldOut: { every: heldOut.every, batches: () => collect(feed.evaluation(heldOut.sequences)) } }),
    signal: stop.signal,
    onStep: (record) => post({ type: "record", record }),
    onNote: (message) => post({ type: "note", message }),
    checkpoint: { every: checkpointEvery, data, store },
  }).finally(() => reference?.close());
}

function options({ reference: _, ...plain }: ProxySettings): ProxyOptions {
  return plain;
}

/** The reference, where it is to run beside the proxy; null where its losses come with the batches. */
async function residentReference(engine: Engine, stored: StoredModel, rows: number): Promise<LossModel | null> {
  const { mode, missing, reason } = await feed.decide(engine.name);
  post({ type: "note", message: reason });
  if (mode === "cached" && missing === 0) return null;
  const model = await LossModel.load(engine, await loadModel(stored.folder, stored.demands), rows);
  if (mode === "resident") return model;
  try {
    await computeLosses(model, missing, stored.demands.sequenceLength);
  } finally {
    await model.close();
  }
  return null;
}

/** @param missing sequences whose losses the feed has not */
async function computeLosses(model: LossModel, missing: number, T: number): Promise<void> {
  let done = 0;
  try {
    for await (const batch of feed.missing()) {
      throwIfAborted(stop.signal);
      feed.give(await model.losses(batch));
      done += batch.mask.reduce((sum, counts) => sum + counts, 0);
      post({ type: "progress", done, total: missing * T });
      await new Promise(setImmediate); // messages get their turn
    }
  } catch (error) {
    if (!stop.signal.aborted) throw error;
    await feed.flush();
    throw new DoremiError(
      "interrupted",
      "interrupted",
      `reference losses: interrupted after ${done} of ${missing * T} tokens, which are kept; the same command goes on from there`,
    );
  }
}

async function collect(batches: AsyncIterable<TrainingBatch>): Promise<TrainingBatch[]> {
  const all: TrainingBatch[] = [];
  for await (const batch of batches) all.push(batch);
  return all;
}

async function evaluate(engine: Engine, weights: ModelWeights, rows: number, domains: number) {
  const model = await LossModel.load(engine, weights, rows);
  try {
    return await model.evaluate(feed.evaluation(), domains, stop.signal);
  } finally {
    await model.close();
  }
}
