/** Domain weights over the steps of a replay as CSV: a line for each step, objective and domain. */
import { AtomicFile } from "../lib/atomic-write.ts";
import { csvLine } from "../lib/csv.ts";
import type { Recording } from "../stages/trace-read.ts";

/** At most; of more steps every n-th, and the last. */
const SAMPLED_STEPS = 1000;

interface Weights {
  readonly alpha: Float64Array; // [K]
  readonly average: Float64Array; // [K]
}

export class WeightsTable {
  readonly #domains: readonly string[];
  readonly #objectives: readonly string[];
  readonly #last: number;
  readonly #every: number;
  readonly #steps: string[] = [];

  /** @param objectives names of those that every step has weights of */
  constructor({ domains, length }: Pick<Recording, "domains" | "length">, objectives: readonly string[]) {
    this.#domains = domains;
    this.#objectives = objectives;
    this.#last = length;
    this.#every = Math.ceil(length / SAMPLED_STEPS);
  }

  add(step: number, weights: readonly Weights[]): void {
    if (step % this.#every !== 0 && step !== this.#last) return;
    const lines = weights.flatMap(({ alpha, average }, i) =>
      this.#domains.map((domain, k) => csvLine([step, this.#objectives[i], domain, alpha[k], average[k]])),
    );
    this.#steps.push(lines.join(""));
  }

  async write(path: string): Promise<void> {
    const file = await AtomicFile.create(path);
    try {
      await file.write(Buffer.from(csvLine(["step", "objective", "domain", "alpha", "average"])));
      for (const lines of this.#steps) await file.write(Buffer.from(lines));
      await file.commit();
    } catch (error) {
      await file.discard();
      throw error;
    }
  }
}
