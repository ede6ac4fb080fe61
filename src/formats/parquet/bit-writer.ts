/**
 * Bytes of Parquet pages while they are made: a buffer that grows, with the bit packing and variable-length integers that
 * encodings are built from. Integers are numbers below 2^53 throughout; nothing here makes a BigInt.
 */

export class BitWriter {
  /** bytes written */
  size = 0;
  #bytes: Uint8Array;
  #view: DataView;

  constructor(capacity = 1 << 16) {
    this.#bytes = new Uint8Array(capacity);
    this.#view = new DataView(this.#bytes.buffer);
  }

  /** What was written; valid until the next write or `clear`. */
  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.size);
  }

  clear(): void {
    this.size = 0;
  }

  byte(value: number): void {
    this.#reserve(1);
    this.#bytes[this.size++] = value;
  }

  append(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.size);
    this.size += bytes.length;
  }

  /** Unsigned LEB128. @param value an integer from 0 to 2^53 − 1 */
  varint(value: number): void {
    this.#reserve(8);
    while (value > 0x7f) {
      this.#bytes[this.size++] = (value % 0x80) | 0x80;
      value = Math.floor(value / 0x80);
    }
    this.#bytes[this.size++] = value;
  }

  /** @param value an integer of less than 2^52 either way */
  zigzag(value: number): void {
    this.varint(value >= 0 ? 2 * value : -2 * value - 1);
  }

  /** The `bytes` low bytes of a value, least first. @param bytes 0 to 4 */
  littleEndian(value: number, bytes: number): void {
    this.#reserve(4);
    for (let i = 0; i < bytes; i++) this.#bytes[this.size++] = value >>> (8 * i);
  }

  /**
   * The values in `width` bits each, the first in the lowest bits.
   *
   * @param values integers from 0 to 2^width − 1  @param count a multiple of 8, so that whole bytes come out
   * @param width 0 to 53
   */
  pack(values: Int32Array | Float64Array, start: number, count: number, width: number): void {
    if (width === 0) return;
    this.#reserve((count * width) / 8 + 8);
    const view = this.#view;
    const low = Math.min(width, 32);
    const high = width - low;
    let at = this.size;
    let word = 0; // bits that wait for a whole word
    let filled = 0; // how many, below 32
    for (let i = start; i < start + count; i++) {
      const value = values[i]!;
      word |= value << filled;
      filled += low;
      if (filled >= 32) {
        view.setUint32(at, word, true);
        at += 4;
        filled -= 32;
        word = filled === 0 ? 0 : value >>> (low - filled);
      }
      if (high === 0) continue;
      const rest = Math.floor(value / 0x1_0000_0000);
      word |= rest << filled;
      filled += high;
      if (filled >= 32) {
        view.setUint32(at, word, true);
        at += 4;
        filled -= 32;
        word = filled === 0 ? 0 : rest >>> (high - filled);
      }
    }
    for (; filled > 0; filled -= 8, word >>>= 8) view.setUint8(at++, word & 0xff);
    this.size = at;
  }

  #reserve(bytes: number): void {
    if (this.size + bytes <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(2 * this.#bytes.length, this.size + bytes));
    grown.set(this.bytes);
    this.#bytes = grown;
    this.#view = new DataView(grown.buffer);
  }
}
