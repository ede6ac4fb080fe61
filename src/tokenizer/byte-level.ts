/**
 * GPT-2's byte alphabet: in a byte-level tokenizer.json each byte is written as one printable character. Turns such a
 * model into a flat vocabulary with its list of merges.
 */
import { mergeIds } from "./merge-list.ts";
import type { TokenTable } from "./token-table.ts";
import type { BpeModel } from "./tokenizer-json.ts";
import type { Vocabulary } from "./vocabulary.ts";
import { byId } from "./vocabulary.ts";

/** Character of each byte: printable Latin-1 stands for itself, the others for U+0100 onwards in order. */
export const BYTE_CHARACTERS: readonly string[] = (() => {
  const characters: string[] = [];
  let next = 0x100;
  for (let byte = 0; byte < 256; byte++) {
    const printable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
    characters.push(String.fromCharCode(printable ? byte : next++));
  }
  return characters;
})();

const BYTE_OF_CODE = (() => {
  const bytes = new Int16Array(0x180).fill(-1);
  BYTE_CHARACTERS.forEach((character, byte) => {
    bytes[character.charCodeAt(0)] = byte;
  });
  return bytes;
})();

/** Decodes the token bytes[start..end] to `out` at `to`: how many bytes, or −1 if a character is not of the alphabet. */
function decodeToken(bytes: Uint8Array, start: number, end: number, out: Uint8Array, to: number): number {
  let size = 0;
  for (let at = start; at < end; ) {
    const lead = bytes[at]!;
    const code = lead < 0x80 ? lead : lead < 0xe0 ? ((lead & 31) << 6) | (bytes[at + 1]! & 63) : BYTE_OF_CODE.length;
    const byte = BYTE_OF_CODE[code] ?? -1;
    if (byte < 0) return -1;
    out[to + size++] = byte;
    at += lead < 0x80 ? 1 : 2;
  }
  return size;
}

/** The token's bytes; undefined for a token that has a character outside the alphabet, so text never becomes it. */
export function tokenBytes(token: string): Uint8Array | undefined {
  const written = Buffer.from(token, "utf8");
  const out = new Uint8Array(written.length);
  const size = decodeToken(written, 0, written.length, out, 0);
  return size < 0 ? undefined : out.subarray(0, size);
}

/** Whether no byte of valid UTF-8 can be unknown to the model. */
export function hasAllBytes(vocab: TokenTable): boolean {
  return BYTE_CHARACTERS.every((character, byte) => {
    const isInUtf8 = byte !== 0xc0 && byte !== 0xc1 && byte < 0xf5;
    return !isInUtf8 || vocab.idOf(character) !== undefined;
  });
}

/** @throws DoremiError bad-tokenizer where a merge has no token */
export function byteLevelVocabulary({ vocab, merges, ignore_merges }: BpeModel, path: string): Vocabulary {
  const { bytes, ends } = byId(vocab, decodeToken);
  const reachable = (id: number) => ends[id + 1]! > ends[id]!;
  // a merge of characters outside the alphabet never applies
  return { bytes, ends, merges: mergeIds(vocab, merges, reachable, path), wholePieces: ignore_merges === true };
}
