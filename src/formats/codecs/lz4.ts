/**
 * LZ4 decoding in the three wrappings that data files have: a bare block, Hadoop's frames around blocks (Parquet codec
 * id 5) and the LZ4 frame format (Arrow). Strict: the output has exactly the stated length or it is an error.
 */
import { outputOf, type PageBuffer } from "./page-buffer.ts";
import { xxh32 } from "./xxh32.ts";

const FRAME_MAGIC = 0x184d2204;
const MIN_MATCH = 4;

export function lz4Block(input: Uint8Array, length: number, buffer?: PageBuffer): Uint8Array {
  const output = outputOf(length, buffer);
  const end = decodeBlock(input, output, 0, 0);
  if (end !== length) throw new Error(`lz4: must give ${length} bytes, gave ${end}`);
  return output;
}

/**
 * Codec id 5 of Parquet: [uncompressed length, compressed length (big-endian), block]… as Hadoop writes it, or the bare
 * block that parquet-cpp wrote before 2020.
 */
export function lz4Hadoop(input: Uint8Array, length: number, buffer?: PageBuffer): Uint8Array {
  const view = new DataView(input.buffer, input.byteOffset, input.byteLength);
  const frames: { readonly start: number; readonly end: number; readonly length: number }[] = [];
  let total = 0;
  for (let at = 0; at < input.length; ) {
    if (at + 8 > input.length) return lz4Block(input, length, buffer);
    const frame = { start: at + 8, end: at + 8 + view.getUint32(at + 4), length: view.getUint32(at) };
    total += frame.length;
    if (frame.end > input.length || total > length) return lz4Block(input, length, buffer);
    frames.push(frame);
    at = frame.end;
  }
  if (total !== length) return lz4Block(input, length, buffer);
  const output = outputOf(length, buffer);
  let at = 0;
  for (const frame of frames) {
    const end = decodeBlock(input.subarray(frame.start, frame.end), output.subarray(0, at + frame.length), at, at);
    if (end !== at + frame.length) throw new Error(`lz4: must give ${frame.length} bytes, gave ${end - at}`);
    at = end;
  }
  return output;
}

/** All frames of the input; `length` is known from outside and bounds the output. */
export function lz4Frames(input: Uint8Array, length: number): Uint8Array {
  const view = new DataView(input.buffer, input.byteOffset, input.byteLength);
  const output = new Uint8Array(length);
  let written = 0;
  let at = 0;
  while (at < input.length) {
    if (view.getUint32(at, true) !== FRAME_MAGIC) throw new Error("lz4: no frame magic");
    const flags = view.getUint8(at + 4);
    if (flags >> 6 !== 1) throw new Error(`lz4: frame version must be 1, is ${flags >> 6}`);
    if (flags & 1) throw new Error("lz4: needs a dictionary");
    const [linked, blockSums, hasSize, hasSum] = [!(flags & 0x20), flags & 0x10, flags & 8, flags & 4];
    const frameStart = written;
    at += 4 + 2 + (hasSize ? 8 : 0) + 1;
    for (;;) {
      const size = view.getUint32(at, true);
      at += 4;
      if (size === 0) break;
      const end = at + (size & 0x7fff_ffff);
      if (end > input.length) throw new Error("lz4: ends inside a block");
      const block = input.subarray(at, end);
      if (size & 0x8000_0000) {
        output.set(block, written);
        written += block.length;
      } else {
        written = decodeBlock(block, output, written, linked ? frameStart : written);
      }
      at = end + (blockSums ? 4 : 0);
    }
    if (hasSum) {
      if (view.getUint32(at, true) !== xxh32(output.subarray(frameStart, written)))
        throw new Error("lz4: content checksum mismatch");
      at += 4;
    }
  }
  if (written !== length) throw new Error(`lz4: must give ${length} bytes, gave ${written}`);
  return output;
}

/**
 * One block into output from `start` on; matches may reach back to `history`.
 * @returns the position after the last byte written
 */
function decodeBlock(input: Uint8Array, output: Uint8Array, start: number, history: number): number {
  let at = 0;
  let to = start;
  while (at < input.length) {
    const token = input[at++]!;
    let literals = token >> 4;
    if (literals === 15) {
      let more = 255;
      while (more === 255) {
        if (at >= input.length) throw new Error("lz4: ends inside a length");
        more = input[at++]!;
        literals += more;
      }
    }
    if (at + literals > input.length || to + literals > output.length) throw new Error("lz4: literals beyond the end");
    if (literals <= 32) for (let i = 0; i < literals; i++) output[to + i] = input[at + i]!;
    else output.set(input.subarray(at, at + literals), to);
    at += literals;
    to += literals;
    if (at === input.length) return to;
    if (at + 2 > input.length) throw new Error("lz4: ends inside an offset");
    const offset = input[at]! | (input[at + 1]! << 8);
    at += 2;
    let match = token & 15;
    if (match === 15) {
      let more = 255;
      while (more === 255) {
        if (at >= input.length) throw new Error("lz4: ends inside a length");
        more = input[at++]!;
        match += more;
      }
    }
    match += MIN_MATCH;
    const from = to - offset;
    if (offset === 0 || from < history) throw new Error(`lz4: offset ${offset} reaches before the data`);
    if (to + match > output.length) throw new Error("lz4: a match beyond the end");
    if (offset >= match && match > 64) output.copyWithin(to, from, from + match);
    else for (let i = 0; i < match; i++) output[to + i] = output[from + i]!;
    to += match;
  }
  return to;
}
