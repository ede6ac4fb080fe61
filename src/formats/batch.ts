/**
 * TextBatches from rows: built one by one (BatchBuilder: texts go into one growing buffer, the arena), cut from a column
 * whose texts already lie together, or spread from a dictionary. Knows nothing of where the bytes come from.
 */
import type { BatchForm, ReadLimits, TextBatch } from "./shard.ts";

export interface BuilderOptions {
  /** text bytes that the unit will give, as far as known: the arena starts no larger than needed */
  readonly expectedBytes?: number;
  /** of the first row, within the unit */
  readonly rowStart?: number;
  /** a builder that lends writes its next batch over the last one */
  readonly form?: BatchForm;
}

/** Below this, a byte-by-byte loop beats making a view for TypedArray.set. */
const SMALL_COPY = 24;
const MAX_ARENA = 2 ** 32 - 1;

const EMPTY = new Uint8Array(0);
const encoder = new TextEncoder();

export class BatchBuilder {
  readonly #unit: number;
  readonly #batchBytes: number;
  readonly #isLending: boolean;
  /** bytes that the next arena begins with; it is taken when its first text comes */
  #capacity: number;
  #arena = EMPTY;
  #used = 0;
  #offsets = new Uint32Array(257);
  #validity: Uint8Array | undefined;
  #rows = 0;
  #rowStart: number;

  constructor(unit: number, limits: ReadLimits, options: BuilderOptions = {}) {
    const { expectedBytes = limits.batchBytes, rowStart = 0, form = "owned" } = options;
    this.#unit = unit;
    this.#isLending = form === "lent";
    this.#rowStart = rowStart;
    this.#batchBytes = limits.batchBytes;
    this.#capacity = Math.max(64, Math.min(expectedBytes, limits.batchBytes));
  }

  get rows(): number {
    return this.#rows;
  }

  get isFull(): boolean {
    return this.#used >= this.#batchBytes;
  }

  /** Would this row make a batch that already has rows larger than it should be? Then take the batch first. */
  overflowsWith(bytes: number): boolean {
    return this.#rows > 0 && this.#used + bytes > this.#batchBytes;
  }

  /** A row whose text is source[start..end]. */
  append(source: Uint8Array, start: number, end: number): void {
    const length = end - start;
    this.#reserve(length);
    const arena = this.#arena;
    const at = this.#used;
    if (length <= SMALL_COPY) for (let i = 0; i < length; i++) arena[at + i] = source[start + i]!;
    else arena.set(source.subarray(start, end), at);
    this.#used = at + length;
    this.#endRow(1);
  }

  /** A row whose text is a string, written as UTF-8 straight into the arena. */
  appendString(text: string): void {
    this.#reserve(Buffer.byteLength(text));
    this.#used += encoder.encodeInto(text, this.#arena.subarray(this.#used)).written;
    this.#endRow(1);
  }

  appendNull(): void {
    this.#validity ??= new Uint8Array(this.#offsets.length - 1).fill(1, 0, this.#rows);
    this.#endRow(0);
  }

