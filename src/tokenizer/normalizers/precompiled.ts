/**
 * SentencePiece's compiled normalization rules (`precompiled_charsmap`): a double-array trie from character sequences
 * to places in a list of replacements; applied to a grapheme cluster at a time, as Hugging Face's tokenizers does.
 */
import { type AsciiTable, DROPPED } from "./character-map.ts";
import { clusterEnd } from "./graphemes.ts";
import { Output } from "./output.ts";

export interface Charsmap {
  /** units of the double array (Darts-clone) */
  readonly trie: Uint32Array;
  /** replacements, each ended by a zero byte */
  readonly replacements: Uint8Array;
  /** place of the replacement of each ASCII character; −1: it stays */
  readonly places: Int32Array;
  /** the same as bytes; undefined where one becomes more than a byte */
  readonly ascii: AsciiTable | undefined;
}

/** Clusters of at least this many bytes are replaced character by character only. */
const LONG_CLUSTER = 6;
const CR = 13;

/** undefined where the base64 holds no charsmap. */
export function readCharsmap(base64: string): Charsmap | undefined {
  const file = Buffer.from(base64, "base64");
  if (file.length < 8) return undefined;
  const trieBytes = file.readUInt32LE(0);
  if (trieBytes === 0 || trieBytes % 4 !== 0 || 4 + trieBytes > file.length) return undefined;
  const trie = Uint32Array.from({ length: trieBytes / 4 }, (_, i) => file.readUInt32LE(4 + 4 * i));
  const replacements = Uint8Array.from(file.subarray(4 + trieBytes));
  const places = Int32Array.from({ length: 128 }, (_, byte) => shortestMatch({ trie }, Uint8Array.of(byte), 0, 1));
  return { trie, replacements, places, ascii: asciiBytes(places, replacements) };
}

function asciiBytes(places: Int32Array, replacements: Uint8Array): AsciiTable | undefined {
  const bytes = new Uint8Array(128);
  for (let byte = 0; byte < 128; byte++) {
    const place = places[byte]!;
    const length = place < 0 ? 1 : replacementEnd(replacements, place) - place;
    const to = place < 0 ? byte : replacements[place]!;
    if (length > 1 || to >= 0x80) return undefined;
    bytes[byte] = length === 0 ? DROPPED : to;
  }
  return bytes;
}

/** Place of the replacement for the shortest prefix of text[start..end] that has one, or −1. */
function shortestMatch({ trie }: Pick<Charsmap, "trie">, text: Uint8Array, start: number, end: number): number {
  let node = offsetOf(trie[0]!);
  for (let i = start; i < end; i++) {
    const byte = text[i]!;
    if (byte === 0) return -1;
    node ^= byte;
    const unit = trie[node];
    if (unit === undefined || (unit & 0x800000ff) >>> 0 !== byte) return -1;
    node ^= offsetOf(unit);
    if ((unit & 0x100) !== 0) return trie[node]! & 0x7fffffff;
  }
  return -1;
}

function offsetOf(unit: number): number {
  return (unit >>> 10) << ((unit & 0x200) >>> 6);
}

/** Valid UTF-8 in and out; the text itself where nothing changes. */
export function applyCharsmap(charsmap: Charsmap, text: Uint8Array): Uint8Array {
  const { places, replacements } = charsmap;
  let out: Output | undefined;
  let copied = 0;
  const replace = (start: number, end: number, place: number) => {
    out ??= new Output(text.length + 64);
    out.append(text, copied, start);
    out.append(replacements, place, replacementEnd(replacements, place));
    copied = end;
  };
  let at = 0;
  while (at < text.length) {
    const byte = text[at]!;
    const next = at + 1 < text.length ? text[at + 1]! : 0;
    if (byte < 0x80 && next < 0x80 && byte !== CR) {
      // alone in its cluster: of ASCII characters only CR and LF share one
      if (places[byte]! >= 0) replace(at, at + 1, places[byte]!);
      at++;
      continue;
    }
    const end = clusterEnd(text, at);
    if (end - at < LONG_CLUSTER) {
      // what the shortest prefix becomes stands for the whole cluster
      const place = shortestMatch(charsmap, text, at, end);
      if (place >= 0) {
        replace(at, end, place);
        at = end;
        continue;
      }
    }
    while (at < end) {
      const lead = text[at]!;
      const characterEnd = at + (lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4);
      const place = shortestMatch(charsmap, text, at, characterEnd);
      if (place >= 0) replace(at, characterEnd, place);
      at = characterEnd;
    }
  }
  if (out === undefined) return text;
  out.append(text, copied, text.length);
  return out.bytes();
}

function replacementEnd(replacements: Uint8Array, place: number): number {
  const end = replacements.indexOf(0, place);
  return end < 0 ? replacements.length : end;
}
