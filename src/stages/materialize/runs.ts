/**
 * The runs of a selection, checked against the manifest and in columns: the way in which the selection goes through
 * materializing. And the file in which they wait, put together by bucket, for the workers that read the documents.
 */
import { closeSync, openSync, readSync, writeSync } from "node:fs";
import { DoremiError } from "../../lib/errors.ts";
import type { Manifest, ManifestFile } from "../../manifest/contract.ts";
import type { MaterializedSet } from "../../manifest/materialized.ts";
import { startsOf } from "../../manifest/select.ts";
import { type SelectionRuns, selectionRuns } from "../../manifest/selection-runs.ts";

/** Runs in the order of the selection; all arrays are at least as long as `count`. */
export interface Runs {
  readonly count: number;
  /** row group, counted over all files */
  readonly unit: Uint32Array;
  /** in the file */
  readonly rowStart: Uint32Array;
  /** of the run: documents */
  readonly rows: Uint32Array;
  readonly domain: Uint32Array;
  readonly epoch: Uint32Array;
  readonly tokens: Float64Array;
}

/** First unit of each file, and the end. */
export function unitStarts(files: readonly Pick<ManifestFile, "rowGroups">[]): Float64Array {
  const starts = new Float64Array(files.length + 1);
  for (const [i, file] of files.entries()) starts[i + 1] = starts[i]! + file.rowGroups.length;
  return starts;
}

/**
 * @param path of the selection
 * @param repeats "once": without later passes over a domain, which repeat documents of the first
 * @throws DoremiError bad-selection
 */
export async function* selectedRuns(
  path: string,
  manifest: Manifest,
  repeats: MaterializedSet["repeats"],
): AsyncGenerator<Runs, void> {
  const firstUnit = unitStarts(manifest.files);
  const groupStarts = manifest.files.map((file) => startsOf(file.rowGroups));
  for await (const chunk of selectionRuns(path, manifest)) {
    const runs = emptyRuns(chunk.count);
    let kept = 0;
    for (let i = 0; i < chunk.count; i++) {
      const file = chunk.file[i]!;
      const rowGroup = chunk.rowGroup[i]!;
      const rowStart = chunk.rowStart[i]!;
      const rowEnd = chunk.rowEnd[i]!;
      const starts = groupStarts[file];
      const inside =
        starts !== undefined &&
        rowGroup < starts.length - 1 &&
        rowStart >= starts[rowGroup]! &&
        rowEnd <= starts[rowGroup + 1]! &&
        rowStart < rowEnd;
      if (!inside || chunk.domain[i]! < 0) throw foreign(path, chunk, i);
      if (repeats === "once" && chunk.epoch[i]! > 0) continue;
      runs.unit[kept] = firstUnit[file]! + rowGroup;
      runs.rowStart[kept] = rowStart;
      runs.rows[kept] = rowEnd - rowStart;
      runs.domain[kept] = chunk.domain[i]!;
      runs.epoch[kept] = chunk.epoch[i]!;
      runs.tokens[kept] = chunk.tokens[i]!;
      kept += 1;
    }
    yield { ...runs, count: kept };
  }
}

function foreign(path: string, { rowStart, rowEnd, rowGroup, nameOf }: SelectionRuns, i: number): DoremiError {
  const { file, domain } = nameOf(i);
  const what = `rows ${rowStart[i]} to ${rowEnd[i]} of row group ${rowGroup[i]} of ${file} for domain ${domain}`;
  const message = `${path}: selects ${what}, which the manifest does not have; write both anew with \`doremi resample\``;
  return new DoremiError("bad-data", "bad-selection", message, { file: path });
}

function emptyRuns(count: number) {
  return {
    count,
    unit: new Uint32Array(count),
    rowStart: new Uint32Array(count),
    rows: new Uint32Array(count),
    domain: new Uint32Array(count),
    epoch: new Uint32Array(count),
    tokens: new Float64Array(count),
  };
}

/** unit, rowStart, rows, domain, epoch, and tokens and position in two words each, low first */
const RUN_WORDS = 9;
const WORD = 2 ** 32;
/** Of one bucket, held until they are written. */
const BUFFERED_RUNS = 512;

/** Runs with the position of their first document, sorted by unit and row. */
export interface BucketRuns extends Runs {
  readonly position: Float64Array;
}

