/** Frozen properties of characters, as Hugging Face's normalizers and pre-tokenizers see them, from the generated table. */
import { decodeRuns } from "../unicode-classes.ts";
import { CHARACTER_RUNS, LOWERCASE_RUNS } from "./tables.ts";

/** Bits of `characterClasses`. */
export const COMBINING_MARK = 1;
export const NONSPACING_MARK = 2;
/** What BertNormalizer takes out: control and format characters, U+0000, U+FFFD, and what an old Unicode had not assigned. */
export const CONTROL = 4;
export const PUNCTUATION = 8;
export const NUMERIC = 16;
export const WORD = 32;
export const WHITE_SPACE = 64;
/** Takes no part in normal forms, though the Unicode of the running engine may know better. */
export const INERT = 128;

let classes: Uint8Array | undefined;

/** Class byte of every code point. */
export function characterClasses(): Uint8Array {
  classes ??= decodeRuns(CHARACTER_RUNS);
  return classes;
}

/** Scalar value and its lower case, for every character that has another one of one character (U+0130 has two). */
export function* lowercasePairs(): Generator<readonly [number, number]> {
  const runs = Buffer.from(LOWERCASE_RUNS, "base64");
  let at = 0;
  const next = (): number => {
    let value = 0;
    let byte: number;
    let shift = 0;
    do {
      byte = runs[at++]!;
      value |= (byte & 127) << shift;
      shift += 7;
    } while (byte & 128);
    return value;
  };
  let first = 0;
  while (at < runs.length) {
    first += next();
    const step = next();
    const count = next();
    const distance = next();
    const delta = distance & 1 ? -(distance + 1) / 2 : distance / 2;
    for (let i = 0; i < count; i++) yield [first + i * step, first + i * step + delta];
  }
}

/** A regular expression for runs of characters that have the bit, with the flags u and g. */
export function characterPattern(bit: number): RegExp {
  const all = characterClasses();
  const ranges: string[] = [];
  for (let first = 0; first < all.length; first++) {
    if ((all[first]! & bit) === 0) continue;
    let last = first;
    while (last + 1 < all.length && (all[last + 1]! & bit) !== 0) last++;
    ranges.push(`\\u{${first.toString(16)}}-\\u{${last.toString(16)}}`);
    first = last;
  }
  return new RegExp(`[${ranges.join("")}]+`, "gu");
}
