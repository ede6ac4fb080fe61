/**
 * Two encodings of Parquet pages, from typed arrays: DELTA_BINARY_PACKED for integers and RLE_DICTIONARY for indices into
 * a dictionary. Made for columns of hundreds of millions of values.
 */
import type { BitWriter } from "./bit-writer.ts";

const BLOCK = 128;
const MINIBLOCKS = 4;
const MINIBLOCK = BLOCK / MINIBLOCKS;

/**
 * DELTA_BINARY_PACKED: differences from the value before, less the least of a block of 128, packed in as many bits as the
 * largest of each 32 needs.
 *
 * @param values integers from 0 to 2^52 − 1
 */
export function encodeDelta(values: Int32Array | Float64Array, into: BitWriter): void {
  const count = values.length;
  into.varint(BLOCK);
  into.varint(MINIBLOCKS);
  into.varint(count);
  into.zigzag(count === 0 ? 0 : values[0]!);
  const deltas = new Float64Array(BLOCK);
  const widths = new Uint8Array(MINIBLOCKS);
  for (let start = 1; start < count; start += BLOCK) {
    const size = Math.min(BLOCK, count - start);
    let least = Number.POSITIVE_INFINITY;
    for (let i = 0; i < size; i++) {
      const delta = values[start + i]! - values[start + i - 1]!;
      deltas[i] = delta;
      if (delta < least) least = delta;
    }
    for (let mini = 0; mini < MINIBLOCKS; mini++) {
      let most = 0;
      for (let i = mini * MINIBLOCK; i < (mini + 1) * MINIBLOCK; i++) {
        const above = i < size ? deltas[i]! - least : 0;
        deltas[i] = above;
        if (above > most) most = above;
      }
      widths[mini] = bitsOf(most);
    }
    into.zigzag(least);
    for (const width of widths) into.byte(width);
    for (let mini = 0; mini < MINIBLOCKS; mini++) into.pack(deltas, mini * MINIBLOCK, MINIBLOCK, widths[mini]!);
  }
}

/** A repeat that is shorter goes into the packed values around it. */
const SHORTEST_REPEAT = 8;

/**
 * The hybrid of repeats and bit packing that indices of a dictionary page's values come in, behind its width.
 *
 * @param indices integers from 0 to size − 1  @param size of the dictionary
 */
export function encodeIndices(indices: Int32Array, size: number, into: BitWriter): void {
  const width = bitsOf(Math.max(0, size - 1));
  into.byte(width);
  const count = indices.length;
  let at = 0;
  let packed = 0; // first value that is not written yet; `at` is a multiple of 8 values behind it
  const flush = (end: number) => {
    const groups = Math.ceil((end - packed) / 8);
    if (groups === 0) return;
    into.varint(2 * groups + 1);
    const whole = Math.min(groups * 8, count - packed);
    if (whole === groups * 8) into.pack(indices, packed, whole, width);
    else {
      const padded = new Int32Array(groups * 8);
      padded.set(indices.subarray(packed, packed + whole));
      into.pack(padded, 0, padded.length, width);
    }
  };
  while (at < count) {
    let end = at + 1;
    while (end < count && indices[end] === indices[at]) end += 1;
    if (end - at >= SHORTEST_REPEAT) {
      flush(at);
      into.varint(2 * (end - at));
      into.littleEndian(indices[at]!, (width + 7) >> 3);
      at = end;
      packed = end;
    } else at = Math.min(count, at + 8);
  }
  flush(count);
}

/** Bits that a value needs, 0 for 0. @param value an integer from 0 to 2^53 − 1 */
function bitsOf(value: number): number {
  if (value < 0x1_0000_0000) return 32 - Math.clz32(value);
  return 64 - Math.clz32(Math.floor(value / 0x1_0000_0000));
}
