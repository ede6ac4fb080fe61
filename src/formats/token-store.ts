/**
 * Token stores in Megatron's indexed-dataset format: `PREFIX.bin` holds the ids of all documents one after another,
 * `PREFIX.idx` their lengths. Writing streams into `PREFIX.bin.part`, which can be read as far as it goes and gone on
 * with; the two files appear at the end, `.idx` last. Reading takes ranges, never the whole `.bin`.
 */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { type FileHandle, mkdir, open, readFile, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { AtomicFile, sync } from "../lib/atomic-write.ts";
import { DoremiError } from "../lib/errors.ts";

const MAGIC = Buffer.from("MMIDIDX\0\0", "latin1");
const HEADER_BYTES = 34; // magic 9, version 8, type 1, sequences 8, documents 8
/** Megatron's type codes, of those that ids are stored as */
const UINT16 = 8;
const INT32 = 4;
/** Megatron's own bound for two-byte ids */
const UINT16_VOCABULARY = 65500;
const BUFFER_IDS = 1 << 18;

/** Of an id, in a store of this vocabulary. */
export function idBytes(vocabularySize: number): 2 | 4 {
  return vocabularySize < UINT16_VOCABULARY ? 2 : 4;
}

const partOf = (prefix: string) => `${prefix}.bin.part`;

export interface TokenStoreWriterOptions {
  readonly vocabularySize: number;
  /** lengths of documents that an earlier writer left in `PREFIX.bin.part`: what is behind them is dropped. Default: none */
  readonly written?: readonly number[];
}

/** Documents in, in order; then `commit`, `suspend` or `discard`. */
export class TokenStoreWriter {
  readonly prefix: string;
  documents = 0;
  tokens = 0;
  readonly #bin: FileHandle;
  readonly #vocabularySize: number;
  readonly #width: 2 | 4;
  readonly #buffer: Uint16Array | Int32Array;
  #buffered = 0; // ids
  #written = 0; // bytes
  #lengths = new Int32Array(1024);

  private constructor(prefix: string, bin: FileHandle, { vocabularySize, written = [] }: TokenStoreWriterOptions) {
    this.prefix = prefix;
    this.#bin = bin;
    this.#vocabularySize = vocabularySize;
    this.#width = idBytes(vocabularySize);
    this.#buffer = this.#width === 2 ? new Uint16Array(BUFFER_IDS) : new Int32Array(BUFFER_IDS);
    for (const length of written) this.#count(length);
    this.#written = this.tokens * this.#width;
  }

  /** @throws DoremiError token-store where the file is shorter than what is said to be written */
  static async create(prefix: string, options: TokenStoreWriterOptions): Promise<TokenStoreWriter> {
    await mkdir(dirname(prefix), { recursive: true });
    const path = partOf(prefix);
    const bin = await open(path, options.written ? "r+" : "w");
    const writer = new TokenStoreWriter(prefix, bin, options);
    const { size } = await bin.stat();
    if (size < writer.#written) {
      await bin.close();
      throw bad(path, `must hold ${writer.#written} bytes that were written before, found ${size}; write it again`);
    }
    await bin.truncate(writer.#written);
    return writer;
  }

  /**
   * Appends one document.
   * @param separator id to put behind it, as a part of it; null = none
   * @throws RangeError where an id is outside the vocabulary
   */
  async write(ids: Uint32Array | Int32Array, separator: number | null = null): Promise<void> {
    for (const id of ids) this.#checkId(id);
    for (let done = 0; done < ids.length; ) {
      if (this.#buffered === BUFFER_IDS) await this.flush();
      const piece = ids.subarray(done, done + BUFFER_IDS - this.#buffered);
      this.#buffer.set(piece, this.#buffered);
      this.#buffered += piece.length;
      done += piece.length;
    }
    if (separator !== null) {
      this.#checkId(separator);
      if (this.#buffered === BUFFER_IDS) await this.flush();
      this.#buffer[this.#buffered++] = separator;
    }
    this.#count(ids.length + (separator === null ? 0 : 1));
  }

  #checkId(id: number): void {
    if (!(id >= 0 && id < this.#vocabularySize))
      throw new RangeError(`${this.prefix}: id ${id} is outside the vocabulary of ${this.#vocabularySize}`);
  }

  #count(length: number): void {
    if (this.documents === this.#lengths.length) {
      const longer = new Int32Array(this.#lengths.length * 2);
      longer.set(this.#lengths);
      this.#lengths = longer;
    }
    this.#lengths[this.documents++] = length;
    this.tokens += length;
  }

  async commit(): Promise<void> {
    await this.flush({ durable: true });
    const index = this.#index();
    await this.#bin.close();
    await rename(partOf(this.prefix), `${this.prefix}.bin`);
    await sync(dirname(this.prefix));
    const file = await AtomicFile.create(`${this.prefix}.idx`);
    try {
      await file.write(index);
      await file.commit();
    } catch (error) {
      await file.discard();
      throw error;
    }
  }

  /** Closes the file and leaves what was flushed in it for a writer that goes on. */
  async suspend(): Promise<void> {
    await this.#bin.close();
  }

  async discard(): Promise<void> {
    await this.#bin.close();
    await rm(partOf(this.prefix), { force: true });
  }

  /** Makes what was written so far visible to readers; `durable`: also after a loss of power. */
  async flush({ durable = false }: { readonly durable?: boolean } = {}): Promise<void> {
    const bytes = new Uint8Array(this.#buffer.buffer, 0, this.#buffered * this.#width);
    for (let done = 0; done < bytes.length; ) {
      const { bytesWritten } = await this.#bin.write(bytes, done, bytes.length - done, this.#written);
      done += bytesWritten;
      this.#written += bytesWritten;
    }
    this.#buffered = 0;
    if (durable) await this.#bin.sync();
  }

  /** Every document is one sequence, so document boundaries are 0, 1, …, documents. */
  #index(): Buffer {
    const documents = this.documents;
    const index = Buffer.alloc(HEADER_BYTES + documents * 12 + (documents + 1) * 8);
    MAGIC.copy(index);
    index.writeBigUInt64LE(1n, 9);
    index.writeUInt8(this.#width === 2 ? UINT16 : INT32, 17);
    index.writeBigUInt64LE(BigInt(documents), 18);
    index.writeBigUInt64LE(BigInt(documents + 1), 26);
    let pointer = 0;
    for (let i = 0; i < documents; i++) {
      const length = this.#lengths[i]!;
      index.writeInt32LE(length, HEADER_BYTES + i * 4);
      index.writeBigInt64LE(BigInt(pointer), HEADER_BYTES + documents * 4 + i * 8);
      pointer += length * this.#width;
    }
    for (let i = 0; i <= documents; i++) index.writeBigInt64LE(BigInt(i), HEADER_BYTES + documents * 12 + i * 8);
    return index;
  }
}

/** @param prefix path without `.bin` and `.idx` @throws DoremiError missing-file; bad-data where the two do not agree */
export async function openTokenStore(prefix: string): Promise<TokenStore> {
  const path = `${prefix}.idx`;
  const index = await readFile(path);
  if (index.length < HEADER_BYTES || !index.subarray(0, 9).equals(MAGIC))
    throw bad(path, "must start with MMIDIDX; this is no index of a token store");
  const version = index.readBigUInt64LE(9);
  if (version !== 1n) throw bad(path, `the format's version must be 1, found ${version}`);
  const type = index.readUInt8(17);
  if (type !== UINT16 && type !== INT32)
    throw bad(path, `ids must be uint16 (code ${UINT16}) or int32 (code ${INT32}), found code ${type}`);
  const sequences = Number(index.readBigUInt64LE(18));
  const boundaries = Number(index.readBigUInt64LE(26));
  const expected = HEADER_BYTES + sequences * 12 + boundaries * 8;
  if (index.length !== expected)
    throw bad(
      path,
      `${sequences} sequences and ${boundaries} boundaries take ${expected} bytes, but the file has ${index.length}; it is truncated`,
    );
  const width = type === UINT16 ? 2 : 4;
  const lengths = new Int32Array(sequences);
  let tokens = 0;
  for (let i = 0; i < sequences; i++) {
    const length = index.readInt32LE(HEADER_BYTES + i * 4);
    const pointer = Number(index.readBigInt64LE(HEADER_BYTES + sequences * 4 + i * 8));
    if (length < 0 || pointer !== tokens * width)
      throw bad(
        path,
        `sequence ${i} must follow the one before it at byte ${tokens * width}, found length ${length} at byte ${pointer}`,
      );
    lengths[i] = length;
    tokens += length;
  }
  const fd = openSync(`${prefix}.bin`, "r");
  const { size } = fstatSync(fd);
  if (size !== tokens * width) {
    closeSync(fd);
    throw bad(
      `${prefix}.bin`,
      `${tokens} ids of ${width} bytes take ${tokens * width} bytes, but the file has ${size}; write the store again`,
    );
  }
  return new TokenStore(prefix, fd, width, lengths, tokens);
}

/**
 * A store that is still being written, or has just been finished; undefined where there is none of this name.
 * @param options of the finished store: `tokens` as it will hold; `written` says how many there are
 */
export function openUnfinishedTokenStore(
  prefix: string,
  { vocabularySize, tokens }: { readonly vocabularySize: number; readonly tokens: number },
): TokenStore | undefined {
  for (const path of [partOf(prefix), `${prefix}.bin`]) {
    try {
      return new TokenStore(prefix, openSync(path, "r"), idBytes(vocabularySize), new Int32Array(0), tokens);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    }
  }
  return undefined;
}

export class TokenStore {
  readonly prefix: string;
  /** tokens of each document (Megatron: sequence), in order; empty where the store is unfinished */
  readonly lengths: Int32Array;
  readonly tokens: number;
  readonly #fd: number;
  readonly #width: 2 | 4;
  #closed = false;

  constructor(prefix: string, fd: number, width: 2 | 4, lengths: Int32Array, tokens: number) {
    this.prefix = prefix;
    this.#fd = fd;
    this.#width = width;
    this.lengths = lengths;
    this.tokens = tokens;
  }

  /** Tokens that are there to be read: all of them, unless the store is still being written. */
  written(): number {
    return Math.floor(fstatSync(this.#fd).size / this.#width);
  }

  /** Ids start..end (exclusive) of all documents one after another. */
  read(start: number, end: number): Int32Array {
    if (!(start >= 0 && start <= end && end <= this.tokens))
      throw new RangeError(`${this.prefix}: tokens ${start}..${end} are outside 0..${this.tokens}`);
    const bytes = new Uint8Array((end - start) * this.#width);
    let done = 0;
    while (done < bytes.length) {
      const read = readSync(this.#fd, bytes, done, bytes.length - done, start * this.#width + done);
      if (read === 0) throw bad(`${this.prefix}.bin`, "became shorter while it was read");
      done += read;
    }
    return this.#width === 2 ? Int32Array.from(new Uint16Array(bytes.buffer)) : new Int32Array(bytes.buffer);
  }

  close(): void {
    if (!this.#closed) closeSync(this.#fd);
    this.#closed = true;
  }
}

/** Training sequences of one domain, by number. */
export interface Sequences {
  readonly sequences: number;
  /** T + 1 ids: the inputs are all but the last, the targets all but the first */
  sequence(index: number): Int32Array;
}

/**
 * The store's stream cut into windows of T + 1 tokens, at i·T..i·T + T: each token is a target once.
 * With `tail`, what is left at the end is a last, shorter sequence (for evaluation, where the batch pads it).
 */
export function tokenWindows(
  store: TokenStore,
  sequenceLength: number,
  options: { readonly tail?: boolean } = {},
): Sequences {
  const targets = Math.max(0, store.tokens - 1);
  const sequences = options.tail ? Math.ceil(targets / sequenceLength) : Math.floor(targets / sequenceLength);
  return {
    sequences,
    sequence(index) {
      if (!(index >= 0 && index < sequences))
        throw new RangeError(`${store.prefix}: sequence ${index} is outside 0..${sequences - 1}`);
      const start = index * sequenceLength;
      return store.read(start, Math.min(start + sequenceLength + 1, store.tokens));
    },
  };
}

function bad(path: string, what: string): DoremiError {
  return new DoremiError("bad-data", "token-store", `${path}: ${what}`, { file: path });
}
