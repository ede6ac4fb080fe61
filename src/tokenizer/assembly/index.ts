// Exact byte-pair tokenization of UTF-8 bytes: what the host calls. The host writes the class table and the vocabulary
// once, then for every call reserves a work area, writes valid UTF-8 into it, and reads counts or ids out of it.
import { SHORT_PIECE, countLong, countShort, countWaiting, initCache } from "./cache";
import { COUNTS, IDS, INPUT, OFFSETS } from "./memory";
import { MERGED, initMerge, tokenize } from "./merge";
import { asciiPiece } from "./scan";
import { pieceEnd, setPattern } from "./split";

export { allocClasses } from "./classes";
export { reserve } from "./memory";
export { allocMerges, allocTokenEnds, allocVocabulary, indexTokens, mergesFromList, mergesFromRanks } from "./vocabulary";

/** Once, after the vocabulary. */
export function start(family: i32, maxDigits: u32): void {
  setPattern(family, maxDigits);
  initMerge();
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
    const v = v128.load(p);
    let n = asciiPiece(p, end, v);
    if (n == 0) {
      n = <u32>(pieceEnd(p, end) - p);
      if (n > SHORT_PIECE) {
        total += countLong(p, n);
        p += n;
        continue;
      }
    }
    total += countShort(p, n, v);
    p += n;
  }
  return total + countWaiting();
}

/** Writes the ids of the `bytes` bytes at `input` to `ids`; returns how many. */
export function encodeText(bytes: u32): u32 {
  let p = INPUT;
  const end = p + bytes;
  let out = IDS;
  while (p < end) {
    let n = asciiPiece(p, end, v128.load(p));
    if (n == 0) n = <u32>(pieceEnd(p, end) - p);
    const count = tokenize(p, n);
    if (count == 1) store<u32>(out, load<u32>(MERGED));
    else memory.copy(out, MERGED, (<usize>count) << 2);
    out += (<usize>count) << 2;
    p += n;
  }
  return <u32>((out - IDS) >> 2);
}
