/** The feed's thread: sends the batches of the stream that was opened last, so many ahead of what was taken. */
import { type MessagePort, type Transferable, workerData } from "node:worker_threads";
import { toPlainError } from "../lib/errors.ts";
import type { TrainingBatch } from "../trainer/contract.ts";
import { batchesAhead, type FeedPlan, type FromFeed, type StreamRequest, type ToFeed } from "./feed-contract.ts";
import { FeedReader } from "./feed-reader.ts";

export interface FeedThreadData {
  readonly plan: FeedPlan;
  /** to the trainer's thread */
  readonly port: MessagePort;
}

const { plan, port } = workerData as FeedThreadData;
const ahead = batchesAhead(plan);

let stream = 0;
/** batches of the open stream that may still be sent */
let room = 0;
let changed: (() => void) | undefined;

function send(message: FromFeed, transfer: readonly Transferable[] = []): void {
  port.postMessage(message, transfer);
}

function fail(error: unknown): void {
  send({ type: "failed", error: toPlainError(error) });
}

function batchesOf(reader: FeedReader, request: StreamRequest): AsyncIterable<TrainingBatch> {
  switch (request.kind) {
    case "training":
      return reader.training(request.from, request.reference);
    case "reference":
      return reader.reference();
    case "evaluation":
      return reader.evaluation(request.sequences);
    default:
      return request satisfies never;
  }
}

async function pump(reader: FeedReader, mine: number, request: StreamRequest): Promise<void> {
  for await (const batch of batchesOf(reader, request)) {
    while (room === 0 && stream === mine) {
      await new Promise<void>((resolve) => {
        changed = resolve;
      });
    }
    if (stream !== mine) return;
    room--;
    const buffers = [
      batch.inputs,
      batch.targets,
      batch.mask,
      batch.domains,
      ...(batch.reference ? [batch.reference] : []),
    ];
    send(
      { type: "batch", stream: mine, batch },
      buffers.map(({ buffer }) => buffer as ArrayBuffer),
    );
  }
  if (stream === mine) send({ type: "end", stream: mine });
}

async function handle(reader: FeedReader, message: ToFeed): Promise<void> {
  switch (message.type) {
    case "open":
      stream = message.stream;
      room = ahead;
      changed?.();
      await pump(reader, message.stream, message.request);
      return;
    case "taken":
      if (message.stream === stream) room++;
      changed?.();
      return;
    case "decide":
      send({ type: "decision", decision: await reader.decide(message.engine) });
      return;
    case "losses":
      reader.losses(message.losses);
      return;
    case "flush":
      await reader.flush();
      send({ type: "flushed" });
      return;
    default:
      message satisfies never;
  }
}

const opened = FeedReader.open(plan);
opened.catch(fail);
// The port keeps the thread alive, also after a failure, which the trainer has to hear of first.
port.on("message", (message: ToFeed) => void opened.then((reader) => handle(reader, message)).catch(fail));
// The trainer has left. Whatever a stream waits for, nobody takes it.
port.once("close", () => process.exit());
