/**
 * The steps of a training as its trajectory has them: of a finished one from its Arrow file, of one that goes on from the
 * log that it still appends to, which is read and nothing else. However long a training was, a stretch of it is held.
 */
import { type FileHandle, open } from "node:fs/promises";
import { z } from "zod";
import { DoremiError } from "../lib/errors.ts";
import { type BatchColumns, RecordBatches } from "./record-batches.ts";
import { DOMAINS_KEY, PROXY_KEY } from "./trace-metadata.ts";
import { HELD_OUT, type TrajectoryLayout, trajectoryLayout } from "./trajectory.ts";

/** Records of steps behind each other, each as the layout says. */
export interface TrajectoryStretch {
  readonly firstStep: number; // 1-based
  readonly steps: number;
  readonly values: Float64Array; // [steps, layout.width]
}

export interface TrajectoryReader {
  readonly domains: readonly string[];
  readonly layout: TrajectoryLayout;
  stretches(): AsyncGenerator<TrajectoryStretch>;
  close(): Promise<void>;
}

/** @throws DoremiError missing-file, wrong-file, not-a-trajectory, corrupt-file */
export async function openTrajectory(path: string): Promise<TrajectoryReader> {
  const batches = await RecordBatches.open(path);
  try {
    const names = z.array(z.string()).safeParse(JSON.parse(batches.metadata.get(DOMAINS_KEY) ?? "null"));
    if (!names.success || !batches.columns.includes("learning_rate")) {
      throw new DoremiError(
        "bad-data",
        "not-a-trajectory",
        `${path}: must be the trajectory of a training; it is an Arrow file of something else`,
        { file: path },
      );
    }
    const domains = names.data;
    const learns = batches.metadata.has(PROXY_KEY) || batches.columns.includes("alpha");
    const layout = trajectoryLayout(domains.length, learns);
    return {
      domains,
      layout,
      async *stretches() {
        for await (const columns of batches) if (columns.rows > 0) yield recordsOf(columns, layout);
      },
      close: () => batches.close(),
    };
  } catch (error) {
    await batches.close();
    throw error;
  }
}

function recordsOf(columns: BatchColumns, layout: TrajectoryLayout): TrajectoryStretch {
  const { domains: K, width, scalars, heldOut, vectors } = layout;
  const values = new Float64Array(columns.rows * width).fill(Number.NaN);
  for (const [name, at] of Object.entries(scalars)) {
    const column = columns.numbers(name);
    for (let row = 0; row < columns.rows; row++) values[row * width + at] = column[row]!;
  }
  for (const [name, at] of Object.entries(vectors ?? {})) {
    const column = columns.float64Lists(name, K);
    for (let row = 0; row < columns.rows; row++) {
      values.set(column.subarray(row * K, (row + 1) * K), row * width + at);
    }
  }
  for (const [row, losses] of columns.listsOrNull(HELD_OUT, K).entries()) {
    if (losses) values.set(losses, row * width + heldOut);
  }
  return { firstStep: columns.numbers("step")[0]!, steps: columns.rows, values };
}

/** What a training that goes on, perhaps in another process, has appended to its log since the last look. */
export class TrajectoryTail {
  readonly #path: string;
  readonly #layout: TrajectoryLayout;
  #steps = 0;
  /** the record of the last step that was read */
  #last: Uint8Array = new Uint8Array(0);

  constructor(path: string, layout: TrajectoryLayout) {
    this.#path = path;
    this.#layout = layout;
  }

  /**
   * Whole records only: one that is being written comes next time.
   *
   * @param limit bytes
   * @returns "cut" where what was read before is no longer what happened, since a run went on from an earlier checkpoint
   * and its steps are others: the next call begins at the first step again
   */
  async read(limit: number): Promise<TrajectoryStretch | "cut" | undefined> {
    const handle = await open(this.#path, "r").catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return undefined; // the training is done, or has not begun
      throw error;
    });
    if (!handle) return undefined;
    try {
      return await this.#readFrom(handle, limit);
    } finally {
      await handle.close();
    }
  }

  async #readFrom(handle: FileHandle, limit: number): Promise<TrajectoryStretch | "cut" | undefined> {
    const bytesEach = this.#layout.width * Float64Array.BYTES_PER_ELEMENT;
    const records = async (from: number, count: number) => {
      const bytes = new Uint8Array(count * bytesEach);
      const { bytesRead } = await handle.read(bytes, 0, bytes.length, from * bytesEach);
      return bytes.subarray(0, bytesRead - (bytesRead % bytesEach));
    };
    const there = Math.floor((await handle.stat()).size / bytesEach);
    if (this.#steps > 0) {
      // The same step again with the same numbers is the same training: a run that goes on repeats itself bit by bit.
      const isSame = there >= this.#steps && Buffer.compare(await records(this.#steps - 1, 1), this.#last) === 0;
      if (!isSame) {
        this.#steps = 0;
        return "cut";
      }
    }
    const wanted = Math.min(there - this.#steps, Math.max(1, Math.floor(limit / bytesEach)));
    if (wanted === 0) return undefined;
    const bytes = await records(this.#steps, wanted);
    const steps = bytes.length / bytesEach;
    if (steps === 0) return undefined;
    const firstStep = this.#steps + 1;
    this.#steps += steps;
    this.#last = bytes.slice(-bytesEach);
    return { firstStep, steps, values: new Float64Array(bytes.buffer, 0, steps * this.#layout.width) };
  }
}
