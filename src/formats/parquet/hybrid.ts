/**
 * Parquet's RLE / bit-packing hybrid: definition levels and dictionary indices. Fills a typed array of known length;
 * a run that goes on beyond it is cut, one that the bytes cannot hold is an error.
 */

/** @param width bits of a value, 0 to 32 @throws RangeError where the bytes end early */
export function decodeHybrid(bytes: Uint8Array, width: number, output: Int32Array): void {
  if (width > 32) throw new RangeError(`a bit width of ${width}`);
  const mask = width === 32 ? -1 : (1 << width) - 1;
  const valueBytes = (width + 7) >> 3;
  let at = 0;
  let to = 0;
  while (to < output.length) {
    let header = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++];
      if (byte === undefined || shift > 28) throw new RangeError("levels or indices end early");
      header |= (byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
    header >>>= 0;
    if (header & 1) {
      const count = Math.min((header >>> 1) * 8, output.length - to);
      const end = at + (header >>> 1) * width;
      if (at + Math.ceil((count * width) / 8) > bytes.length) throw new RangeError("levels or indices end early");
      unpackBits(bytes, at, width, mask, output, to, count);
      at = end;
      to += count;
    } else {
      let value = 0;
      for (let i = 0; i < valueBytes; i++) {
        const byte = bytes[at++];
        if (byte === undefined) throw new RangeError("levels or indices end early");
        value |= byte << (8 * i);
      }
      const end = Math.min(output.length, to + (header >>> 1));
      if (end === to) continue; // an empty run is legal, and DuckDB writes some
      output.fill(value, to, end);
      to = end;
    }
  }
}

function unpackBits(
  bytes: Uint8Array,
  start: number,
  width: number,
  mask: number,
  output: Int32Array,
  to: number,
  count: number,
): void {
  let byte = start;
  let shift = 0; // bits of bytes[byte] that are taken
  for (let i = 0; i < count; i++) {
    let value = bytes[byte]! >>> shift;
    for (let have = 8 - shift, next = byte + 1; have < width; have += 8) value |= bytes[next++]! << have;
    output[to + i] = value & mask;
    shift += width;
    byte += shift >>> 3;
    shift &= 7;
  }
}
