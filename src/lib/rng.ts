/**
 * Philox4x32-10 (Salmon et al. 2011), a counter-based generator: draw n of stream s under a seed is a pure function of
 * (seed, s, n), so any row's or step's draw can be computed alone and order of evaluation does not matter.
 * Also a seeded permutation of 0..n−1 that is computed an index at a time.
 */
import { createHash } from "node:crypto";

/** The generator and the permutation: what a manifest names, so that others can compute its choices anew. */
export const RNG_NAME = "philox4x32-10+feistel8-lowbias32";

/** Even, since two make a whole turn. */
const PERMUTATION_ROUNDS = 8;

const LARGEST_TABLE = 256;

const M0 = 0xd2511f53;
const M1 = 0xcd9e8d57;
const W0 = 0x9e3779b9;
const W1 = 0xbb67ae85;

/** High and low 32 bits of a·b for unsigned 32-bit a, b; the low half is Math.imul. */
function mulHigh(a: number, b: number): number {
  const aHigh = a >>> 16;
  const aLow = a & 0xffff;
  const bHigh = b >>> 16;
  const bLow = b & 0xffff;
  const low = aLow * bLow;
  const middle = aHigh * bLow + (low >>> 16);
  const middle2 = aLow * bHigh + (middle & 0xffff);
  return (aHigh * bHigh + Math.floor(middle / 0x10000) + (middle2 >>> 16)) >>> 0;
}

/** One Philox4x32-10 block: four 32-bit words from a 128-bit counter and a 64-bit key. Writes into `out`. */
export function philox(out: Uint32Array, c0: number, c1: number, c2: number, c3: number, k0: number, k1: number): void {
  for (let round = 0; round < 10; round++) {
    const high0 = mulHigh(M0, c0 >>> 0);
    const low0 = Math.imul(M0, c0);
    const high1 = mulHigh(M1, c2 >>> 0);
    const low1 = Math.imul(M1, c2);
    const n0 = high1 ^ c1 ^ k0;
    const n2 = high0 ^ c3 ^ k1;
    c0 = n0;
    c1 = low1;
    c2 = n2;
    c3 = low0;
    k0 = (k0 + W0) | 0;
    k1 = (k1 + W1) | 0;
  }
  out[0] = c0;
  out[1] = c1;
  out[2] = c2;
  out[3] = c3;
}

/** A named stream of draws under a seed. The same (seed, name, index) gives the same value everywhere. */
export class Rng {
  readonly #k0: number;
  readonly #k1: number;
  readonly #block = new Uint32Array(4);
  readonly #seed: number;
  readonly #name: string;

  /** @param seed a safe integer ≥ 0  @param name what the stream is for, such as "proxy/domain" */
  constructor(seed: number, name: string) {
    this.#seed = seed;
    this.#name = name;
    const digest = createHash("sha256").update(`${seed}/${name}`).digest();
    this.#k0 = digest.readInt32LE(0);
    this.#k1 = digest.readInt32LE(4);
  }

  /** A stream under this one: `rng.fork("books")`. */
  fork(name: string | number): Rng {
    return new Rng(this.#seed, `${this.#name}/${name}`);
  }

  /** Uniform 32-bit unsigned integer at `index` (a safe integer ≥ 0). */
  uint32(index: number): number {
    philox(this.#block, index >>> 0, Math.floor(index / 0x1_0000_0000) >>> 0, 0, 0, this.#k0, this.#k1);
    return this.#block[0]!;
  }

  /** Uniform in [0, 1) with 53 bits, at `index`. */
  uniform(index: number): number {
    philox(this.#block, index >>> 0, Math.floor(index / 0x1_0000_0000) >>> 0, 0, 0, this.#k0, this.#k1);
    return ((this.#block[0]! >>> 5) * 0x400_0000 + (this.#block[1]! >>> 6)) / 0x20_0000_0000_0000;
  }

  /** Two independent standard normals at `index` (Box–Muller), written to `out[at]` and `out[at + 1]`. */
  normalPair(index: number, out: Float32Array | Float64Array, at: number): void {
    philox(this.#block, index >>> 0, Math.floor(index / 0x1_0000_0000) >>> 0, 1, 0, this.#k0, this.#k1);
    const radius = Math.sqrt(-2 * Math.log((this.#block[0]! + 1) / 0x1_0000_0000));
    const angle = (2 * Math.PI * this.#block[1]!) / 0x1_0000_0000;
    out[at] = radius * Math.cos(angle);
    if (at + 1 < out.length) out[at + 1] = radius * Math.sin(angle);
  }

  /** Index drawn from the distribution (non-negative, any positive sum), at `index`. */
  categorical(weights: ArrayLike<number>, index: number): number {
    let sum = 0;
    for (let i = 0; i < weights.length; i++) sum += weights[i]!;
    let left = this.uniform(index) * sum;
    let last = 0;
    for (let i = 0; i < weights.length; i++) {
      const weight = weights[i]!;
      if (weight <= 0) continue;
      last = i;
      left -= weight;
      if (left < 0) return i;
    }
    return last;
  }

  /** A pseudo-random permutation of 0..size-1 under this stream. */
  permutation(size: number): Permutation {
    return new Permutation(size, this.#k0, this.#k1);
  }
}

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
export class Permutation {
  readonly size: number;
  readonly #table: SmallPermutation | null;
  readonly #a: number;
  readonly #b: number;
  readonly #keys = new Int32Array(2 * PERMUTATION_ROUNDS); // p_0 q_0 p_1 q_1 …

  /** @param size a safe integer from 0 to 2^52 */
  constructor(size: number, k0: number, k1: number) {
    this.size = size;
    this.#table = size <= LARGEST_TABLE ? shuffled(size, k0, k1) : null;
    let a = Math.ceil(Math.sqrt(size)); // the root is exact but for its last bit
    while (a > 1 && (a - 1) * (a - 1) >= size) a -= 1;
    while (a * a < size) a += 1;
    this.#a = a;
    this.#b = Math.ceil(size / Math.max(1, a));
    const block = new Uint32Array(4);
    for (let i = 0; i < PERMUTATION_ROUNDS / 2; i++) {
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
      for (let i = 0; i < 2 * PERMUTATION_ROUNDS; i += 4) {
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
      for (let i = 2 * PERMUTATION_ROUNDS - 4; i >= 0; i -= 4) {
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
