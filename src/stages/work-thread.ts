/**
 * A thread of its own for one long piece of work, which talks in messages of plain data. For many short tasks there is
 * the pool. A thread that ends before it was told to is a failure, never a silence.
 */
import { type Transferable, Worker } from "node:worker_threads";
import { DoremiError } from "../lib/errors.ts";

export interface WorkThreadOptions<Out> {
  /** for messages: the trainer, the feed */
  readonly name: string;
  /** URL of the thread's module, from `workerModule(import.meta.url, "./…")` */
  readonly module: URL;
  /** what the module finds as workerData */
  readonly data: unknown;
  /** of the data, what is handed over rather than copied */
  readonly transfer?: readonly Transferable[];
  readonly onMessage?: (message: Out) => void;
  /** what to do when the thread dies, for the error's message */
  readonly remedy: string;
  /**
   * It works for another thread and leaves, with exit code 0, when that one has left, which then says why. The two are
   * not heard of in the order in which they went.
   */
  readonly follows?: true;
}

export class WorkThread<In, Out> {
  /** Rejects when the thread ends without having been ended. */
  readonly died: Promise<never>;
  readonly #worker: Worker;
  readonly #exited: Promise<void>;
  #ended = false;

  constructor({ name, module, data, transfer = [], onMessage, remedy, follows }: WorkThreadOptions<Out>) {
    const options = { workerData: data, transferList: [...transfer], name };
    this.#worker = module.pathname.endsWith(".ts")
      ? new Worker(fromSource(module), { ...options, eval: true })
      : new Worker(module, options);
    if (onMessage) this.#worker.on("message", onMessage);
    this.died = new Promise((_, reject) => {
      const fail = (reason: string, cause?: unknown): void => {
        if (this.#ended) return;
        reject(
          new DoremiError(
            "internal",
            "thread-died",
            `the thread of ${name} ended before its work did (${reason}); ${remedy}`,
            {
              cause,
            },
          ),
        );
      };
      this.#worker.once("error", (error: unknown) =>
        fail(error instanceof Error ? error.message : String(error), error),
      );
      this.#worker.once("exit", (code) => {
        if (code !== 0 || !follows) fail(`exit code ${code}`);
      });
    });
    this.#exited = new Promise((resolve) => this.#worker.once("exit", () => resolve()));
    this.died.catch(() => {}); // whoever waits for the work hears of it
  }

  post(message: In, transfer: readonly Transferable[] = []): void {
    this.#worker.postMessage(message, transfer);
  }

  /**
   * Ends the thread: as soon as it leaves by itself, or after so long, in the middle of its work. Native code that is cut
   * off there can take the whole process with it, so a thread that runs some is told to stop first, and waited for.
   */
  async end({ patienceMs = 0 } = {}): Promise<void> {
    this.#ended = true;
    const terminate = () => void this.#worker.terminate();
    const alarm = Number.isFinite(patienceMs) ? setTimeout(terminate, patienceMs) : undefined;
    await this.#exited;
    clearTimeout(alarm);
  }
}

/**
 * From source (tests, development) a thread needs the TypeScript loader; from dist it is plain JavaScript. Where the loader
 * is a flag, it takes hold of a thread's modules in newer Nodes only.
 */
function fromSource(module: URL): string {
  return `import("tsx/esm/api").then(({ register }) => (register(), import(${JSON.stringify(module.href)})))`;
}
