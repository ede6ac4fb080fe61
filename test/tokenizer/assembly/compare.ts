// Compares the two ways of cutting text: by masks of a whole window, and by one rule after the other.
import { reserve as reserveAll, INPUT } from "../../../src/tokenizer/assembly/memory";
import { PIECES, findPieces, initPieces } from "../../../src/tokenizer/assembly/pieces";
import { pieceEnd, setPattern } from "../../../src/tokenizer/assembly/split";

export { allocClasses } from "../../../src/tokenizer/assembly/classes";
export { initPieces, setPattern };

export function reserve(bytes: u32): usize {
  reserveAll(bytes, 0, 0);
  return INPUT;
}

// @ts-ignore: decorator
@inline
function piece(i: u32): usize {
  return load<u32>(PIECES + ((<usize>i) << 2));
}

/** Offset of the first piece that differs, or −1; −2 where the pieces do not cover the text. */
export function firstDifference(bytes: u32): i32 {
  const end = INPUT + bytes;
  let p = INPUT;
  while (p < end) {
    const pieces = findPieces(p, end);
    if (pieces == 0) return -2;
    for (let i: u32 = 0; i < pieces; i++) {
      if (piece(i) != p || p >= end) return <i32>(p - INPUT);
      const next = pieceEnd(p, end);
      if (piece(i + 1) != next) return <i32>(p - INPUT);
      p = next;
    }
  }
  return p == end ? -1 : -2;
}
