/**
 * GPT-2's byte alphabet: in a byte-level tokenizer.json each byte is written as one printable character. Turns such a
 * model into a flat vocabulary with its list of merges.
 */
import { DoremiError } from "../lib/errors.ts";
import type { BpeModel } from "./tokenizer-json.ts";
import { mergePair } from "./tokenizer-json.ts";
import type { Vocabulary } from "./vocabulary.ts";
import { flatten } from "./vocabulary.ts";

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

/** The token's bytes; undefined for a token that has a character outside the alphabet, so text never becomes it. */
export function tokenBytes(token: string): Uint8Array | undefined {
  const bytes = new Uint8Array(token.length);
  for (let i = 0; i < token.length; i++) {
    const byte = BYTE_OF_CODE[token.charCodeAt(i)] ?? -1;
    if (byte < 0) return undefined;
    bytes[i] = byte;
  }
  return bytes;
}

/** Whether no byte can be unknown to the model. */
export function hasAllBytes(model: BpeModel): boolean {
  return BYTE_CHARACTERS.every((character) => Object.hasOwn(model.vocab, character));
}

/** @throws DoremiError bad-tokenizer where a merge has no token */
export function byteLevelVocabulary(model: BpeModel, path: string): Vocabulary {
  const tokens: (Uint8Array | undefined)[] = [];
  for (const [token, id] of Object.entries(model.vocab)) {
    while (tokens.length <= id) tokens.push(undefined);
    tokens[id] = tokenBytes(token);
  }
  const idOf = (token: string): number | undefined => {
    const id: unknown = model.vocab[token]; // an inherited member is no token
    return typeof id === "number" ? id : undefined;
  };
  const merges = new Uint32Array(model.merges.length * 3);
  let kept = 0;
  for (let i = 0; i < model.merges.length; i++) {
    const [left, right] = mergePair(model.merges[i]!);
    const triple = [idOf(left), idOf(right), idOf(left + right)];
    const missing = triple.indexOf(undefined);
    if (missing >= 0) {
      throw new DoremiError(
        "bad-data",
        "bad-tokenizer",
        `${path}: every merge needs its parts and its result in model.vocab; merges[${i}] lacks ` +
          `${JSON.stringify([left, right, left + right][missing])}; save the tokenizer again`,
        { file: path },
      );
    }
    // a merge of characters outside the alphabet never applies; leaving it out keeps the others' order
    if (triple.some((id) => tokens[id!] === undefined)) continue;
    merges.set(triple as number[], 3 * kept++);
  }
  return { ...flatten(tokens), merges: merges.subarray(0, 3 * kept), wholePieces: model.ignore_merges === true };
}
