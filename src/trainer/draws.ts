/**
 * Which sequence each row of each training step is: the domain is drawn from given weights; within a domain sequences
 * come once an epoch, shuffled within blocks. Pure in seed and step, and decided before anything is read.
 *
 * Blocks follow each other in the order of the domain's sequences, so a step reads nothing beyond the block that it has
 * reached: training can begin when the first blocks of a store are there, what is read next lies close together on the
 * disk, and what was computed for a block serves other seeds too. How documents are ordered across blocks is decided
 * where the store is written.
 */
import { DoremiError } from "../lib/errors.ts";
import { type Permutation, Rng } from "../lib/rng.ts";

/** Sequences that are shuffled together. */
export const BLOCK_SEQUENCES = 1024;

export interface Draw {
  readonly domain: number;
  /** number of the domain's sequence */
  readonly sequence: number;
}

export interface DrawOptions {
  /** sequences of each domain, [K] */
  readonly sequences: readonly number[];
  /** sampling weights of the rows, [K]; any positive sum */
  readonly weights: readonly number[];
  readonly batchSize: number; // B
  readonly sequenceLength: number; // T, for messages
  readonly seed: number;
  /** of the domains, for messages */
  readonly names?: readonly string[];
}

export class Draws {
  readonly batchSize: number;
  readonly #sequences: readonly number[];
  readonly #weights: readonly number[];
  readonly #rng: Rng;
  readonly #domains: Rng;
  /** of each domain, the permutation that was used last */
  readonly #orders: ({ readonly key: string; readonly order: Permutation } | undefined)[];
  /** how often each domain was drawn in the steps before this one */
  #position: { step: number; drawn: number[] };

  /** @throws DoremiError empty-domain where a domain with weight has no sequence; batch-options */
  constructor(options: DrawOptions) {
    validate(options);
    const { sequences, weights, batchSize, seed } = options;
    this.batchSize = batchSize;
    this.#sequences = sequences;
    this.#weights = weights;
    this.#rng = new Rng(seed, "batches");
    this.#domains = this.#rng.fork("domain");
    this.#orders = sequences.map(() => undefined);
    this.#position = this.#start();
  }

  /** The rows of a step, [B]. @param step 1-based */
  of(step: number): Draw[] {
    const drawn = [...this.#drawnBefore(step)];
    return Array.from({ length: this.batchSize }, (_, row) => {
      const domain = this.#domain(step, row);
      return { domain, sequence: this.#sequence(domain, drawn[domain]!++) };
    });
  }

  /** Sequences of each domain that steps 1..`steps` lie below: what a store has to hold before they can run, [K]. */
  reach(steps: number): number[] {
    return this.#drawnBefore(steps + 1).map((drawn, domain) => {
      const size = this.#sequences[domain]!;
      return Math.min(size, Math.ceil(drawn / BLOCK_SEQUENCES) * BLOCK_SEQUENCES);
    });
  }

  /** The different sequences of each domain that steps 1..`steps` draw, ascending, and how many draws there are. */
  used(steps: number): { readonly draws: number; readonly sequences: readonly Int32Array[] } {
    const drawn = this.#drawnBefore(steps + 1);
    const sequences = drawn.map((count, domain) => {
      const size = this.#sequences[domain]!;
      if (count >= size) return Int32Array.from({ length: size }, (_, i) => i);
      const whole = count - (count % BLOCK_SEQUENCES); // blocks that are drawn from to their end
      const used = Int32Array.from({ length: count }, (_, n) => (n < whole ? n : this.#sequence(domain, n)));
      return used.sort();
    });
    return { draws: steps * this.batchSize, sequences };
  }

  /** The domain's n-th draw (0-based). */
  #sequence(domain: number, draw: number): number {
    const size = this.#sequences[domain]!;
    const epoch = Math.floor(draw / size);
    const at = draw % size;
    const start = at - (at % BLOCK_SEQUENCES);
    const key = `order/${domain}/${epoch}/${start / BLOCK_SEQUENCES}`;
    let kept = this.#orders[domain];
    if (kept?.key !== key) {
      kept = { key, order: this.#rng.fork(key).permutation(Math.min(BLOCK_SEQUENCES, size - start)) };
      this.#orders[domain] = kept;
    }
    return start + kept.order.at(at - start);
  }

  #domain(step: number, row: number): number {
    return this.#domains.categorical(this.#weights, (step - 1) * this.batchSize + row);
  }

  /** Going back draws the domains from the first step again, which is cheap. */
  #drawnBefore(step: number): readonly number[] {
    if (!Number.isSafeInteger(step) || step < 1) throw new RangeError(`batches: steps count from 1, found ${step}`);
    if (step < this.#position.step) this.#position = this.#start();
    const position = this.#position;
    for (; position.step < step; position.step++) {
      for (let row = 0; row < this.batchSize; row++) position.drawn[this.#domain(position.step, row)]!++;
    }
    return position.drawn;
  }

  #start(): { step: number; drawn: number[] } {
    return { step: 1, drawn: this.#sequences.map(() => 0) };
  }
}

function validate({ sequences, weights, batchSize, names, sequenceLength }: DrawOptions): void {
  const refuse = (message: string): never => {
    throw new DoremiError("bad-configuration", "batch-options", `batches: ${message}`);
  };
  if (!Number.isSafeInteger(batchSize) || batchSize < 1) refuse(`batchSize must be an integer ≥ 1, found ${batchSize}`);
  if (weights.length !== sequences.length)
    refuse(`there must be a weight per domain, found ${weights.length} for ${sequences.length}`);
  if (!weights.every((weight) => weight >= 0 && Number.isFinite(weight)) || !weights.some((weight) => weight > 0)) {
    refuse(`weights must be ≥ 0 with a positive sum, found ${weights.join(", ")}`);
  }
  for (const [domain, count] of sequences.entries()) {
    if (weights[domain]! > 0 && count === 0) {
      throw new DoremiError(
        "bad-data",
        "empty-domain",
        `domain ${names?.[domain] ?? domain}: training needs at least one sequence of ${sequenceLength + 1} tokens, found none; give it more text, shorten sequenceLength or leave the domain out`,
      );
    }
  }
}
