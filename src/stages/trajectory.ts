/**
 * What happened at each training step, kept while training goes on and turned into an Arrow file at its end. Records
 * are appended to a log beside the checkpoints, so a resumed run has the steps before it as well.
 */
import {
  closeSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readSync,
  rmSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import * as arrow from "apache-arrow";
import { writeFileAtomic } from "../lib/atomic-write.ts";
import { DoremiError } from "../lib/errors.ts";
import type { StepRecord } from "../trainer/contract.ts";

const SCALARS = ["loss", "learning_rate", "gradient_norm", "tokens"] as const;
const VECTORS = ["excess", "alpha", "average", "domain_tokens", "domain_loss"] as const;

export class TrajectoryLog {
  readonly #path: string;
  readonly #domains: readonly string[];
  readonly #vectors: boolean;
  readonly #fd: number;
  #steps: number;
  #open = true;

  /** @param vectors true for a proxy, whose records have figures by domain */
  constructor(path: string, domains: readonly string[], vectors: boolean) {
    this.#path = path;
    this.#domains = domains;
    this.#vectors = vectors;
    mkdirSync(dirname(path), { recursive: true });
    this.#fd = openSync(path, "a+");
    this.#steps = Math.floor(fstatSync(this.#fd).size / this.#recordBytes);
    ftruncateSync(this.#fd, this.#steps * this.#recordBytes); // a record that a full disk or a crash cut goes
  }

  /** Steps from the first on that it has records of. */
  get steps(): number {
    return this.#steps;
  }

  get #recordLength(): number {
    return SCALARS.length + (this.#vectors ? VECTORS.length * this.#domains.length : 0);
  }

  get #recordBytes(): number {
    return this.#recordLength * 8;
  }

  /**
   * Appends a step's record; steps that an interrupted run logged after its last checkpoint are overwritten.
   * @throws DoremiError trajectory-gap where earlier steps are missing
   */
  add(record: StepRecord): void {
    if (record.step > this.#steps + 1) {
      throw new DoremiError(
        "bad-data",
        "trajectory-gap",
        `${this.#path}: holds ${this.#steps} steps and training goes on at ${record.step}`,
      );
    }
    if (record.step <= this.#steps) {
      ftruncateSync(this.#fd, (record.step - 1) * this.#recordBytes);
      this.#steps = record.step - 1;
    }
    const values = new Float64Array(this.#recordLength);
    values.set([record.loss, record.learningRate, record.gradientNorm, record.tokens]);
    const { doremi } = record;
    if (doremi && this.#vectors) {
      const vectors = [doremi.excess, doremi.alpha, doremi.average, doremi.domainTokens, doremi.domainLoss];
      for (const [i, vector] of vectors.entries()) values.set(vector, SCALARS.length + i * this.#domains.length);
    }
    writeWhole(this.#fd, new Uint8Array(values.buffer));
    this.#steps++;
  }

  /** Makes what was added durable: before a checkpoint counts on it. */
  flush(): void {
    fsyncSync(this.#fd);
  }

  /** Mean loss over the last tenth of the steps. */
  finalLoss(): number {
    const losses = this.#column(0).slice(-Math.max(1, Math.floor(this.#steps / 10)));
    return losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
  }

  tokens(): number {
    return this.#column(SCALARS.indexOf("tokens")).reduce((sum, tokens) => sum + tokens, 0);
  }

  /** Writes the Arrow file (a row per step; figures by domain are lists in the order of the metadata's names) and drops the log. */
  async finish(path: string): Promise<void> {
    const steps = Int32Array.from({ length: this.#steps }, (_, i) => i + 1);
    const K = this.#domains.length;
    const item = new arrow.Field("item", new arrow.Float64(), false);
    const columns: [string, arrow.Data][] = [
      ["step", arrow.makeData({ type: new arrow.Int32(), length: steps.length, nullCount: 0, data: steps })],
    ];
    for (const [i, name] of SCALARS.entries()) {
      columns.push([
        name,
        arrow.makeData({ type: new arrow.Float64(), length: steps.length, nullCount: 0, data: this.#column(i) }),
      ]);
    }
    for (const [i, name] of (this.#vectors ? VECTORS : []).entries()) {
      const child = arrow.makeData({
        type: new arrow.Float64(),
        length: steps.length * K,
        nullCount: 0,
        data: this.#column(SCALARS.length + i * K, K),
      });
      columns.push([
        name,
        arrow.makeData({ type: new arrow.FixedSizeList(K, item), length: steps.length, nullCount: 0, child }),
      ]);
    }
    const fields = columns.map(([name, data]) => new arrow.Field(name, data.type, false));
    const schema = new arrow.Schema(fields, new Map([["doremi.domains", JSON.stringify(this.#domains)]]));
    const data = arrow.makeData({
      type: new arrow.Struct(fields),
      length: steps.length,
      nullCount: 0,
      children: columns.map(([, column]) => column),
    });
    await writeFileAtomic(
      path,
      arrow.tableToIPC(new arrow.Table(schema, [new arrow.RecordBatch(schema, data)]), "file"),
    );
    this.close();
    rmSync(this.#path, { force: true });
  }

  close(): void {
    if (this.#open) closeSync(this.#fd);
    this.#open = false;
  }

  /** Values of all steps from `start` on in each record, `width` of each. */
  #column(start: number, width = 1): Float64Array {
    const all = new Float64Array(this.#steps * this.#recordLength);
    const bytes = new Uint8Array(all.buffer);
    for (let at = 0; at < bytes.length; ) {
      const read = readSync(this.#fd, bytes, at, bytes.length - at, at);
      if (read === 0) break;
      at += read;
    }
    const column = new Float64Array(this.#steps * width);
    for (let step = 0; step < this.#steps; step++) {
      column.set(
        all.subarray(step * this.#recordLength + start, step * this.#recordLength + start + width),
        step * width,
      );
    }
    return column;
  }
}

/** One call to the system may write less than it was given, as on a disk that is nearly full. */
function writeWhole(fd: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done, bytes.length - done);
}
