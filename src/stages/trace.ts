/**
 * What a proxy's objective saw at each step, sequence by sequence, kept while training goes on and turned into an Arrow
 * file at its end: all that the weights of any objective follow from. Sums are float64, so that they follow bit for bit;
 * indices and counts are as small as they can be. Not compressed: the sums would hardly get smaller.
 */
import type { StepRecord } from "../trainer/contract.ts";
import { type Column, lists, listsOrNull, type Numbers, numbers, writeRecordBatches } from "./record-batches.ts";
import { type LogStretch, StepLog } from "./step-log.ts";
import { type RecordedProxy, recordMetadata } from "./trace-metadata.ts";

export const TRACE = "trace.arrow";

interface NumbersType {
  readonly BYTES_PER_ELEMENT: number;
  new (buffer: ArrayBuffer, byteOffset: number, length: number): Numbers;
}

/** One column's part of a step's record. */
interface Part {
  readonly name: "loss" | "excess" | "clipped" | "alpha" | "held_out_loss" | "domain" | "tokens";
  readonly type: NumbersType;
  readonly width: number;
}

interface PlacedPart extends Part {
  readonly at: number; // bytes from the record's start
}

export class TraceLog {
  readonly #log: StepLog;
  readonly #domains: readonly string[];
  readonly #sequences: number;
  readonly #proxy: RecordedProxy;
  readonly #parts: readonly PlacedPart[];
  /** one record, written over at each step */
  readonly #record: Uint8Array<ArrayBuffer>;

  /** @param sequences of a batch, B */
  constructor(path: string, domains: readonly string[], sequences: number, proxy: RecordedProxy) {
    this.#domains = domains;
    this.#sequences = sequences;
    this.#proxy = proxy;
    const { parts, bytes } = placed(recordParts(domains.length, sequences, proxy));
    this.#parts = parts;
    this.#record = new Uint8Array(bytes);
    this.#log = new StepLog(path, bytes);
  }

  /** Steps from the first on that it has records of. */
  get steps(): number {
    return this.#log.steps;
  }

  /**
   * Appends what the step's objective saw; steps that an interrupted run logged after its last checkpoint are overwritten.
   * @throws DoremiError trajectory-gap where earlier steps are missing
   */
  add({ step, proxy, heldOut }: StepRecord): void {
    if (proxy?.sequences.domains.length !== this.#sequences)
      throw new RangeError(`trace: step ${step} must have ${this.#sequences} sequences`);
    const { domains, tokens, loss, excess, clipped } = proxy.sequences;
    const unmeasured = new Float64Array(this.#domains.length).fill(Number.NaN);
    const values = {
      ...{ domain: domains, tokens, loss, excess, clipped },
      ...{ alpha: proxy.alpha, held_out_loss: heldOut ?? unmeasured },
    };
    for (const { name, type, width, at } of this.#parts) new type(this.#record.buffer, at, width).set(values[name]);
    this.#log.add(step, this.#record);
  }

  /** Makes what was added durable: before a checkpoint counts on it. */
  flush(): void {
    this.#log.flush();
  }

  /** Writes the Arrow file, a row per step; the log stays. */
  async write(path: string): Promise<void> {
    await writeRecordBatches(path, recordMetadata(this.#domains, this.#proxy), this.#batches());
  }

  /** Closes and deletes the log. */
  drop(): void {
    this.#log.drop();
  }

  close(): void {
    this.#log.close();
  }

  *#batches(): Generator<readonly Column[]> {
    for (const stretch of this.#log.stretches()) yield this.#columns(stretch);
  }

  #columns({ firstStep, steps, bytes }: LogStretch): Column[] {
    const columns = this.#parts.map(({ name, type, width, at }): Column => {
      const values = new type(new ArrayBuffer(steps * width * type.BYTES_PER_ELEMENT), 0, steps * width);
      for (let row = 0; row < steps; row++) {
        values.set(new type(bytes.buffer, row * this.#record.length + at, width), row * width);
      }
      return name === "held_out_loss" ? listsOrNull(name, values as Float64Array, width) : lists(name, values, width);
    });
    const step = Int32Array.from({ length: steps }, (_, i) => firstStep + i);
    return [numbers("step", step), ...columns];
  }
}

function recordParts(domains: number, sequences: number, { reference, facts }: RecordedProxy): Part[] {
  const sums = reference ? (["loss", "excess", "clipped"] as const) : (["loss"] as const);
  return [
    { name: "domain", type: integersUpTo(domains - 1), width: sequences },
    { name: "tokens", type: integersUpTo(facts.sequenceLength), width: sequences },
    ...sums.map((name) => ({ name, type: Float64Array, width: sequences })),
    { name: "alpha", type: Float64Array, width: domains },
    { name: "held_out_loss", type: Float64Array, width: domains },
  ];
}

function integersUpTo(largest: number): NumbersType {
  return largest < 1 << 8 ? Uint8Array : largest < 1 << 16 ? Uint16Array : Int32Array;
}

/** The widest numbers come first in a record and its length is a multiple of theirs, so that all lie aligned. */
function placed(parts: readonly Part[]): { readonly parts: readonly PlacedPart[]; readonly bytes: number } {
  const widest = Float64Array.BYTES_PER_ELEMENT;
  const starts = new Map<Part, number>();
  let end = 0;
  for (const part of [...parts].sort((a, b) => b.type.BYTES_PER_ELEMENT - a.type.BYTES_PER_ELEMENT)) {
    starts.set(part, end);
    end += part.width * part.type.BYTES_PER_ELEMENT;
  }
  return {
    parts: parts.map((part) => ({ ...part, at: starts.get(part)! })),
    bytes: Math.ceil(end / widest) * widest,
  };
}
