/**
 * Rows of a selection in columns, on their way from being chosen to being written: runs that continue each other become
 * one, and what is full is handed on. Knows nothing of how rows are chosen.
 */

/** Consecutive rows of a selection; see SelectionRow. All arrays are as long as `count`. */
export interface SelectionChunk {
  readonly count: number;
  /** index of the file; which list it points into is the selection's to say */
  readonly file: Int32Array;
  readonly rowGroup: Int32Array;
  readonly rowStart: Float64Array;
  readonly rowEnd: Float64Array; // exclusive
  /** index of the domain */
  readonly domain: Int32Array;
  readonly epoch: Int32Array;
  readonly tokens: Float64Array;
}

/** Rows of a chunk, but for the last: a row group of selection.parquet. */
export const CHUNK_ROWS = 1 << 18;

export class RunBuffer {
  readonly #joins: boolean;
  readonly #rows: number;
  #chunk: SelectionChunk;
  #count = 0;
  readonly #full: SelectionChunk[] = [];

  /** @param joins whether runs that continue each other become one */
  constructor({ joins = true, rows = CHUNK_ROWS } = {}) {
    this.#joins = joins;
    this.#rows = rows;
    this.#chunk = chunkOf(rows);
  }

  /** Rows `rowStart` to `rowEnd` of one row group, behind all others. */
  append(
    file: number,
    rowGroup: number,
    rowStart: number,
    rowEnd: number,
    domain: number,
    epoch: number,
    tokens: number,
  ): void {
    let chunk = this.#chunk;
    const last = this.#count - 1;
    if (
      this.#joins &&
      last >= 0 &&
      chunk.rowEnd[last] === rowStart &&
      chunk.file[last] === file &&
      chunk.rowGroup[last] === rowGroup &&
      chunk.domain[last] === domain &&
      chunk.epoch[last] === epoch
    ) {
      chunk.rowEnd[last] = rowEnd;
      chunk.tokens[last]! += tokens;
      return;
    }
    if (this.#count === this.#rows) {
      this.#full.push(chunk);
      chunk = chunkOf(this.#rows);
      this.#chunk = chunk;
      this.#count = 0;
    }
    const at = this.#count++;
    chunk.file[at] = file;
    chunk.rowGroup[at] = rowGroup;
    chunk.rowStart[at] = rowStart;
    chunk.rowEnd[at] = rowEnd;
    chunk.domain[at] = domain;
    chunk.epoch[at] = epoch;
    chunk.tokens[at] = tokens;
  }

  get hasFull(): boolean {
    return this.#full.length > 0;
  }

  /** A chunk that nothing is added to any more. */
  takeFull(): SelectionChunk | undefined {
    return this.#full.shift();
  }

  /** What is left, after all chunks that are full. */
  takeRest(): SelectionChunk | undefined {
    const count = this.#count;
    if (count === 0) return undefined;
    const { file, rowGroup, rowStart, rowEnd, domain, epoch, tokens } = this.#chunk;
    this.#chunk = chunkOf(this.#rows);
    this.#count = 0;
    return {
      count,
      file: file.subarray(0, count),
      rowGroup: rowGroup.subarray(0, count),
      rowStart: rowStart.subarray(0, count),
      rowEnd: rowEnd.subarray(0, count),
      domain: domain.subarray(0, count),
      epoch: epoch.subarray(0, count),
      tokens: tokens.subarray(0, count),
    };
  }
}

function chunkOf(count: number): SelectionChunk {
  return {
    count,
    file: new Int32Array(count),
    rowGroup: new Int32Array(count),
    rowStart: new Float64Array(count),
    rowEnd: new Float64Array(count),
    domain: new Int32Array(count),
    epoch: new Int32Array(count),
    tokens: new Float64Array(count),
  };
}
