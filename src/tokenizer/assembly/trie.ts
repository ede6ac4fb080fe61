// Tokens by their bytes, one byte after the other: a node is a prefix of tokens, and a hash table of (node, byte) leads
// to the next. Built once; there may be several roots.
import { NONE, alloc, unallocated } from "./memory";

/** Nodes, root included, stay below this: a key is a node and a byte. */
const MAX_NODES: u32 = 1 << 24;
/** In what leads to a node: a token ends there. */
const ENDS: u32 = 0x80000000;

/** The first root; 0 is no node. */
export const ROOT: u32 = 1;

let TABLE: usize = 0; // u64: key, then node; open addressing, 0 where free
let shift: u32 = 0;
let NODE_IDS: usize = 0; // u32[nodes]: id of the token that ends in the node
let nodes: u32 = 0;
let counting: bool = false;

/** Before the tokens are counted. @param bytes of all tokens that will be put in @param roots how many */
export function startCounting(bytes: u32, roots: u32): void {
  counting = true;
  TABLE = unallocated(tableBytes(bytes));
  nodes = ROOT + roots;
}

/** After counting: the same tokens are put in once more, in the same order. */
export function startBuilding(roots: u32): void {
  if (nodes >= MAX_NODES) unreachable();
  memory.fill(TABLE, 0, <usize>8 << (32 - shift)); // as unallocated memory must be
  counting = false;
  TABLE = alloc(tableBytes(nodes));
  NODE_IDS = alloc(<u64>nodes * 4);
  nodes = ROOT + roots;
}

/** Bytes of a table that is at most half full; sets its `shift`. */
function tableBytes(entries: u32): u64 {
  let bits: u32 = 8;
  while (((<u64>1) << bits) < (<u64>entries) * 2) bits++;
  shift = 32 - bits;
  return (<u64>8) << bits;
}

export function put(root: u32, p: usize, n: u32, id: u32): void {
  let node = root;
  let entry: usize = 0;
  for (let i: u32 = 0; i < n; i++) {
    const key = (node << 8) | <u32>load<u8>(p + i);
    entry = slot(key);
    if (load<u32>(entry) == 0) {
      store<u32>(entry, key);
      store<u32>(entry, nodes++, 4);
    }
    node = load<u32>(entry, 4) & ~ENDS;
  }
  if (counting || n == 0) return;
  store<u32>(entry, node | ENDS, 4);
  store<u32>(NODE_IDS + ((<usize>node) << 2), id);
}

/** Where the key is, or the free place that it would have. */
// @ts-ignore: decorator
@inline
function slot(key: u32): usize {
  let at = (key * <u32>0x9e3779b1) >> shift;
  while (true) {
    const entry = TABLE + ((<usize>at) << 3);
    const found = load<u32>(entry);
    if (found == key || found == 0) return entry;
    at = (at + 1) & ((1 << (32 - shift)) - 1);
  }
}

/** Where the byte leads from the node: a node, perhaps with the mark of `ends`, or 0. */
// @ts-ignore: decorator
@inline
export function step(node: u32, byte: u32): u32 {
  return load<u32>(slot((node << 8) | byte), 4);
}

// @ts-ignore: decorator
@inline
export function ends(stepped: u32): bool {
  return (stepped & ENDS) != 0;
}

// @ts-ignore: decorator
@inline
export function nodeOf(stepped: u32): u32 {
  return stepped & ~ENDS;
}

/** Id of the token that ends in a node of which `ends` is true. */
// @ts-ignore: decorator
@inline
export function idAt(node: u32): u32 {
  return load<u32>(NODE_IDS + ((<usize>node) << 2));
}

/** Id of the token of these bytes, or NONE. */
export function findFrom(root: u32, p: usize, n: u32): u32 {
  let stepped = root;
  for (let i: u32 = 0; i < n; i++) {
    stepped = step(nodeOf(stepped), load<u8>(p + i));
    if (stepped == 0) return NONE;
  }
  return ends(stepped) ? idAt(nodeOf(stepped)) : NONE;
}
