/**
 * The trainer's side of the feed: batches that another thread prepared. What has arrived is taken without waiting for the
 * event loop, which the engine blocks while it computes.
 */
import { type MessagePort, receiveMessageOnPort, type Transferable } from "node:worker_threads";
import { fromPlainError } from "../lib/errors.ts";
import type { BatchSource, TrainingBatch } from "../trainer/contract.ts";
import type { FromFeed, ReferenceLossDecision, StreamRequest, ToFeed } from "./feed-contract.ts";
import { throwIfAborted } from "./pool.ts";

export class Feed {
  readonly #port: MessagePort;
  readonly #inbox: FromFeed[] = [];
  #arrived: (() => void) | undefined;
  readonly #signal: AbortSignal | undefined;
  #stream = 0;

  /** @param signal when aborted, nothing is waited for any more */
  constructor(port: MessagePort, signal?: AbortSignal) {
    this.#port = port;
    this.#signal = signal;
    signal?.addEventListener("abort", () => this.#arrived?.());
    port.on("message", (message: FromFeed) => {
      this.#inbox.push(message);
      this.#arrived?.();
    });
  }

  /** Batches of training, prepared ahead from the step that was asked for first, or told of by `startAt`. */
  training(
    { domains, batchSize }: Pick<BatchSource, "domains" | "batchSize">,
    reference: boolean,
  ): BatchSource & { startAt(step: number): void } {
    let next = 0;
    let stream = 0;
    const startAt = (step: number): void => {
      if (step === next && stream === this.#stream) return;
      this.#open({ kind: "training", from: step, reference });
      next = step;
      stream = this.#stream;
    };
    return {
      domains,
      batchSize,
      startAt,
      batch: async (step) => {
        startAt(step);
        const batch = await this.#take();
        if (!batch) throw new RangeError(`feed: there is no batch of step ${step}`);
        next = step + 1;
        return batch;
      },
    };
  }

  /** @param sequences of each domain, at most; default: as planned */
  evaluation(sequences?: number): AsyncGenerator<TrainingBatch> {
    return this.#batches({ kind: "evaluation", ...(sequences !== undefined && { sequences }) });
  }

  async decide(engine: string): Promise<ReferenceLossDecision> {
    this.#send({ type: "decide", engine });
    for (;;) {
      const message = await this.#next();
      if (message.type === "decision") return message.decision;
    }
  }

  /** Batches whose reference losses are missing; each has to be answered by `give` before the next is asked for. */
  missing(): AsyncGenerator<TrainingBatch> {
    return this.#batches({ kind: "reference" });
  }

  /** @param losses [B, T], handed over */
  give(losses: Float32Array): void {
    this.#send({ type: "losses", losses }, [losses.buffer as ArrayBuffer]);
  }

  /** Resolves when what was given is on disk. */
  async flush(): Promise<void> {
    this.#send({ type: "flush" });
    for (;;) if ((await this.#next({ whatever: true })).type === "flushed") return;
  }

  async *#batches(request: StreamRequest): AsyncGenerator<TrainingBatch> {
    this.#open(request);
    for (;;) {
      const batch = await this.#take();
      if (!batch) return;
      yield batch;
    }
  }

  #open(request: StreamRequest): void {
    this.#stream++;
    this.#send({ type: "open", stream: this.#stream, request });
  }

  /** The open stream's next batch; undefined at its end. */
  async #take(): Promise<TrainingBatch | undefined> {
    for (;;) {
      const message = await this.#next();
      if (message.type !== "batch" && message.type !== "end") continue;
      if (message.stream !== this.#stream) continue; // of a stream that was open before
      if (message.type === "end") return undefined;
      this.#send({ type: "taken", stream: this.#stream });
      return message.batch;
    }
  }

  /** @param whatever waits although the signal is aborted */
  async #next({ whatever = false } = {}): Promise<FromFeed> {
    while (this.#inbox.length === 0) {
      const arrived = receiveMessageOnPort(this.#port);
      if (arrived) {
        this.#inbox.push(arrived.message as FromFeed);
        break;
      }
      if (!whatever) throwIfAborted(this.#signal);
      await new Promise<void>((resolve) => {
        this.#arrived = resolve;
      });
    }
    const message = this.#inbox.shift()!;
    if (message.type === "failed") throw fromPlainError(message.error);
    return message;
  }

  #send(message: ToFeed, transfer: readonly Transferable[] = []): void {
    this.#port.postMessage(message, transfer);
  }
}
