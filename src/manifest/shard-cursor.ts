/**
 * Walks through one shard for a reader that asks for ascending ranges of rows: each unit is read once, a batch at a
 * time, however many ranges lie in it. Rows are counted from the start of the file.
 */
import { inspectShard, readUnit } from "../formats/read.ts";
import type { ColumnSelection, ShardLayout, ShardUnit, TextBatch } from "../formats/shard.ts";
import { DoremiError } from "../lib/errors.ts";
import { LocalStorage } from "../storage/local.ts";
import type { ManifestFile } from "./contract.ts";
import { startsOf } from "./select.ts";

export interface UnitRequest {
  /** absolute */
  readonly path: string;
  readonly file: ManifestFile;
  readonly layout: ShardLayout;
  readonly unit: ShardUnit;
  readonly columns: ColumnSelection;
}

/** Rows of a unit, in ascending batches. Rows that a transform dropped are not there. */
export interface UnitRows {
  /** row within the unit of each row of the batch */
  readonly row: Uint32Array;
  readonly batch: TextBatch;
}

/** How a unit's documents are read; a manifest with a transform needs one that applies it. */
export type UnitReader = (request: UnitRequest) => AsyncIterable<UnitRows>;

/** The text as it is stored. */
export const readStoredUnit: UnitReader = async function* ({ path, layout, unit, columns }) {
  const file = await new LocalStorage().open(path);
  try {
    for await (const batch of readUnit(file, layout, unit, columns)) {
      yield { row: Uint32Array.from({ length: batch.rows }, (_, i) => batch.rowStart + i), batch };
    }
  } finally {
    await file.close();
  }
};

interface Place {
  /** of each row of the batch in the file, ascending */
  readonly rows: Float64Array;
  /** index into the batch of each of `rows` */
  readonly at: Uint32Array;
  readonly batch: TextBatch;
}

export class ShardCursor {
  readonly #path: string;
  readonly #file: ManifestFile;
  readonly #columns: ColumnSelection;
  readonly #read: UnitReader;
  #layout: ShardLayout | null = null;
  /** first row of each unit as far as it is known; only reading tells for JSONL */
  #starts: number[] = [0];
  #batches: AsyncGenerator<Place, void> | null = null;
  #unit = -1; // that is being read
  #place: Place | null = null;
  #next = 0; // index into #place.rows
  #position = 0; // rows before this one have been passed

  constructor(path: string, file: ManifestFile, columns: ColumnSelection, read: UnitReader) {
    this.#path = path;
    this.#file = file;
    this.#columns = columns;
    this.#read = read;
  }

  /**
   * Text of every row of the range, as views of the batch's memory.
   *
   * @throws DoremiError changed-file where a row has no text any more; whatever reading the shard throws
   */
  async *texts(rowStart: number, rowEnd: number): AsyncGenerator<{ row: number; text: Uint8Array }, void> {
    await this.#seek(rowStart);
    for (let row = rowStart; row < rowEnd; row++) {
      while (this.#place === null || this.#next >= this.#place.rows.length || this.#place.rows[this.#next]! < row) {
        if (this.#place !== null && this.#next < this.#place.rows.length) this.#next += 1;
        else await this.#advance(row);
      }
      const { rows, at, batch } = this.#place;
      const index = at[this.#next]!;
      if (rows[this.#next] !== row || batch.validity?.[index] === 0) throw this.#changed(row);
      this.#next += 1;
      this.#position = row + 1;
      yield { row, text: batch.bytes.subarray(batch.offsets[index]!, batch.offsets[index + 1]!) };
    }
  }

  async close(): Promise<void> {
    await this.#batches?.return();
    this.#batches = null;
    this.#place = null;
  }

  /** Goes on where the row lies ahead in the unit that is being read; otherwise starts at the unit that holds it. */
  async #seek(row: number): Promise<void> {
    this.#layout ??= await this.#inspect();
    const last = this.#layout.units.length - 1;
    const unit = Math.min(
      last,
      this.#starts.findLastIndex((start) => start <= row),
    );
    if (this.#batches !== null && unit === this.#unit && row >= this.#position) return;
    await this.close();
    this.#unit = unit;
    this.#batches = this.#batchesFrom(unit);
  }

  async #advance(wanted: number): Promise<void> {
    const result = await this.#batches!.next();
    if (result.done) throw this.#changed(wanted);
    this.#place = result.value;
    this.#next = 0;
  }

  async *#batchesFrom(first: number): AsyncGenerator<Place, void> {
    const layout = this.#layout!;
    for (let index = first; index < layout.units.length; index++) {
      this.#unit = index;
      const start = this.#starts[index]!;
      let seen = 0;
      const request = {
        path: this.#path,
        file: this.#file,
        layout,
        unit: layout.units[index]!,
        columns: this.#columns,
      };
      for await (const { row, batch } of this.#read(request)) {
        if (row.length === 0) continue;
        const place = ascending(row, batch, start);
        seen = place.rows.at(-1)! - start + 1;
        yield place;
      }
      if (this.#starts.length === index + 1) this.#starts.push(start + seen);
    }
  }

  /** The layout, with as many unit starts as can be known without reading. */
  async #inspect(): Promise<ShardLayout> {
    const file = await new LocalStorage().open(this.#path);
    try {
      const layout = await inspectShard(file, this.#columns);
      const known = layout.units.every((unit) => unit.rows !== null);
      const { rowGroups, rows, path } = this.#file;
      const sizes = known
        ? layout.units.map((unit) => unit.rows!)
        : rowGroups.length === layout.units.length
          ? rowGroups
          : null;
      if (layout.format !== this.#file.format || (known && sizes!.reduce((a, b) => a + b, 0) !== rows)) {
        throw this.#changed(0);
      }
      if (sizes) this.#starts = startsOf(sizes);
      else if (this.#read !== readStoredUnit) {
        throw new DoremiError(
          "bad-data",
          "unknown-row-groups",
          `${path}: the manifest must say how many rows each of its ${layout.units.length} stretches has, so that a ` +
            "transform can be applied to it; write the manifest anew with `doremi resample`",
          { file: path },
        );
      }
      return layout;
    } finally {
      await file.close();
    }
  }

  #changed(row: number): DoremiError {
    return new DoremiError(
      "bad-data",
      "changed-file",
      `${this.#file.path}: is not the file that the manifest was made from (row ${row} of the selection has no text in it); ` +
        "run `doremi verify` to see what differs",
      { file: this.#file.path },
    );
  }
}

/** A transform may hand rows on in another order. */
function ascending(row: Uint32Array, batch: TextBatch, start: number): Place {
  const at = Uint32Array.from(row.keys());
  if (row.some((value, i) => i > 0 && value < row[i - 1]!)) at.sort((a, b) => row[a]! - row[b]!);
  return { rows: Float64Array.from(at, (index) => start + row[index]!), at, batch };
}
