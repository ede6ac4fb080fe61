/**
 * Philox4x32-10 (Salmon et al. 2011), a counter-based generator: draw n of stream s under a seed is a pure function of
 * (seed, s, n), so any row's or step's draw can be computed alone and order of evaluation does not matter.
 * Also a seeded permutation of 0..n-1 that is computed an index at a time.
 */
import { createHash } from "node:crypto";

export const RNG_NAME = "philox4x32-10";

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

/** The key of a stream: the first 8 bytes, little-endian, of the SHA-256 of `seed/name`. */
export function streamKey(seed: number, name: string): [k0: number, k1: number] {
  const digest = createHash("sha256").update(`${seed}/${name}`).digest();
  return [digest.readInt32LE(0), digest.readInt32LE(4)];
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
    [this.#k0, this.#k1] = streamKey(seed, name);
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
 * A bijection on 0..size-1 that is evaluated an index at a time, without a table: a balanced Feistel network of
 * eight Philox rounds on the next even number of bits, cycle-walked back into the range.
 */
export class Permutation {
  readonly size: number;
  readonly #halfBits: number;
  readonly #mask: number;
  readonly #k0: number;
  readonly #k1: number;
  readonly #block = new Uint32Array(4);

  /** @param size a safe integer from 0 to 2^52 */
  constructor(size: number, k0: number, k1: number) {
    this.size = size;
    let halfBits = 1;
    while (4 ** halfBits < size) halfBits += 1; // not by a logarithm, which rounds 2^50 + 1 down to 2^50
    this.#halfBits = halfBits;
    this.#mask = 2 ** halfBits - 1;
    this.#k0 = k0;
    this.#k1 = k1;
  }

  /** Image of `index`. */
  at(index: number): number {
    if (!(index >= 0 && index < this.size))
      throw new RangeError(`permutation index ${index} is outside 0..${this.size - 1}`);
    const base = 2 ** this.#halfBits;
    let value = index;
    do {
      let left = Math.floor(value / base);
      let right = value % base;
      for (let round = 0; round < 8; round++) {
        philox(this.#block, right, round, 2, 0, this.#k0, this.#k1);
        const next = (left ^ this.#block[0]!) & this.#mask;
        left = right;
        right = next;
      }
      value = left * base + right;
    } while (value >= this.size);
    return value;
  }
}
