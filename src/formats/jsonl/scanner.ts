/**
 * The host of assembly/: a WebAssembly instance with a block of lines in its memory, which positions here are places in.
 */
import { compiledModule } from "../../lib/compiled.ts";

interface ScannerExports {
  readonly memory: WebAssembly.Memory;
  allocate(bytes: number): number;
  reserve(bytes: number): number;
  output(): number;
  line(at: number, members: number, count: number): number;
  object(at: number, members: number, count: number): number;
  unescape(start: number, end: number): number;
}

/** What a wanted value is, as the scanner numbers it. */
export const KIND = { missing: 0, plainString: 1, escapedString: 2, null: 3, object: 4, other: 5 } as const;

/** Keys whose values are wanted of an object. */
export interface WantedMembers {
  readonly address: number;
  readonly count: number;
}

/** u32 of a member: its key's address and length, its value's kind, start and end */
const MEMBER_WORDS = 5;
const VALUE_WORD = 2;

let compiled: WebAssembly.Module | undefined;

export class Scanner {
  readonly #wasm: ScannerExports;
  /** all of the instance's memory: a block's bytes, by the places in it */
  #memory: Buffer;
  #words: Uint32Array;
  #base = 0;

  constructor() {
    compiled ??= compiledModule(new URL("./scanner.wasm", import.meta.url), "scanner of JSON Lines");
    this.#wasm = new WebAssembly.Instance(compiled).exports as unknown as ScannerExports;
    this.#memory = Buffer.from(this.#wasm.memory.buffer);
    this.#words = new Uint32Array(this.#wasm.memory.buffer);
  }

  /** The bytes that places are in; valid until the next block. */
  get bytes(): Buffer {
    return this.#memory;
  }

  /** Only before the first block. */
  want(keys: readonly string[]): WantedMembers {
    const address = this.#wasm.allocate(keys.length * MEMBER_WORDS * 4);
    keys.forEach((key, k) => {
      const bytes = Buffer.from(key, "utf8");
      const at = this.#wasm.allocate(bytes.length);
      this.#refresh();
      this.#memory.set(bytes, at);
      this.#words.set([at, bytes.length], address / 4 + k * MEMBER_WORDS);
    });
    return { address, count: keys.length };
  }

  /** @param block valid UTF-8 @returns the place of its first byte */
  open(block: Uint8Array): number {
    this.#base = this.#wasm.reserve(block.length);
    this.#refresh();
    this.#memory.set(block, this.#base);
    return this.#base;
  }

  /** The place of the newline after the object at `at`, or of the block's end; 0 where the scanner gives up. */
  line(at: number, wanted: WantedMembers): number {
    return this.#wasm.line(at, wanted.address, wanted.count);
  }

  /** The place after the object whose brace is at `at`, or 0. */
  object(at: number, wanted: WantedMembers): number {
    return this.#wasm.object(at, wanted.address, wanted.count);
  }

  kindOf(wanted: WantedMembers, key: number): number {
    return this.#words[wanted.address / 4 + key * MEMBER_WORDS + VALUE_WORD]!;
  }

  /** of the value, quotes and braces included */
  startOf(wanted: WantedMembers, key: number): number {
    return this.#words[wanted.address / 4 + key * MEMBER_WORDS + VALUE_WORD + 1]!;
  }

  /** exclusive */
  endOf(wanted: WantedMembers, key: number): number {
    return this.#words[wanted.address / 4 + key * MEMBER_WORDS + VALUE_WORD + 2]!;
  }

  /** The inside of a string with escapes, as UTF-8: bytes start..end of `bytes`, until the next one. */
  unescape(start: number, end: number): { readonly start: number; readonly end: number } {
    const length = this.#wasm.unescape(start, end);
    const output = this.#wasm.output();
    return { start: output, end: output + length };
  }

  /** Memory that grew is another buffer. */
  #refresh(): void {
    const { buffer } = this.#wasm.memory;
    if (this.#memory.buffer === buffer) return;
    this.#memory = Buffer.from(buffer);
    this.#words = new Uint32Array(buffer);
  }
}
