/**
 * The frozen table of Unicode classes that the counter splits text by, as pages for its memory. The running engine's
 * own \p{…} is never asked: it follows the Unicode version that Node was built with, and counts would change with it.
 */
import { UNICODE_RUNS } from "./unicode-table.ts";

const SCALARS = 0x110000;
export const PAGE_NUMBERS = SCALARS >> 8;

/** Class byte of every code point. */
export function unicodeClasses(): Uint8Array {
  return decodeRuns(UNICODE_RUNS);
}

/** A generated table's byte for every code point. */
export function decodeRuns(base64: string): Uint8Array {
  const runs = Buffer.from(base64, "base64");
  const classes = new Uint8Array(SCALARS);
  let at = 0;
  let codePoint = 0;
  while (at < runs.length) {
    const bits = runs[at++]!;
    let length = 0;
    let byte: number;
    let shift = 0;
    do {
      byte = runs[at++]!;
      length |= (byte & 127) << shift;
      shift += 7;
    } while (byte & 128);
    if (bits !== 0) classes.fill(bits, codePoint, codePoint + length);
    codePoint += length;
  }
  return classes;
}

/** PAGE_NUMBERS bytes that number the page of each 256 code points, then the distinct pages of 256 bytes. */
export function unicodePages(classes = unicodeClasses()): Uint8Array {
  const numbers = new Uint8Array(PAGE_NUMBERS);
  const pages: Uint8Array[] = [];
  const seen = new Map<string, number>();
  for (let i = 0; i < PAGE_NUMBERS; i++) {
    const page = classes.subarray(i << 8, (i + 1) << 8);
    const key = Buffer.from(page.buffer, page.byteOffset, page.byteLength).toString("latin1");
    let number = seen.get(key);
    if (number === undefined) {
      number = pages.push(page) - 1;
      seen.set(key, number);
    }
    numbers[i] = number;
  }
  return Buffer.concat([numbers, ...pages]);
}
