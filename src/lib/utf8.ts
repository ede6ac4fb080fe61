/**
 * Text that is not valid UTF-8: each maximal invalid subsequence becomes U+FFFD, as the WHATWG decoder has it, but from
 * bytes to bytes. Valid text, nearly all there is, is only checked.
 */
import { isUtf8 } from "node:buffer";

const REPLACEMENT = [0xef, 0xbf, 0xbd] as const;

/** Whether every document bytes[offsets[i]..offsets[i + 1]] is valid alone. */
export function allValid(bytes: Uint8Array, offsets: Uint32Array): boolean {
  const start = offsets[0]!;
  const end = offsets[offsets.length - 1]!;
  if (!isUtf8(bytes.subarray(start, end))) return false;
  // the whole is valid; a document alone is not only if a boundary cuts a character
  for (let i = 1; i < offsets.length - 1; i++) {
    const at = offsets[i]!;
    if (at < end && (bytes[at]! & 0xc0) === 0x80) return false;
  }
  return true;
}

/** The bytes themselves if they are valid, else a copy with U+FFFD for each maximal invalid subsequence. */
export function toValidUtf8(bytes: Uint8Array): Uint8Array {
  if (isUtf8(bytes)) return bytes;
  const out = new Uint8Array(sizeWithReplacements(bytes));
  let to = 0;
  let from = 0;
  while (from < bytes.length) {
    const length = sequenceLength(bytes, from);
    if (length > 0) {
      for (let i = 0; i < length; i++) out[to++] = bytes[from + i]!;
      from += length;
    } else {
      for (const byte of REPLACEMENT) out[to++] = byte;
      from -= length;
    }
  }
  return out;
}

function sizeWithReplacements(bytes: Uint8Array): number {
  let size = 0;
  for (let from = 0; from < bytes.length; ) {
    const length = sequenceLength(bytes, from);
    size += length > 0 ? length : REPLACEMENT.length;
    from += Math.abs(length);
  }
  return size;
}

/** Bytes of the well-formed sequence at `at`, or minus the bytes of the maximal subpart that is replaced. */
function sequenceLength(bytes: Uint8Array, at: number): number {
  const lead = bytes[at]!;
  if (lead < 0x80) return 1;
  const length =
    lead >= 0xc2 && lead < 0xe0 ? 2 : lead >= 0xe0 && lead < 0xf0 ? 3 : lead >= 0xf0 && lead < 0xf5 ? 4 : 0;
  if (length === 0) return -1;
  // the second byte excludes overlong forms, surrogates and values above U+10FFFF
  const low = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80;
  const high = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf;
  for (let i = 1; i < length; i++) {
    const byte = bytes[at + i];
    if (byte === undefined || byte < (i === 1 ? low : 0x80) || byte > (i === 1 ? high : 0xbf)) return -i;
  }
  return length;
}
