/**
 * The trainer's side of its checkpoints: the thread hands the arrays over and goes on; whoever is at the other end of the
 * port writes them.
 */
import type { Transferable } from "node:worker_threads";
import type { NamedArray } from "../formats/safetensors.ts";
import { fromPlainError } from "../lib/errors.ts";
import type { Checkpoint, CheckpointStore, RunConfiguration } from "../trainer/checkpoint.ts";
import type { FromTrainer, ToTrainer } from "./training-contract.ts";

type Answer = Extract<ToTrainer, { type: "loaded" | "written" | "failed" }>;

export class CheckpointPort {
  readonly #post: (message: FromTrainer, transfer?: readonly Transferable[]) => void;
  #answered: ((answer: Answer) => void) | undefined;
  /** the write that goes on, or the last one */
  #writing: Promise<void> = Promise.resolve();

  constructor(post: (message: FromTrainer, transfer?: readonly Transferable[]) => void) {
    this.#post = post;
  }

  /** What the other end answered. */
  answer(answer: Answer): void {
    this.#answered?.(answer);
  }

  store(configuration: RunConfiguration): CheckpointStore {
    return {
      load: async () => {
        const answer = await this.#ask({ type: "load", configuration });
        return answer.type === "loaded" ? answer.checkpoint : null;
      },
      save: async (checkpoint) => {
        await this.#writing; // so that no more than one is on its way
        this.#writing = this.#ask({ type: "save", checkpoint }, buffersOf(checkpoint)).then(() => {});
        this.#writing.catch(() => {}); // whoever saves next, or waits for all, hears of it
      },
      idle: () => this.#writing,
    };
  }

  async #ask(message: FromTrainer, transfer: readonly Transferable[] = []): Promise<Answer> {
    const answer = new Promise<Answer>((resolve) => {
      this.#answered = resolve;
    });
    this.#post(message, transfer);
    const answered = await answer;
    if (answered.type === "failed") throw fromPlainError(answered.error);
    return answered;
  }
}

export function buffersOf({ tensors }: Checkpoint): Transferable[] {
  return Object.values(tensors).map(({ data }: NamedArray) => data.buffer as ArrayBuffer);
}
