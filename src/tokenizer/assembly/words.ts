// Words: where a piece ends by what its characters are, and WordPiece and WordLevel, which make tokens of words. White
// space that a splitter takes out stays in front of the word behind it, so that pieces lie side by side; a piece of
// nothing else has no tokens.
import { classAt, width } from "./classes";
import { NONE, SCRATCH, alloc, ensure } from "./memory";
import { setTokens } from "./tokens";
import { ROOT, ends, idAt, nodeOf, put, startBuilding, startCounting, step } from "./trie";
import { equal, find, tokenAddress, tokenCount, tokenLength } from "./vocabulary";

/** A character's kind: four bits of the class table, which is the one for words then. */
const KIND: u32 = 15;
/** The second root of the trie: tokens that go on with a word. */
const CONTINUED: u32 = ROOT + 1;

let BOUNDARIES: usize = 0; // u16[16]: bit per kind of the second character: a piece ends between
let removed: u32 = 0; // bit per kind: taken out
let PREFIX: usize = 0;
let prefixLength: u32 = 0;
let unknown: u32 = 0;
let longestWord: u32 = 0; // characters

/** Memory for sixteen rows of boundaries. @param removedKinds bit per kind of character that is taken out */
export function allocBoundaries(removedKinds: u32): usize {
  removed = removedKinds;
  BOUNDARIES = alloc(32);
  return BOUNDARIES;
}

// @ts-ignore: decorator
@inline
function kindAt(p: usize, end: usize): u32 {
  return classAt(p, end) & KIND;
}

// @ts-ignore: decorator
@inline
function isRemoved(kind: u32): bool {
  return ((removed >> kind) & 1) != 0;
}

/** Where the piece ends that begins at p < end: a word, with one removed character before it or none; or only such. */
export function wordEnd(p: usize, end: usize): usize {
  let q = p;
  let kind = kindAt(q, end);
  if (isRemoved(kind)) {
    let last = p;
    while (true) {
      q += width;
      if (q >= end) return end;
      kind = kindAt(q, end);
      if (!isRemoved(kind)) break;
      last = q;
    }
    if (last > p) return last; // the word takes no more than one
  }
  while (true) {
    q += width;
    if (q >= end) return end;
    const next = kindAt(q, end);
    if (((<u32>load<u16>(BOUNDARIES + (kind << 1)) >> next) & 1) != 0) return q;
    kind = next;
  }
}

/** Where the word of a piece begins. */
export function wordStart(p: usize, end: usize): usize {
  while (p < end && isRemoved(kindAt(p, end))) p += width;
  return p;
}

/** Where the text is to be cut next behind p: before a space. */
export function nextSpace(p: usize, end: usize): usize {
  for (let q = p + 1; q < end; q += 16) {
    const found = i8x16.bitmask(i8x16.eq(v128.load(q), i8x16.splat(32)));
    if (found) return min(end, q + <usize>ctz(found));
  }
  return end;
}

/** Memory for what stands before the text of a token that goes on with a word. */
export function allocPrefix(bytes: u32): usize {
  prefixLength = bytes;
  PREFIX = alloc(bytes);
  return PREFIX;
}

/** After the vocabulary and the prefix. @param longest characters of a word; more are unknown */
export function indexWordPieces(unknownId: u32, longest: u32): void {
  unknown = unknownId;
  longestWord = longest;
  let bytes: u32 = 0;
  for (let id: u32 = 0; id < tokenCount(); id++) bytes += tokenLength(id);
  startCounting(2 * bytes, 2);
  putAll();
  startBuilding(2);
  putAll();
}

function putAll(): void {
  for (let id: u32 = 0; id < tokenCount(); id++) {
    const p = tokenAddress(id);
    const n = tokenLength(id);
    put(ROOT, p, n, id);
    if (n > prefixLength && equal(p, PREFIX, prefixLength)) put(CONTINUED, p + prefixLength, n - prefixLength, id);
  }
}

/** WordPiece: the longest token that fits, again and again; the unknown token alone where none does somewhere. */
export function wordPieces(p: usize, n: u32): u32 {
  const end = p + n;
  const ids = SCRATCH;
  ensure(<u64>ids + ((<u64>n) << 2));
  setTokens(ids);
  let characters: u32 = 0;
  for (let q = p; q < end; q++) characters += (<u32>load<u8>(q) & 0xc0) != 0x80 ? 1 : 0;
  let to = ids;
  if (characters <= longestWord) {
    for (let q = p; q < end; to += 4) {
      let node = q == p ? ROOT : CONTINUED;
      let tokenEnd: usize = 0;
      for (let r = q; r < end; ) {
        const stepped = step(node, load<u8>(r++));
        if (stepped == 0) break;
        node = nodeOf(stepped);
        if (!ends(stepped)) continue;
        store<u32>(to, idAt(node));
        tokenEnd = r;
      }
      if (tokenEnd == 0) {
        to = ids;
        break;
      }
      q = tokenEnd;
    }
  }
  if (to > ids) return <u32>((to - ids) >> 2);
  store<u32>(ids, unknown);
  return 1;
}

/** After `indexTokens`. */
export function indexWords(unknownId: u32): void {
  unknown = unknownId;
}

/** WordLevel: the word's token, or the unknown token. */
export function wholeWord(p: usize, n: u32): u32 {
  const id = find(p, n);
  ensure(<u64>SCRATCH + 4);
  setTokens(SCRATCH);
  store<u32>(SCRATCH, id == NONE ? unknown : id);
  return 1;
}
