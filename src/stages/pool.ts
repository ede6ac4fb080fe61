/**
 * A Piscina pool whose queue is limited in bytes: each task says how much memory it takes, and a task waits until what
 * is in flight, or finished and waits for its turn, leaves room for it. Results come back in the order of the tasks, so
 * what is written does not depend on the number of workers.
 */
import { availableParallelism } from "node:os";
import { setTimeout as wait } from "node:timers/promises";
import { Piscina } from "piscina";
import { DoremiError, fromPlainError, type PlainError, toPlainError } from "../lib/errors.ts";

export interface PoolOptions {
  /** worker threads; default: the cores there are */
  readonly workers?: number;
  /** bytes that tasks in flight may take together; one task larger than this runs alone */
  readonly memoryBytes?: number;
}

export const DEFAULT_POOL_MEMORY = 512 << 20;

/** One call of a worker module's default export. */
export interface PoolTask<T> {
  readonly input: T;
  /** memory that it takes while in flight, bytes */
  readonly memoryBytes: number;
}

/** What a worker returns: structured clone loses error classes, so failures travel as plain data. */
export type WorkerResult<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly error: PlainError };

/** Wraps a worker's function so that what it throws arrives whole. */
export function asWorker<In, Out>(work: (input: In) => Promise<Out>): (input: In) => Promise<WorkerResult<Out>> {
  return async (input) => {
    try {
      return { ok: true, value: await work(input) };
    } catch (error) {
      return { ok: false, error: toPlainError(error) };
    }
  };
}

/** URL of the worker module beside a module: `.ts` when running from source, `.js` from dist. */
export function workerModule(from: string, name: string): URL {
  return new URL(`${name}${from.endsWith(".ts") ? ".ts" : ".js"}`, from);
}

/** Of a worker, in flight at the same time. */
const TASKS_AT_ONCE = 2;
/** Of each worker, handed out before the result of the first is taken. */
const TASKS_AHEAD = 4;

/**
 * A task that began so long ago is cut off when the pool is closed; for others it waits. A worker loads its module in its
 * first task, and one that is ended while it loads may never end (Node 24) or abort the process (Node 20).
 */
const LOADING_MS = 3_000;

export class WorkerPool {
  readonly workers: number;
  readonly memoryBytes: number;
  #piscina: Piscina | undefined;
  #inFlight = 0;
  #waiting: (() => void)[] = [];
  /** tasks that the workers have, and when they began (ms) */
  readonly #running = new Map<Promise<unknown>, number>();
  /** tasks for which no worker has room yet, in order */
  #queue: { readonly start: () => void; readonly refuse: (reason: unknown) => void }[] = [];
  /** highest number of bytes in flight so far */
  peakInFlight = 0;

  constructor(options: PoolOptions = {}) {
    this.workers = options.workers ?? availableParallelism();
    this.memoryBytes = options.memoryBytes ?? DEFAULT_POOL_MEMORY;
  }

