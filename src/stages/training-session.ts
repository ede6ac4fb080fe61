/**
 * The main thread's side of a training: starts the trainer's thread and the feed's, writes the checkpoints that the
 * trainer hands over, passes a stop on, and knows what it means when a thread dies.
 */
import { MessageChannel } from "node:worker_threads";
import { fromPlainError, toPlainError } from "../lib/errors.ts";
import type { CheckpointStore, RunConfiguration } from "../trainer/checkpoint.ts";
import type { StepRecord } from "../trainer/contract.ts";
import type { FeedPlan } from "./feed-contract.ts";
import { workerModule } from "./pool.ts";
import { buffersOf } from "./training-checkpoints.ts";
import type { FromTrainer, ToTrainer, TrainingJob, TrainingOutcome } from "./training-contract.ts";
import { WorkThread } from "./work-thread.ts";

const TRAINER = workerModule(import.meta.url, "./training-thread");
const FEED = workerModule(import.meta.url, "./feed-thread");

const REMEDY =
  "if memory ran out, lower train.microBatch or train.batchSize; the same command goes on from the last checkpoint";

/**
 * For a thread to leave by itself: a trainer once it has closed its engine, a feed once its trainer has left. Before that
 * a trainer leaves after the step that it is in: a native call that is running cannot be cut short, and a thread that is
 * ended in it, or while it loads its modules, takes the process with it.
 */
const PATIENCE_MS = 2_000;

export interface TrainingSession {
  readonly job: TrainingJob;
  readonly plan: FeedPlan;
  /** aborted when the training is to save its state and stop */
  readonly signal: AbortSignal;
  /** every record of a step comes before the checkpoint that counts on it */
  onRecord(record: StepRecord): void;
  onNote(message: string): void;
  onProgress(done: number, total: number): void;
  /** where checkpoints of a run of this configuration are kept */
  checkpoints(configuration: RunConfiguration): CheckpointStore;
}

/** @throws DoremiError what the trainer or the feed threw; thread-died */
export async function runTrainer(session: TrainingSession): Promise<TrainingOutcome> {
  const { job, plan, signal } = session;
  const channel = new MessageChannel();
  const feed = new WorkThread({
    name: "the feed",
    module: FEED,
    data: { plan, port: channel.port1 },
    transfer: [channel.port1],
    remedy: REMEDY,
    follows: true,
  });
  let store: CheckpointStore | undefined;
  let trainer: WorkThread<ToTrainer, FromTrainer> | undefined;
  let isDone = false;
  const stop = (): void => trainer?.post({ type: "stop" });
  try {
    const outcome = new Promise<TrainingOutcome>((resolve, reject) => {
      const handle = async (message: FromTrainer): Promise<void> => {
        switch (message.type) {
          case "done":
            isDone = true;
            return resolve(message.outcome);
          case "failed":
            isDone = true;
            return reject(fromPlainError(message.error));
          case "record":
            return session.onRecord(message.record);
          case "note":
            return session.onNote(message.message);
          case "progress":
            return session.onProgress(message.done, message.total);
          case "load":
          case "save":
            // The trainer hears of what fails here, and says so when it has stopped.
            return answer(message).catch((error) => trainer!.post({ type: "failed", error: toPlainError(error) }));
          default:
            return message satisfies never;
        }
      };
      const answer = async (message: Extract<FromTrainer, { type: "load" | "save" }>): Promise<void> => {
        if (message.type === "load") {
          store = session.checkpoints(message.configuration);
          const checkpoint = await store.load();
          trainer!.post({ type: "loaded", checkpoint }, checkpoint ? buffersOf(checkpoint) : []);
        } else {
          await store!.save(message.checkpoint);
          await store!.idle();
          trainer!.post({ type: "written" });
        }
      };
      trainer = new WorkThread<ToTrainer, FromTrainer>({
        name: "the trainer",
        module: TRAINER,
        data: { job, feed: channel.port2 },
        transfer: [channel.port2],
        onMessage: (message) => void handle(message).catch(reject),
        remedy: REMEDY,
      });
    });
    if (signal.aborted) stop();
    else signal.addEventListener("abort", stop, { once: true });
    return await Promise.race([outcome, trainer!.died, feed.died]);
  } finally {
    signal.removeEventListener("abort", stop);
    stop();
    await trainer?.end({ patienceMs: isDone ? PATIENCE_MS : Number.POSITIVE_INFINITY });
    await feed.end({ patienceMs: PATIENCE_MS });
    await store?.idle().catch(() => {}); // the trainer heard of it
  }
}
