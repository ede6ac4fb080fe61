/**
 * What happened at each training step, kept while training goes on and turned into an Arrow file at its end: a row per
 * step, with figures by domain as lists in the order of the names in the metadata.
 */
import type { ProxyRecord, StepRecord } from "../trainer/contract.ts";
import type { DiagnosedStep } from "../trainer/diagnosis-contract.ts";
import { type Column, lists, listsOrNull, numbers, writeRecordBatches } from "./record-batches.ts";
import { type LogStretch, StepLog } from "./step-log.ts";
import { type RecordedProxy, recordMetadata } from "./trace-metadata.ts";

export const TRAJECTORY = "trajectory.arrow";

const SCALARS = ["loss", "learning_rate", "gradient_norm", "tokens"] as const;
const VECTORS = ["excess", "signed_excess", "alpha", "average", "domain_tokens", "domain_loss"] as const;

/** By domain, of any training: NaN where it was not measured. */
export const HELD_OUT = "held_out_loss";

/** Where the figures of a step stand among the numbers of its record, and how many they are. */
export interface TrajectoryLayout {
  readonly domains: number; // K
  readonly width: number;
  readonly scalars: Readonly<Record<(typeof SCALARS)[number], number>>;
  /** first of K numbers */
  readonly heldOut: number;
  /** first of K numbers each; null of a training that learns no weights */
  readonly vectors: Readonly<Record<(typeof VECTORS)[number], number>> | null;
}

export function trajectoryLayout(domains: number, learnsWeights: boolean): TrajectoryLayout {
  const place = <Name extends string>(names: readonly Name[], from: number, width: number) =>
    Object.fromEntries(names.map((name, i) => [name, from + i * width])) as Record<Name, number>;
  const heldOut = SCALARS.length;
  return {
    domains,
    width: heldOut + (1 + (learnsWeights ? VECTORS.length : 0)) * domains,
    scalars: place(SCALARS, 0, 1),
    heldOut,
    vectors: learnsWeights ? place(VECTORS, heldOut + domains, domains) : null,
  };
}

export class TrajectoryLog {
  readonly #log: StepLog;
  readonly #domains: readonly string[];
  readonly #proxy: RecordedProxy | null;
  /** of one record */
  readonly #values: Float64Array;

  /** @param proxy of a training that learns weights, whose records have figures by domain */
  constructor(path: string, domains: readonly string[], proxy: RecordedProxy | null) {
    this.#domains = domains;
    this.#proxy = proxy;
    this.#values = new Float64Array(trajectoryLayout(domains.length, proxy !== null).width);
    this.#log = new StepLog(path, this.#values.byteLength);
  }

  /** Steps from the first on that it has records of. */
  get steps(): number {
    return this.#log.steps;
  }

  /**
   * Appends a step's record; steps that an interrupted run logged after its last checkpoint are overwritten.
   * @throws DoremiError trajectory-gap where earlier steps are missing
   */
  add(record: StepRecord): void {
    const { step, loss, learningRate, gradientNorm, tokens, heldOut, proxy } = record;
    const K = this.#domains.length;
    this.#values.fill(Number.NaN);
    this.#values.set([loss, learningRate, gradientNorm, tokens]);
    if (heldOut) this.#values.set(heldOut, SCALARS.length);
    if (proxy && this.#proxy) {
      for (const [i, vector] of vectorsOf(proxy).entries()) this.#values.set(vector, SCALARS.length + (1 + i) * K);
    }
    this.#log.add(step, new Uint8Array(this.#values.buffer));
  }

  /** Makes what was added durable: before a checkpoint counts on it. */
  flush(): void {
    this.#log.flush();
  }

  /** What a diagnosis looks at of each step, from the first to `upTo`. */
  *records(upTo: number): Generator<DiagnosedStep> {
    const K = this.#domains.length;
    for (const { firstStep, steps, bytes } of this.#log.stretches()) {
      const values = new Float64Array(bytes.buffer);
      for (let row = 0; row < steps && firstStep + row <= upTo; row++) {
        const record = values.subarray(row * this.#values.length, (row + 1) * this.#values.length);
        yield this.#diagnosed(firstStep + row, record, K);
      }
      if (firstStep + steps > upTo) return;
    }
  }

  #diagnosed(step: number, record: Float64Array, K: number): DiagnosedStep {
    const vector = (index: number) => record.slice(SCALARS.length + index * K, SCALARS.length + (index + 1) * K);
    const heldOut = vector(0);
    const named = (name: (typeof VECTORS)[number]) => vector(1 + VECTORS.indexOf(name));
    return {
      step,
      loss: record[SCALARS.indexOf("loss")]!,
      ...(heldOut.some((loss) => !Number.isNaN(loss)) && { heldOut }),
      ...(this.#proxy && {
        proxy: {
          alpha: named("alpha"),
          domains: {
            tokens: named("domain_tokens"),
            loss: named("domain_loss").map((loss) => (Number.isNaN(loss) ? 0 : loss)),
            excess: named("signed_excess"),
            clipped: named("excess"),
          },
        },
      }),
    };
  }

  /** Mean loss over the last tenth of the steps. */
  finalLoss(): number {
    const { steps } = this.#log;
    const count = Math.max(1, Math.floor(steps / 10));
    return this.#sum("loss", steps - count + 1) / count;
  }

  tokens(): number {
    return this.#sum("tokens", 1);
  }

  #sum(name: (typeof SCALARS)[number], fromStep: number): number {
    let sum = 0;
    for (const { steps, bytes } of this.#log.stretches(fromStep)) {
      const values = new Float64Array(bytes.buffer);
      for (let row = 0; row < steps; row++) sum += values[row * this.#values.length + SCALARS.indexOf(name)]!;
    }
    return sum;
  }

  /** Writes the Arrow file; the log stays. */
  async write(path: string): Promise<void> {
    await writeRecordBatches(path, recordMetadata(this.#domains, this.#proxy), this.#batches());
  }

  /** Closes and deletes the log. */
  drop(): void {
    this.#log.drop();
  }

  *#batches(): Generator<readonly Column[]> {
    for (const stretch of this.#log.stretches()) yield this.#columns(stretch);
  }

  #columns({ firstStep, steps, bytes }: LogStretch): Column[] {
    const K = this.#domains.length;
    const records = new Float64Array(bytes.buffer);
    const column = (start: number, width: number): Float64Array => {
      const values = new Float64Array(steps * width);
      for (let row = 0; row < steps; row++) {
        const at = row * this.#values.length + start;
        values.set(records.subarray(at, at + width), row * width);
      }
      return values;
    };
    const vector = (index: number) => column(SCALARS.length + index * K, K);
    return [
      numbers(
        "step",
        Int32Array.from({ length: steps }, (_, i) => firstStep + i),
      ),
      ...SCALARS.map((name, i) => numbers(name, column(i, 1))),
      ...(this.#proxy ? VECTORS.map((name, i) => lists(name, vector(1 + i), K)) : []),
      listsOrNull(HELD_OUT, vector(0), K),
    ];
  }

  close(): void {
    this.#log.close();
  }
}

/** In the order of VECTORS. A domain that is not in the batch has no loss, and no excess: 0. */
function vectorsOf({ domains, alpha, average }: ProxyRecord): Float64Array[] {
  const loss = domains.loss.map((mean, domain) => (domains.tokens[domain] === 0 ? Number.NaN : mean));
  return [domains.clipped, domains.excess, alpha, average, domains.tokens, loss];
}
