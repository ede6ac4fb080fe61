/**
 * The counter: a WebAssembly instance with its tables, fed UTF-8 bytes. Knows vocabularies and patterns; what a
 * tokenizer.json says is settled before.
 */
import { compiledModule } from "../lib/compiled.ts";
import { DoremiError } from "../lib/errors.ts";
import type { CounterExports, ModelTables } from "./counter-instance.ts";
import { instantiate } from "./counter-instance.ts";
import type { SplitPlan } from "./plan.ts";

/** Whether each document gets a space before it, which empty ones never do. */
export type Prefix = "none" | "always" | "unless-there";

/** Bytes of text that go into one call: small enough to stay in the second-level cache, large enough to be rare. */
const CHUNK_BYTES = 1 << 18;
/** An instance that a huge document made larger than its tables and this is replaced by a fresh one. */
const SPARE_BYTES = 96 << 20;

let compiled: WebAssembly.Module | undefined;

export class Counter {
  readonly #module: WebAssembly.Module;
  readonly #model: ModelTables;
  readonly #split: SplitPlan;
  #wasm: CounterExports;
  #tableBytes: number;

  private constructor(module: WebAssembly.Module, model: ModelTables, split: SplitPlan) {
    this.#module = module;
    this.#model = model;
    this.#split = split;
    this.#wasm = instantiate(module, model, split);
    this.#tableBytes = this.#wasm.memory.buffer.byteLength;
  }

  static async create(model: ModelTables, split: SplitPlan): Promise<Counter> {
    compiled ??= compiledModule(new URL("./counter.wasm", import.meta.url), "token counter");
    return new Counter(compiled, model, split);
  }

  /** Bytes of memory that the instance holds now. */
  get memoryBytes(): number {
    return this.#wasm.memory.buffer.byteLength;
  }

  /** Tokens of each document bytes[offsets[i]..offsets[i + 1]], all valid UTF-8. */
  count(bytes: Uint8Array, offsets: Uint32Array, counts: Uint32Array, prefix: Prefix): void {
    const documents = offsets.length - 1;
    let first = 0;
    while (first < documents) {
      let last = first + 1;
      while (last < documents && offsets[last + 1]! - offsets[first]! <= CHUNK_BYTES) last++;
      this.#countChunk(bytes, offsets.subarray(first, last + 1), counts.subarray(first, last), prefix);
      first = last;
    }
  }

  #countChunk(bytes: Uint8Array, offsets: Uint32Array, counts: Uint32Array, prefix: Prefix): void {
    const start = offsets[0]!;
    const size = offsets[offsets.length - 1]! - start;
    const reserved = size + (prefix === "none" ? 0 : counts.length);
    this.#run(size, () => {
      const wasm = this.#wasm;
      wasm.reserve(BigInt(reserved), BigInt(counts.length), 0n);
      const input = new Uint8Array(wasm.memory.buffer, wasm.input() >>> 0, reserved);
      const bounds = new Uint32Array(wasm.memory.buffer, wasm.offsets() >>> 0, offsets.length);
      if (prefix === "none") {
        input.set(bytes.subarray(start, start + size));
        for (let i = 0; i < offsets.length; i++) bounds[i] = offsets[i]! - start;
      } else {
        writePrefixed(bytes, offsets, prefix, input, bounds);
      }
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
      const gaveUp = this.#wasm.hasGivenUp() !== 0;
      this.#replace();
      if (gaveUp) {
        throw new DoremiError(
          "bad-data",
          "document-too-slow",
          `a document of ${size} bytes: the tokenizer's split pattern must not backtrack thousands of times for each byte, and does in it; filter it out`,
          { cause },
        );
      }
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
    this.#wasm = instantiate(this.#module, this.#model, this.#split);
    this.#tableBytes = this.memoryBytes;
  }
}

const SPACE = 0x20;

/** Writes the documents, each with the space before it, and where each begins. */
function writePrefixed(
  bytes: Uint8Array,
  offsets: Uint32Array,
  prefix: Prefix,
  input: Uint8Array,
  bounds: Uint32Array,
): void {
  let size = 0;
  for (let i = 0; i + 1 < offsets.length; i++) {
    const start = offsets[i]!;
    const end = offsets[i + 1]!;
    if (end > start && (prefix === "always" || bytes[start] !== SPACE)) input[size++] = SPACE;
    input.set(bytes.subarray(start, end), size);
    size += end - start;
    bounds[i + 1] = size;
  }
  bounds[0] = 0;
}
