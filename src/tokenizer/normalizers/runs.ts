/**
 * Text that is ASCII for the most part: that by a table, and each run of other characters alone, with the ASCII before
 * it, which it may combine with. In no normal form has a character an effect beyond the next ASCII one.
 */
import type { AsciiTable } from "./character-map.ts";
import { DROPPED } from "./character-map.ts";
import { endsInPrepended } from "./graphemes.ts";
import { Output } from "./output.ts";

/** What short runs become: the same letters come again and again. */
export type KnownRuns = Map<string, Uint8Array>;

const LONGEST_KNOWN = 24;
const MOST_KNOWN = 8192;

/** @param slowly what the steps make of a text; undefined: of this text it takes all */
export function normalizeByRuns(
  table: AsciiTable,
  known: KnownRuns,
  text: Uint8Array,
  slowly: (text: Uint8Array) => Uint8Array,
): Uint8Array | undefined {
  const out = new Output(text.length + 64);
  const ascii = new Uint8Array(text.length);
  let at = 0;
  while (at < text.length) {
    let size = 0;
    let end = at;
    for (; end < text.length && text[end]! < 0x80; end++) {
      const byte = table[text[end]!]!;
      ascii[size] = byte;
      if (byte !== DROPPED) size++;
    }
    if (end === text.length) {
      out.append(ascii, 0, size);
      break;
    }
    const start = end > at ? end - 1 : end;
    if (start < end && table[text[start]!] !== DROPPED) size--;
    out.append(ascii, 0, size);
    while (end < text.length && text[end]! >= 0x80) end++;
    const run = text.subarray(start, end);
    // such a character is in one cluster with what follows
    if (end < text.length && endsInPrepended(run)) return undefined;
    const normalized = ofRun(run, known, slowly);
    out.append(normalized, 0, normalized.length);
    at = end;
  }
  return out.bytes();
}

function ofRun(run: Uint8Array, known: KnownRuns, slowly: (text: Uint8Array) => Uint8Array): Uint8Array {
  if (run.length > LONGEST_KNOWN) return slowly(run);
  const key = Buffer.from(run.buffer, run.byteOffset, run.byteLength).toString("latin1");
  let normalized = known.get(key);
  if (normalized === undefined) {
    normalized = slowly(run).slice();
    if (known.size >= MOST_KNOWN) known.clear();
    known.set(key, normalized);
  }
  return normalized;
}