  /**
   * Runs the tasks in the workers and yields their results in the tasks' order. Tasks are pulled only when there is
   * room for them. Stops at the first failure once what is in flight is done; or at once when the signal is aborted,
   * and leaves what is in flight to `close`.
   *
   * @param worker URL of the worker's module, from `workerModule(import.meta.url, "./worker")`
   */
  async *map<In, Out>(
    worker: URL,
    tasks: Iterable<PoolTask<In>> | AsyncIterable<PoolTask<In>>,
    signal?: AbortSignal,
  ): AsyncGenerator<{ readonly input: In; readonly output: Out }> {
    const running: { readonly bytes: number; readonly result: Promise<{ input: In; output: Out }> }[] = [];
    let held = 0; // by what is running and by results that wait for their turn
    const iterator = iterate(tasks);
    let exhausted = false;
    let failed = false;
    let ahead: PoolTask<In> | undefined;
    try {
      for (;;) {
        // Results wait for their turn: so many are kept that a slow head stops nobody, and that they are few.
        while (!exhausted && !failed && running.length < this.workers * TASKS_AHEAD) {
          if (ahead === undefined) {
            const next = await unlessAborted(iterator.next(), signal);
            if (next.done) {
              exhausted = true;
              break;
            }
            ahead = next.value;
          }
          const taken = Math.max(held, this.#inFlight);
          if (running.length > 0 && taken + ahead.memoryBytes > this.memoryBytes) break;
          const task: PoolTask<In> = ahead;
          ahead = undefined;
          await this.#reserve(task.memoryBytes, signal);
          const result = this.#run<In, Out>(worker, task.input)
            .then((output) => ({ input: task.input, output }))
            .catch((error: unknown) => {
              failed = true; // no more tasks; those before it still finish, so the first fault in order is reported
              throw error;
            })
            .finally(() => this.#release(task.memoryBytes));
          result.catch(() => {}); // it is reported when its turn comes
          running.push({ bytes: task.memoryBytes, result });
          held += task.memoryBytes;
        }
        if (running.length === 0) return;
        const head = running.shift()!;
        const output = await unlessAborted(head.result, signal);
        held -= head.bytes;
        yield output;
      }
    } finally {
      // Not Piscina's abort of a running task: it can meet the task's own answer, which is an uncaught exception then.
      await unlessAborted(Promise.allSettled(running.map(({ result }) => result)), signal).catch(() => {});
    }
  }

  /** Runs one task. */
  async run<In, Out>(worker: URL, task: PoolTask<In>, signal?: AbortSignal): Promise<Out> {
    for await (const { output } of this.map<In, Out>(worker, [task], signal)) return output;
    throw new DoremiError("internal", "pool", "the worker pool returned nothing for a task");
  }

  /** Ends the workers: once their tasks are done, or in the middle of tasks that take long. */
  async close(): Promise<void> {
    const piscina = this.#piscina;
    this.#piscina = undefined;
    for (const { refuse } of this.#queue.splice(0)) refuse(interrupted());
    const done = new AbortController();
    const patience = Math.max(0, ...this.#running.values()) + LOADING_MS - performance.now();
    await Promise.race([
      Promise.allSettled(this.#running.keys()),
      wait(Math.max(0, patience), undefined, { signal: done.signal }).catch(() => {}),
    ]);
    done.abort();
    await piscina?.destroy();
  }

  /** As soon as a worker has room, in the order of the calls. */
  #run<In, Out>(worker: URL, input: In): Promise<Out> {
    if (this.#running.size < this.workers * TASKS_AT_ONCE) return this.#post(worker, input);
    return new Promise((resolve, refuse) => {
      this.#queue.push({ start: () => resolve(this.#post<In, Out>(worker, input)), refuse });
    });
  }

  async #post<In, Out>(worker: URL, input: In): Promise<Out> {
    this.#piscina ??= this.#start(worker);
    const task: Promise<WorkerResult<Out>> = this.#piscina.run(input, { filename: worker.href });
    this.#running.set(task, performance.now());
    let result: WorkerResult<Out>;
    try {
      result = await task;
    } catch (error) {
      throw new DoremiError(
        "internal",
        "worker-died",
        `a worker thread ended before its task did (${error instanceof Error ? error.message : String(error)}); ` +
          "if memory ran out, lower `workers` or `memory`",
        { cause: error },
      );
    } finally {
      this.#running.delete(task);
      this.#queue.shift()?.start();
    }
    if (result.ok) return result.value;
    throw fromPlainError(result.error);
  }

  #start(worker: URL): Piscina {
    const piscina = new Piscina({
      minThreads: 0,
      maxThreads: this.workers,
      // Idle workers hold vocabularies: they go once the stage that needs them is over.
      idleTimeout: 2_000,
      // while one task waits for its file, the other computes
      concurrentTasksPerWorker: TASKS_AT_ONCE,
      // From source (development, and the tests' own) workers need the TypeScript loader; from dist they are plain JavaScript.
      ...(worker.pathname.endsWith(".ts") && { execArgv: ["--import", "tsx"] }),
    });
    // The answer of a task can be on its way while the pool is closed: Piscina reports it as an error, and nobody waits.
    piscina.on("error", (error) => {
      if (this.#piscina === piscina) throw error;
    });
    return piscina;
  }

  async #reserve(bytes: number, signal: AbortSignal | undefined): Promise<void> {
    while (this.#inFlight > 0 && this.#inFlight + bytes > this.memoryBytes) {
      await unlessAborted(new Promise<void>((resolve) => this.#waiting.push(resolve)), signal);
    }
    this.#inFlight += bytes;
    this.peakInFlight = Math.max(this.peakInFlight, this.#inFlight);
  }

  #release(bytes: number): void {
    this.#inFlight -= bytes;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}

export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw interrupted();
}

function interrupted(): DoremiError {
  return new DoremiError("interrupted", "interrupted", "stopped; run the same command again and it goes on from here");
}

/** What the promise gives, or the interrupted error as soon as the signal is aborted. */
function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return promise;
  // A listener for each wait: a promise of the abort in Promise.race would keep every result for as long as it lives.
  return new Promise((resolve, reject) => {
    const stop = () => reject(interrupted());
    const settled = () => signal.removeEventListener("abort", stop);
    promise.then(resolve, reject).finally(settled);
    if (signal.aborted) stop();
    else signal.addEventListener("abort", stop, { once: true });
  });
}

async function* iterate<T>(items: Iterable<T> | AsyncIterable<T>): AsyncGenerator<T> {
  yield* items;
}
