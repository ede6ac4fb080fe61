/**
 * The permutation that selections choose and shuffle by: made for hundreds of millions of calls, in both directions, and
 * simple enough to be written anew in any language (test/files/permutation does so in Python). Held-out documents and
 * the batches of trainings are drawn by Rng.permutation, which is many times slower and whose orders are in the bytes of models.
 */
import { philox, RNG_NAME, streamKey } from "./rng.ts";

/** What a manifest names, so that others can compute its choices anew. */
export const SELECTION_RNG = `${RNG_NAME}+feistel8-lowbias32`;

/** Even, since two make a whole turn. */
const ROUNDS = 8;

const LARGEST_TABLE = 256;

/**
 * A bijection on 0..size−1 that is evaluated an index at a time in both directions.
 *
 * Above 256 it needs no table: a Feistel network over Z_a × Z_b with a = ⌈√size⌉ and b = ⌈size ÷ a⌉ (Black and Rogaway
 * 2002), walked on from where it leaves the range, which happens to fewer than 1 in b. An index is l·b + r. Eight rounds,
 * in turn
 *
 *     l ← (l + ⌊a · F_i(r) ÷ 2^32⌋) mod a        i = 0, 2, 4, 6
 *     r ← (r + ⌊b · F_i(l) ÷ 2^32⌋) mod b        i = 1, 3, 5, 7
 *
 * where F_i is the integer hash lowbias32 (Wellons) with two key words, on 32 bits: x ⊕ p_i; x ⊕ x>>>16; · 0x7feb352d;
 * x ⊕ x>>>15 ⊕ q_i; · 0x846ca68b; x ⊕ x>>>16. The words p_0 q_0 p_1 q_1 are Philox4x32-10 of the stream's key and the
 * counter (0, 0, 2, 0), the next four of (1, 0, 2, 0), and so on.
 *
 * Up to 256, where such a network reaches only some of the orders, it is the shuffle of Fisher and Yates: for i from
 * size − 1 down to 1, places i and ⌊(i + 1) · u_i ÷ 2^32⌋ change, u_i the first word of counter (i, 0, 3, 0).
 */
export class FeistelPermutation {
  readonly size: number;
  readonly #table: SmallPermutation | null;
  readonly #a: number;
  readonly #b: number;
  readonly #keys = new Int32Array(2 * ROUNDS); // p_0 q_0 p_1 q_1 …

  /** @param size a safe integer from 0 to 2^52  @param seed, stream as for Rng: the key is the same */
  constructor(size: number, seed: number, stream: string) {
    const [k0, k1] = streamKey(seed, stream);
    this.size = size;
    this.#table = size <= LARGEST_TABLE ? shuffled(size, k0, k1) : null;
    let a = Math.ceil(Math.sqrt(size)); // the root is exact but for its last bit
    while (a > 1 && (a - 1) * (a - 1) >= size) a -= 1;
    while (a * a < size) a += 1;
    this.#a = a;
    this.#b = Math.ceil(size / Math.max(1, a));
    const block = new Uint32Array(4);
    for (let i = 0; i < ROUNDS / 2; i++) {
      philox(block, i, 0, 2, 0, k0, k1);
      this.#keys.set(block, 4 * i);
    }
  }

  /** Image of `index`. */
  at(index: number): number {
    this.#check(index);
    if (this.#table) return this.#table.images[index]!;
    const a = this.#a;
    const b = this.#b;
    const keys = this.#keys;
    let value = index;
    do {
      let l = Math.floor(value / b) | 0;
      let r = (value - l * b) | 0;
      for (let i = 0; i < 2 * ROUNDS; i += 4) {
        l += below(a, r, keys[i]!, keys[i + 1]!);
        if (l >= a) l -= a;
        r += below(b, l, keys[i + 2]!, keys[i + 3]!);
        if (r >= b) r -= b;
      }
      value = l * b + r;
    } while (value >= this.size);
    return value;
  }

  /** The index whose image is `value`: the inverse of `at`. */
  indexOf(value: number): number {
    this.#check(value);
    if (this.#table) return this.#table.indices[value]!;
    const a = this.#a;
    const b = this.#b;
    const keys = this.#keys;
    let index = value;
    do {
      let l = Math.floor(index / b) | 0;
      let r = (index - l * b) | 0;
      for (let i = 2 * ROUNDS - 4; i >= 0; i -= 4) {
        r -= below(b, l, keys[i + 2]!, keys[i + 3]!);
        if (r < 0) r += b;
        l -= below(a, r, keys[i]!, keys[i + 1]!);
        if (l < 0) l += a;
      }
      index = l * b + r;
    } while (index >= this.size);
    return index;
  }

  #check(index: number): void {
    if (!(index >= 0 && index < this.size))
      throw new RangeError(`permutation index ${index} is outside 0..${this.size - 1}`);
  }
}

interface SmallPermutation {
  readonly images: Uint8Array;
  /** by image */
  readonly indices: Uint8Array;
}

function shuffled(size: number, k0: number, k1: number): SmallPermutation {
  const images = Uint8Array.from({ length: size }, (_, i) => i);
  const indices = new Uint8Array(size);
  const block = new Uint32Array(4);
  for (let i = size - 1; i > 0; i--) {
    philox(block, i, 0, 3, 0, k0, k1);
    const other = Math.floor((block[0]! * (i + 1)) / 0x1_0000_0000);
    const image = images[i]!;
    images[i] = images[other]!;
    images[other] = image;
  }
  for (const [index, image] of images.entries()) indices[image] = index;
  return { images, indices };
}

const TO_FRACTION = 1 / 0x1_0000_0000;

/** ⌊size · F(x) ÷ 2^32⌋ for size and x up to 2^26. */
function below(size: number, x: number, p: number, q: number): number {
  let hash = x ^ p;
  hash = Math.imul(hash ^ (hash >>> 16), 0x7feb352d);
  hash = Math.imul(hash ^ (hash >>> 15) ^ q, 0x846ca68b);
  hash ^= hash >>> 16;
  return ((hash >>> 0) * size * TO_FRACTION) | 0;
}
