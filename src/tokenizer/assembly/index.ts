// Exact byte-pair tokenization of UTF-8 bytes: what the host calls. The host writes the class table and the vocabulary
// once, then for every call reserves a work area, writes valid UTF-8 into it, and reads counts or ids out of it.
import { countPieces, initCache } from "./cache";
import { COUNTS, IDS, INPUT, OFFSETS } from "./memory";
import { initModel, tokenize } from "./model";
import { PIECES, findPieces, initPieces } from "./pieces";
import { setPattern } from "./split";
import { TOKENS } from "./tokens";

export { allocClasses } from "./classes";
export { allocByteTokens, indexAdjacent, indexCharacters } from "./characters";
export { allocByteCharacters, allocLevels, allocPrograms, allocSetBits, allocSetPages, hasGivenUp } from "./matcher";
export { reserve } from "./memory";
export { allocScores, indexUnigram } from "./unigram";
export {
  addMerges,
  addTokens,
  allocMerges,
  allocTokenEnds,
  allocVocabulary,
  indexBytePairs,
  indexMerges,
  indexTokens,
} from "./vocabulary";
export { allocBoundaries, allocPrefix, indexWordPieces, indexWords } from "./words";

/** Once, after the vocabulary. */
export function start(model: i32, family: i32, maxDigits: u32, bareWords: bool): void {
  setPattern(family, maxDigits, bareWords);
  initPieces();
  initModel(model);
  initCache();
}

export function input(): usize {
  return INPUT;
}
export function offsets(): usize {
  return OFFSETS;
}
export function counts(): usize {
  return COUNTS;
}
export function ids(): usize {
  return IDS;
}

/** Tokens of each of the documents at `input`, bounded by the u32 `offsets`, into `counts`. */
export function countDocuments(documents: u32): void {
  for (let i: u32 = 0; i < documents; i++) {
    const bounds = OFFSETS + (i << 2);
    store<u32>(COUNTS + (i << 2), countText(INPUT + load<u32>(bounds), INPUT + load<u32>(bounds, 4)));
  }
}

function countText(p: usize, end: usize): u32 {
  let total: u32 = 0;
  while (p < end) {
    const pieces = findPieces(p, end);
    total += countPieces(pieces);
    p = piece(pieces);
  }
  return total;
}

/** Writes the ids of the `bytes` bytes at `input` to `ids`; returns how many. */
export function encodeText(bytes: u32): u32 {
  let p = INPUT;
  const end = p + bytes;
  let out = IDS;
  while (p < end) {
    const pieces = findPieces(p, end);
    for (let i: u32 = 0; i < pieces; i++) {
      p = piece(i);
      const count = tokenize(p, <u32>(piece(i + 1) - p));
      if (count == 1) store<u32>(out, load<u32>(TOKENS));
      else memory.copy(out, TOKENS, (<usize>count) << 2);
      out += (<usize>count) << 2;
    }
    p = piece(pieces);
  }
  return <u32>((out - IDS) >> 2);
}

/** Where the i-th of the pieces found last begins. */
// @ts-ignore: decorator
@inline
function piece(i: u32): usize {
  return load<u32>(PIECES + ((<usize>i) << 2));
}