  /** The batch of the rows so far; the next row begins another. */
  take(): TextBatch {
    const rows = this.#rows;
    const batch: TextBatch = {
      unit: this.#unit,
      rowStart: this.#rowStart,
      rows,
      bytes: this.#arena.subarray(0, this.#used),
      offsets: this.#offsets.subarray(0, rows + 1),
      ...(this.#validity && { validity: this.#validity.subarray(0, rows) }),
    };
    this.#rowStart += rows;
    this.#capacity = Math.max(64, Math.min(this.#used, this.#batchBytes));
    if (!this.#isLending) {
      this.#arena = EMPTY;
      this.#offsets = new Uint32Array(Math.max(257, rows + 1));
    }
    this.#validity = undefined;
    this.#used = 0;
    this.#rows = 0;
    return batch;
  }

  #endRow(valid: 0 | 1): void {
    this.#rows++;
    if (this.#rows >= this.#offsets.length) {
      const larger = new Uint32Array(this.#offsets.length * 2 - 1);
      larger.set(this.#offsets);
      this.#offsets = larger;
      if (this.#validity) {
        const validity = new Uint8Array(larger.length - 1);
        validity.set(this.#validity);
        this.#validity = validity;
      }
    }
    this.#offsets[this.#rows] = this.#used;
    if (this.#validity) this.#validity[this.#rows - 1] = valid;
  }

  #reserve(bytes: number): void {
    const needed = this.#used + bytes;
    if (needed <= this.#arena.length) return;
    if (needed > MAX_ARENA) throw new RangeError(`a text of ${bytes} bytes does not fit a batch (limit 4 GiB)`);
    // allocUnsafeSlow: every byte that a batch shows is written, and the buffer is the batch's own (transferable).
    const size = Math.min(MAX_ARENA, Math.max(needed, this.#capacity, this.#arena.length * 2));
    const larger = new Uint8Array(Buffer.allocUnsafeSlow(size).buffer);
    larger.set(this.#arena.subarray(0, this.#used));
    this.#arena = larger;
  }
}

/** Domain names of a whole unit: dictionary index of each row, −1 for null. */
export interface DomainColumn {
  readonly names: readonly string[];
  readonly indices: Int32Array;
}

/** The batch with the unit's columns beside the text, cut to the batch's rows. */
export function withColumns(
  batch: TextBatch,
  domain: DomainColumn | undefined,
  extra: ReadonlyMap<string, ArrayLike<unknown>> | undefined,
): TextBatch {
  const unit = { ...batch, ...(domain && { domain }), ...(extra && { extra }) };
  return { ...unit, ...columnsOf(unit, batch.rowStart, batch.rows) };
}

/** Rows of one page or buffer: texts that lie together, or entries of a dictionary. */
export interface TextRows extends Pick<TextBatch, "bytes" | "offsets" | "entries" | "validity"> {
  readonly rows: number;
}

/** The rows in batches of the wanted size, without copying a text. */
export function* cutBatches(unit: number, rowStart: number, texts: TextRows, limits: ReadLimits): Generator<TextBatch> {
  const { rows, bytes, offsets, entries, validity } = texts;
  if (rows === 0) return;
  if (entries || (offsets[0] === 0 && offsets[rows]! <= limits.batchBytes)) {
    yield { unit, rowStart, ...texts };
    return;
  }
  for (let first = 0, last = 1; first < rows; first = last, last = first + 1) {
    const start = offsets[first]!;
    while (last < rows && offsets[last + 1]! - start <= limits.batchBytes) last++;
    yield {
      unit,
      rowStart: rowStart + first,
      rows: last - first,
      bytes: bytes.subarray(start, offsets[last]),
      offsets: offsets.subarray(first, last + 1).map((offset) => offset - start),
      ...(validity && { validity: validity.subarray(first, last) }),
    };
  }
}

/** A batch whose rows share texts as batches in which each row has its own. */
export function* spreadEntries(batch: TextBatch, limits: ReadLimits): Generator<TextBatch> {
  const { unit, rowStart, rows, bytes, offsets, validity, entries } = batch;
  if (!entries) {
    yield batch;
    return;
  }
  const lengthOf = (row: number) => offsets[entries[row]! + 1]! - offsets[entries[row]!]!;
  let total = 0;
  for (let row = 0; row < rows; row++) if (validity?.[row] !== 0) total += lengthOf(row);
  const builder = new BatchBuilder(unit, limits, { expectedBytes: total, rowStart });
  const take = () => {
    const texts = builder.take();
    return { ...texts, ...columnsOf(batch, texts.rowStart - rowStart, texts.rows) };
  };
  for (let row = 0; row < rows; row++) {
    if (validity?.[row] === 0) {
      builder.appendNull();
      continue;
    }
    if (builder.overflowsWith(lengthOf(row))) yield take();
    builder.append(bytes, offsets[entries[row]!]!, offsets[entries[row]! + 1]!);
  }
  if (builder.rows > 0) yield take();
}

/** Domain and extra columns of some of a batch's rows. */
function columnsOf({ domain, extra }: TextBatch, first: number, rows: number): Pick<TextBatch, "domain" | "extra"> {
  const end = first + rows;
  return {
    ...(domain && { domain: { names: domain.names, indices: domain.indices.subarray(first, end) } }),
    ...(extra && { extra: new Map([...extra].map(([path, values]) => [path, sliceOf(values, first, end)])) }),
  };
}

function sliceOf(values: ArrayLike<unknown>, start: number, end: number): ArrayLike<unknown> {
  if (start === 0 && end === values.length) return values;
  if ("slice" in values && typeof values.slice === "function") return values.slice(start, end) as ArrayLike<unknown>;
  return Array.prototype.slice.call(values, start, end);
}

/** Collects names into a dictionary. */
export class NameDictionary {
  readonly names: string[] = [];
  readonly #indices = new Map<string, number>();

  indexOf(name: string): number {
    const known = this.#indices.get(name);
    if (known !== undefined) return known;
    const index = this.names.push(name) - 1;
    this.#indices.set(name, index);
    return index;
  }
}
