/** Bytes whose number is not known before. */
export class Output {
  #bytes: Uint8Array;
  #size = 0;

  constructor(capacity: number) {
    this.#bytes = new Uint8Array(capacity);
  }

  append(source: Uint8Array, start: number, end: number): void {
    const size = this.#size + end - start;
    if (size > this.#bytes.length) {
      const larger = new Uint8Array(2 * size);
      larger.set(this.#bytes.subarray(0, this.#size));
      this.#bytes = larger;
    }
    if (end - start < 16) for (let i = start; i < end; i++) this.#bytes[this.#size++] = source[i]!;
    else this.#bytes.set(source.subarray(start, end), this.#size);
    this.#size = size;
  }

  bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#size);
  }
}
