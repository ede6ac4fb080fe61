/**
 * One buffer that page after page is decompressed into. Whoever reads a page through it is done with the page before
 * the next one is asked for.
 */
export class PageBuffer {
  #bytes: Uint8Array = new Uint8Array(0);

  /** So many bytes of the buffer, with whatever is in them. */
  take(length: number): Uint8Array {
    if (length > this.#bytes.length) this.#bytes = fresh(Math.ceil(length * 1.25));
    return this.#bytes.subarray(0, length);
  }
}

/** Where a decoder writes: into the buffer, or into memory of the page's own. */
export function outputOf(length: number, buffer: PageBuffer | undefined): Uint8Array {
  return buffer ? buffer.take(length) : fresh(length);
}

/** Not filled with zeros: a decoder writes every byte or throws. */
function fresh(length: number): Uint8Array {
  return new Uint8Array(Buffer.allocUnsafeSlow(length).buffer);
}
