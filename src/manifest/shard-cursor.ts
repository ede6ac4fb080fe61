/**
 * Walks through one shard for a reader that asks for ascending rows: each unit is read once, a batch at a time, however
 * many ranges lie in it. Rows are counted from the start of the file.
 */
import type { TextBatch } from "../formats/shard.ts";
import { changedFile, type SourceShard } from "./source-shard.ts";

interface Place {
  /** of each row of the batch in the file, ascending */
  readonly rows: Float64Array;
  /** index into the batch of each of `rows` */
  readonly at: Uint32Array;
  readonly batch: TextBatch;
}

export class ShardCursor {
  readonly shard: SourceShard;
  #batches: AsyncGenerator<Place, void> | null = null;
  #unit = -1; // that is being read
  #place: Place | null = null;
  #next = 0; // index into #place.rows
  #position = 0; // rows before this one have been passed

  constructor(shard: SourceShard) {
    this.shard = shard;
  }

  /**
   * Text of every row of the range, as views of the batch's memory.
   *
   * @throws DoremiError changed-file where a row has no text any more; whatever reading the shard throws
   */
  async *texts(rowStart: number, rowEnd: number): AsyncGenerator<{ row: number; text: Uint8Array }, void> {
    for (let row = rowStart; row < rowEnd; row++) yield { row, text: this.take(row) ?? (await this.load(row)) };
  }

  /** Text of a row as `texts` gives it; null where it is not in memory yet. @throws DoremiError changed-file */
  take(row: number): Uint8Array | null {
    if (this.#place === null || row < this.#position) return null;
    const { rows, at, batch } = this.#place;
    while (this.#next < rows.length && rows[this.#next]! < row) this.#next += 1;
    if (this.#next === rows.length) return null;
    const index = at[this.#next]!;
    if (rows[this.#next] !== row || batch.validity?.[index] === 0) throw this.#missing(row);
    this.#position = row + 1;
    this.#next += 1;
    return batch.bytes.subarray(batch.offsets[index]!, batch.offsets[index + 1]!);
  }

  /** Text of a row, read from the shard. @throws as `texts` */
  async load(row: number): Promise<Uint8Array> {
    await this.#seek(row);
    for (;;) {
      const result = await this.#batches!.next();
      if (result.done) throw this.#missing(row);
      this.#place = result.value;
      this.#next = 0;
      const text = this.take(row);
      if (text) return text;
    }
  }

  async close(): Promise<void> {
    await this.#batches?.return();
    this.#batches = null;
    this.#place = null;
    this.#position = 0;
  }

  /** Goes on where the row lies ahead in the unit that is being read; otherwise starts at the unit that holds it. */
  async #seek(row: number): Promise<void> {
    const unit = this.shard.unitOf(row);
    if (this.#batches !== null && unit === this.#unit && row >= this.#position) return;
    await this.close();
    this.#unit = unit;
    this.#batches = this.#batchesFrom(unit);
  }

  async *#batchesFrom(first: number): AsyncGenerator<Place, void> {
    const { path, file, layout, columns, starts, read } = this.shard;
    for (let index = first; index < layout.units.length; index++) {
      this.#unit = index;
      const start = starts[index]!;
      let seen = 0;
      for await (const { row, batch } of read({ path, file, layout, unit: layout.units[index]!, columns })) {
        if (row.length === 0) continue;
        const place = ascending(row, batch, start);
        seen = place.rows.at(-1)! - start + 1;
        yield place;
      }
      if (starts.length === index + 1) starts.push(start + seen);
    }
  }

  #missing(row: number): Error {
    return changedFile(this.shard.file, `row ${row}, which is selected, has no text in it`);
  }
}

/** A transform may hand rows on in another order. */
function ascending(row: Uint32Array, batch: TextBatch, start: number): Place {
  const at = Uint32Array.from(row.keys());
  if (row.some((value, i) => i > 0 && value < row[i - 1]!)) at.sort((a, b) => row[a]! - row[b]!);
  return { rows: Float64Array.from(at, (index) => start + row[index]!), at, batch };
}
