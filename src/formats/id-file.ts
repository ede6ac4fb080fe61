/**
 * Files of token ids, little-endian, each of two or four bytes, one after another with whatever a format puts between
 * them. They appear whole or not at all. `DocumentFile` starts with the offsets of its documents, as MDS shards and the
 * chunks of litdata do.
 */
import { AtomicFile } from "../lib/atomic-write.ts";
import { DoremiError } from "../lib/errors.ts";

const BUFFER_BYTES = 1 << 20;
/** Converted to their width at once. */
const SCRATCH_IDS = 1 << 14;

/** Two bytes wherever they hold every id. Megatron's files have a bound of their own. */
export function idBytes(vocabularySize: number): 2 | 4 {
  return vocabularySize <= 1 << 16 ? 2 : 4;
}

export class IdFile {
  readonly #file: AtomicFile;
  readonly #buffer = new Uint8Array(BUFFER_BYTES);
  #buffered = 0; // bytes
  readonly #scratch: Uint16Array | Uint32Array;
  readonly #scratchBytes: Uint8Array;

  protected constructor(file: AtomicFile, width: 2 | 4) {
    this.#file = file;
    this.#scratch = width === 2 ? new Uint16Array(SCRATCH_IDS) : new Uint32Array(SCRATCH_IDS);
    this.#scratchBytes = new Uint8Array(this.#scratch.buffer);
  }

  static async create(path: string, width: 2 | 4): Promise<IdFile> {
    return new IdFile(await AtomicFile.create(path), width);
  }

  get path(): string {
    return this.#file.path;
  }

  /** bytes so far */
  get size(): number {
    return this.#file.size + this.#buffered;
  }

  async write(bytes: Uint8Array): Promise<void> {
    for (let done = 0; done < bytes.length; ) {
      if (this.#buffered === BUFFER_BYTES) await this.#flush();
      const piece = bytes.subarray(done, done + BUFFER_BYTES - this.#buffered);
      this.#buffer.set(piece, this.#buffered);
      this.#buffered += piece.length;
      done += piece.length;
    }
  }

  /** @param separator id behind them; null = none */
  async writeIds(ids: Uint32Array, separator: number | null): Promise<void> {
    const width = this.#scratch.BYTES_PER_ELEMENT;
    for (let done = 0; done < ids.length; ) {
      const piece = ids.subarray(done, done + SCRATCH_IDS);
      this.#scratch.set(piece);
      await this.write(this.#scratchBytes.subarray(0, piece.length * width));
      done += piece.length;
    }
    if (separator === null) return;
    this.#scratch[0] = separator;
    await this.write(this.#scratchBytes.subarray(0, width));
  }

  async #flush(): Promise<void> {
    await this.#file.write(this.#buffer.subarray(0, this.#buffered));
    this.#buffered = 0;
  }

  /** Overwrites what was written, for what is known only at the end. */
  protected async patch(bytes: Uint8Array, position: number): Promise<void> {
    await this.#flush();
    await this.#file.patch(bytes, position);
  }

  async commit(): Promise<void> {
    await this.#flush();
    await this.#file.commit();
  }

  discard(): Promise<void> {
    return this.#file.discard();
  }
}

/** Of a file whose offsets are uint32. */
export const MAX_OFFSET = 2 ** 32 - 1;

/**
 * The number of documents n, the n + 1 offsets between them, what the format puts behind those, and the documents; numbers
 * are uint32, and offsets count from the start of the file.
 */
export class DocumentFile extends IdFile {
  readonly #head: Uint32Array; // n, offsets
  #ended = 0; // documents

  private constructor(file: AtomicFile, width: 2 | 4, documents: number) {
    super(file, width);
    this.#head = new Uint32Array(documents + 2);
    this.#head[0] = documents;
  }

  static async open(path: string, width: 2 | 4, documents: number, behindOffsets: Uint8Array): Promise<DocumentFile> {
    const file = new DocumentFile(await AtomicFile.create(path), width, documents);
    try {
      await file.write(new Uint8Array(file.#head.byteLength));
      await file.write(behindOffsets);
    } catch (error) {
      await file.discard();
      throw error;
    }
    file.#head[1] = file.size;
    return file;
  }

  /** What was written since the last end is a document. @throws DoremiError shard-too-large */
  endDocument(): void {
    if (this.size > MAX_OFFSET) {
      throw new DoremiError(
        "bad-configuration",
        "shard-too-large",
        `${this.path}: must be smaller than 4 GiB, because its offsets have 32 bits, found ${this.size} bytes; choose a smaller shard size`,
        { file: this.path },
      );
    }
    this.#head[this.#ended + 2] = this.size;
    this.#ended += 1;
  }

  override async commit(): Promise<void> {
    if (this.#ended !== this.#head[0]) {
      throw new RangeError(`${this.path}: has room for ${this.#head[0]} documents, got ${this.#ended}`);
    }
    await this.patch(new Uint8Array(this.#head.buffer), 0);
    await super.commit();
  }
}
