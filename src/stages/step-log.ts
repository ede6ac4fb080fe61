/**
 * Records of the steps of a training, all of one length, appended to a file beside the checkpoints: what a step left
 * behind is still there when the training goes on after a crash. What the bytes mean is for whoever writes them.
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
import { DoremiError } from "../lib/errors.ts";

/** bytes of the stretches in which a log is read: however long a training was, no more of it is held */
const STRETCH_BYTES = 4 << 20;

/** Records of some steps behind each other. */
export interface LogStretch {
  readonly firstStep: number; // 1-based
  readonly steps: number;
  readonly bytes: Uint8Array<ArrayBuffer>; // at offset 0 of its own buffer, so that views of any type align
}

export class StepLog {
  readonly #path: string;
  readonly #recordBytes: number;
  readonly #fd: number;
  #steps: number;
  #open = true;

  constructor(path: string, recordBytes: number) {
    this.#path = path;
    this.#recordBytes = recordBytes;
    mkdirSync(dirname(path), { recursive: true });
    this.#fd = openSync(path, "a+");
    this.#steps = Math.floor(fstatSync(this.#fd).size / recordBytes);
    ftruncateSync(this.#fd, this.#steps * recordBytes); // a record that a full disk or a crash cut goes
  }

  /** Steps from the first on that it has records of. */
  get steps(): number {
    return this.#steps;
  }

  /**
   * Appends a step's record; steps that an interrupted run logged after its last checkpoint are overwritten.
   * @throws DoremiError trajectory-gap where earlier steps are missing
   */
  add(step: number, record: Uint8Array): void {
    if (record.length !== this.#recordBytes)
      throw new RangeError(`${this.#path}: a record must have ${this.#recordBytes} bytes, got ${record.length}`);
    if (step > this.#steps + 1) {
      throw new DoremiError(
        "bad-data",
        "trajectory-gap",
        `${this.#path}: holds ${this.#steps} steps and training goes on at ${step}`,
      );
    }
    if (step <= this.#steps) {
      ftruncateSync(this.#fd, (step - 1) * this.#recordBytes);
      this.#steps = step - 1;
    }
    // One call to the system may write less than it was given, as on a disk that is nearly full.
    for (let done = 0; done < record.length; ) done += writeSync(this.#fd, record, done, record.length - done);
    this.#steps++;
  }

  /** Makes what was added durable: before a checkpoint counts on it. */
  flush(): void {
    fsyncSync(this.#fd);
  }

  /** All records in order, a stretch at a time; at least one, which is empty where there is no step. */
  *stretches(fromStep = 1): Generator<LogStretch> {
    const atOnce = Math.max(1, Math.floor(STRETCH_BYTES / this.#recordBytes));
    let firstStep = fromStep;
    do {
      const steps = Math.max(0, Math.min(atOnce, this.#steps + 1 - firstStep));
      const bytes = new Uint8Array(steps * this.#recordBytes);
      for (let at = 0; at < bytes.length; ) {
        const read = readSync(this.#fd, bytes, at, bytes.length - at, (firstStep - 1) * this.#recordBytes + at);
        if (read === 0) throw new RangeError(`${this.#path}: was cut while it was in use`);
        at += read;
      }
      yield { firstStep, steps, bytes };
      firstStep += steps;
    } while (firstStep <= this.#steps);
  }

  close(): void {
    if (this.#open) closeSync(this.#fd);
    this.#open = false;
  }

  /** Closes and deletes it. */
  drop(): void {
    this.close();
    rmSync(this.#path, { force: true });
  }
}
