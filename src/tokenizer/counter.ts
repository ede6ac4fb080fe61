/**
 * The counter: a WebAssembly instance with its tables, fed UTF-8 bytes. Knows vocabularies and patterns; what a
 * tokenizer.json says is settled before.
 */
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { DoremiError } from "../lib/errors.ts";
import type { SplitPattern } from "./patterns.ts";
import { PAGE_NUMBERS, unicodePages } from "./unicode-classes.ts";
import type { Vocabulary } from "./vocabulary.ts";

interface CounterExports {
  readonly memory: WebAssembly.Memory;
  allocClasses(pages: number): number;
  allocVocabulary(bytes: number, tokens: number): number;
  allocTokenEnds(): number;
  indexTokens(wholePieces: number): void;
  mergesFromRanks(): void;
  allocMerges(count: number): number;
  mergesFromList(list: number, count: number): void;
  start(family: number, maxDigits: number): void;
  reserve(bytes: bigint, documents: bigint, ids: bigint): void;
  input(): number;
  offsets(): number;
  counts(): number;
  ids(): number;
  countDocuments(documents: number): void;
  encodeText(bytes: number): number;
}

/** Bytes of text that go into one call: small enough to stay in the second-level cache, large enough to be rare. */
const CHUNK_BYTES = 1 << 18;
/** An instance that a huge document made larger than its tables and this is replaced by a fresh one. */
const SPARE_BYTES = 96 << 20;

let compiled: Promise<WebAssembly.Module> | undefined;

async function compile(): Promise<WebAssembly.Module> {
  const path = fileURLToPath(new URL("./counter.wasm", import.meta.url));
  let code: Uint8Array<ArrayBuffer>;
  try {
    code = new Uint8Array(await readFile(path));
  } catch (cause) {
    throw new DoremiError(
      "internal",
      "counter-not-built",
      `${path}: the compiled token counter must be here and can't be read; build it with \`npm run build\`, or reinstall doremi`,
      { file: path, cause },
    );
  }
  return WebAssembly.compile(code);
}

export class Counter {
  readonly #module: WebAssembly.Module;
  readonly #vocabulary: Vocabulary;
  readonly #pattern: SplitPattern;
  #wasm: CounterExports;
  #tableBytes: number;

  private constructor(module: WebAssembly.Module, vocabulary: Vocabulary, pattern: SplitPattern) {
    this.#module = module;
    this.#vocabulary = vocabulary;
    this.#pattern = pattern;
    this.#wasm = instantiate(module, vocabulary, pattern);
    this.#tableBytes = this.#wasm.memory.buffer.byteLength;
  }

  static async create(vocabulary: Vocabulary, pattern: SplitPattern): Promise<Counter> {
    compiled ??= compile();
    try {
      return new Counter(await compiled, vocabulary, pattern);
    } catch (error) {
      compiled = undefined;
      throw error;
    }
  }

  /** Bytes of memory that the instance holds now. */
  get memoryBytes(): number {
    return this.#wasm.memory.buffer.byteLength;
  }

  /** Tokens of each document bytes[offsets[i]..offsets[i + 1]], all valid UTF-8. */
  count(bytes: Uint8Array, offsets: Uint32Array, counts: Uint32Array): void {
    const documents = offsets.length - 1;
    let first = 0;
    while (first < documents) {
      let last = first + 1;
      while (last < documents && offsets[last + 1]! - offsets[first]! <= CHUNK_BYTES) last++;
      this.#countChunk(bytes, offsets.subarray(first, last + 1), counts.subarray(first, last));
      first = last;
    }
  }

  #countChunk(bytes: Uint8Array, offsets: Uint32Array, counts: Uint32Array): void {
    const start = offsets[0]!;
    const size = offsets[offsets.length - 1]! - start;
    this.#run(size, () => {
      const wasm = this.#wasm;
      wasm.reserve(BigInt(size), BigInt(counts.length), 0n);
      new Uint8Array(wasm.memory.buffer, wasm.input() >>> 0, size).set(bytes.subarray(start, start + size));
      const bounds = new Uint32Array(wasm.memory.buffer, wasm.offsets() >>> 0, offsets.length);
      for (let i = 0; i < offsets.length; i++) bounds[i] = offsets[i]! - start;
      wasm.countDocuments(counts.length);
      counts.set(new Uint32Array(wasm.memory.buffer, wasm.counts() >>> 0, counts.length));
    });
  }

  /** Ids of one document of valid UTF-8. */
  encode(bytes: Uint8Array): Uint32Array {
    let ids = new Uint32Array(0);
    this.#run(bytes.length, () => {
      const wasm = this.#wasm;
      wasm.reserve(BigInt(bytes.length), 0n, BigInt(bytes.length));
      new Uint8Array(wasm.memory.buffer, wasm.input() >>> 0, bytes.length).set(bytes);
      const count = wasm.encodeText(bytes.length);
      ids = new Uint32Array(wasm.memory.buffer, wasm.ids() >>> 0, count).slice();
    });
    return ids;
  }

  #run(size: number, work: () => void): void {
    try {
      work();
    } catch (cause) {
      // a trap leaves the instance as it was in the middle of the call
      this.#replace();
      if (!(cause instanceof WebAssembly.RuntimeError || cause instanceof RangeError)) throw cause;
      throw new DoremiError(
        "bad-data",
        "document-too-large",
        `a document of ${size} bytes: the tokenizer must hold it in WebAssembly's 4 GiB and can't; split it or filter it out`,
        { cause },
      );
    }
    if (this.memoryBytes > this.#tableBytes + SPARE_BYTES) this.#replace();
  }

  #replace(): void {
    this.#wasm = instantiate(this.#module, this.#vocabulary, this.#pattern);
    this.#tableBytes = this.memoryBytes;
  }
}

function instantiate(module: WebAssembly.Module, vocabulary: Vocabulary, pattern: SplitPattern): CounterExports {
  const wasm = new WebAssembly.Instance(module).exports as unknown as CounterExports;
  const write = (data: Uint8Array | Uint32Array, address: number) =>
    new Uint8Array(wasm.memory.buffer).set(
      new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
      address >>> 0,
    );
  const pages = unicodePages();
  write(pages, wasm.allocClasses((pages.length - PAGE_NUMBERS) >> 8));
  write(vocabulary.bytes, wasm.allocVocabulary(vocabulary.bytes.length, vocabulary.ends.length - 1));
  write(vocabulary.ends, wasm.allocTokenEnds());
  wasm.indexTokens(vocabulary.wholePieces ? 1 : 0);
  if (vocabulary.merges === null) {
    wasm.mergesFromRanks();
  } else {
    const list = wasm.allocMerges(vocabulary.merges.length / 3);
    write(vocabulary.merges, list);
    wasm.mergesFromList(list, vocabulary.merges.length / 3);
  }
  wasm.start(pattern.family, pattern.maxDigits);
  return wasm;
}