/** Puts runs into the places of their buckets in one file. Each bucket is exactly as long as was said. */
export class BucketWriter {
  readonly #fd: number;
  readonly #buffers: (Uint32Array | undefined)[];
  readonly #buffered: Uint32Array;
  /** runs before the next one of each bucket */
  readonly #next: Float64Array;

  constructor(path: string, buckets: readonly { readonly runStart: number }[]) {
    this.#fd = openSync(path, "w");
    this.#buffers = new Array(buckets.length);
    this.#buffered = new Uint32Array(buckets.length);
    this.#next = Float64Array.from(buckets, (bucket) => bucket.runStart);
  }

  add(bucket: number, runs: Runs, i: number, position: number): void {
    this.#buffers[bucket] ??= new Uint32Array(BUFFERED_RUNS * RUN_WORDS);
    const buffer = this.#buffers[bucket];
    const tokens = runs.tokens[i]!;
    let at = this.#buffered[bucket]! * RUN_WORDS;
    buffer[at++] = runs.unit[i]!;
    buffer[at++] = runs.rowStart[i]!;
    buffer[at++] = runs.rows[i]!;
    buffer[at++] = runs.domain[i]!;
    buffer[at++] = runs.epoch[i]!;
    buffer[at++] = tokens % WORD;
    buffer[at++] = Math.floor(tokens / WORD);
    buffer[at++] = position % WORD;
    buffer[at++] = Math.floor(position / WORD);
    this.#buffered[bucket]! += 1;
    if (this.#buffered[bucket] === BUFFERED_RUNS) this.#flush(bucket);
  }

  #flush(bucket: number): void {
    const runs = this.#buffered[bucket]!;
    if (runs === 0) return;
    const bytes = new Uint8Array(this.#buffers[bucket]!.buffer, 0, runs * RUN_WORDS * 4);
    writeFully(this.#fd, bytes, this.#next[bucket]! * RUN_WORDS * 4);
    this.#next[bucket]! += runs;
    this.#buffered[bucket] = 0;
  }

  finish(): void {
    for (const bucket of this.#buffers.keys()) this.#flush(bucket);
    this.close();
  }

  close(): void {
    closeSync(this.#fd);
  }
}

export function readBucket(path: string, { runStart, runs }: { runStart: number; runs: number }): BucketRuns {
  const words = new Uint32Array(runs * RUN_WORDS);
  const fd = openSync(path, "r");
  try {
    readFully(fd, new Uint8Array(words.buffer), runStart * RUN_WORDS * 4, path);
  } finally {
    closeSync(fd);
  }
  const firstUnit = words.reduce((least, unit, at) => (at % RUN_WORDS === 0 ? Math.min(least, unit) : least), WORD);
  const keys = Float64Array.from(
    { length: runs },
    (_, i) => (words[i * RUN_WORDS]! - firstUnit) * WORD + words[i * RUN_WORDS + 1]!,
  );
  const order = Uint32Array.from(keys.keys()).sort((a, b) => keys[a]! - keys[b]!);
  const sorted = { ...emptyRuns(runs), position: new Float64Array(runs) };
  for (let i = 0; i < runs; i++) {
    let at = order[i]! * RUN_WORDS;
    sorted.unit[i] = words[at++]!;
    sorted.rowStart[i] = words[at++]!;
    sorted.rows[i] = words[at++]!;
    sorted.domain[i] = words[at++]!;
    sorted.epoch[i] = words[at++]!;
    sorted.tokens[i] = words[at++]! + words[at++]! * WORD;
    sorted.position[i] = words[at++]! + words[at++]! * WORD;
  }
  return sorted;
}

/** All of the bytes: one call to the system may write less than it was given. */
export function writeFully(fd: number, bytes: Uint8Array, position: number): void {
  for (let done = 0; done < bytes.length; ) {
    done += writeSync(fd, bytes, done, bytes.length - done, position + done);
  }
}

/** @throws DoremiError lost-state where the file is shorter */
export function readFully(fd: number, bytes: Uint8Array, position: number, path: string): void {
  for (let done = 0; done < bytes.length; ) {
    const read = readSync(fd, bytes, done, bytes.length - done, position + done);
    if (read === 0) {
      const message = `${path}: is shorter than when it was written; delete its folder and run the same command again`;
      throw new DoremiError("bad-data", "lost-state", message, { file: path });
    }
    done += read;
  }
}
