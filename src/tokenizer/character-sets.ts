/** Sets of characters as bits, by the frozen tables, in the form in which the counter looks them up. */
import { characterClasses, NUMERIC, PUNCTUATION } from "./normalizers/characters.ts";
import type { CharacterSet } from "./regex.ts";
import { CATEGORIES, CATEGORY_RUNS } from "./unicode-categories-table.ts";
import { decodeRuns, unicodeClasses } from "./unicode-classes.ts";

const SCALARS = 0x110000;
const PAGES = SCALARS >> 8;
/** One bit for each of 256 characters. */
const PAGE_BYTES = 32;
const NONE = new Uint8Array(PAGE_BYTES);
const ALL = new Uint8Array(PAGE_BYTES).fill(255);
/** Bits of CATEGORY_RUNS. */
const CATEGORY = 31;
const HAN = 64;
/** Bit of unicodeClasses. */
const WHITE_SPACE = 4;

interface Tables {
  readonly categories: Uint8Array;
  readonly classes: Uint8Array;
  readonly characters: Uint8Array;
  /** where runs of characters with the same properties begin */
  readonly runs: readonly number[];
}

let tables: Tables | undefined;

function loaded(): Tables {
  if (tables !== undefined) return tables;
  const categories = decodeRuns(CATEGORY_RUNS);
  const classes = unicodeClasses();
  const characters = characterClasses();
  const runs: number[] = [0];
  for (let i = 1; i < SCALARS; i++) {
    const same =
      categories[i] === categories[i - 1] && classes[i] === classes[i - 1] && characters[i] === characters[i - 1];
    if (!same) runs.push(i);
  }
  tables = { categories, classes, characters, runs };
  return tables;
}

function contains(set: CharacterSet, character: number): boolean {
  switch (set.kind) {
    case "range":
      return set.first <= character && character <= set.last;
    case "property":
      return hasProperty(set.name, character);
    case "union":
      return set.sets.some((one) => contains(one, character));
    case "intersection":
      return set.sets.every((one) => contains(one, character));
    case "not":
      return !contains(set.set, character);
  }
}

function hasProperty(name: string, character: number): boolean {
  const { categories, classes, characters } = loaded();
  switch (name) {
    case "White_Space":
      return (classes[character]! & WHITE_SPACE) !== 0;
    case "Han":
      return (categories[character]! & HAN) !== 0;
    case "numeric":
      return (characters[character]! & NUMERIC) !== 0;
    case "punctuation":
      return (characters[character]! & PUNCTUATION) !== 0;
    default:
      return CATEGORIES[categories[character]! & CATEGORY]!.startsWith(name);
  }
}

/** Where a range of the set begins or ends. */
function addBounds(set: CharacterSet, bounds: number[]): void {
  switch (set.kind) {
    case "range":
      bounds.push(set.first, set.last + 1);
      break;
    case "property":
      break;
    case "union":
    case "intersection":
      for (const one of set.sets) addBounds(one, bounds);
      break;
    case "not":
      addBounds(set.set, bounds);
      break;
    default:
      set satisfies never;
  }
}

/** Ranges of the set, each as its first character and the one behind its last. */
function* rangesOf(set: CharacterSet): Generator<readonly [number, number]> {
  const bounds = [...loaded().runs];
  addBounds(set, bounds);
  const sorted = Uint32Array.from([...bounds, SCALARS]).sort();
  for (let i = 0; i + 1 < sorted.length; i++) {
    const first = sorted[i]!;
    // between two bounds all characters are alike
    if (first < sorted[i + 1]! && contains(set, first)) yield [first, sorted[i + 1]!];
  }
}

/** Numbers sets, each once, and lays them out. */
export class CharacterSets {
  readonly #numbers = new Map<string, number>();
  readonly #pages: Uint8Array[] = [];
  readonly #pageNumbers = new Map<string, number>();
  readonly #indexes: Uint16Array[] = [];

  numberOf(set: CharacterSet): number {
    const key = JSON.stringify(set);
    let number = this.#numbers.get(key);
    if (number === undefined) {
      number = this.#indexes.push(this.#layOut(set)) - 1;
      this.#numbers.set(key, number);
    }
    return number;
  }

  #layOut(set: CharacterSet): Uint16Array {
    const index = new Uint16Array(PAGES).fill(this.#pageNumber(NONE));
    const begun = new Map<number, Uint8Array>();
    for (const [first, end] of rangesOf(set)) {
      for (let page = first >> 8; page << 8 < end; page++) {
        const from = Math.max(first - (page << 8), 0);
        const to = Math.min(end - (page << 8), 256);
        if (to - from === 256) {
          index[page] = this.#pageNumber(ALL);
          continue;
        }
        const bits = begun.get(page) ?? new Uint8Array(PAGE_BYTES);
        begun.set(page, bits);
        for (let i = from; i < to; i++) bits[i >> 3]! |= 1 << (i & 7);
      }
    }
    for (const [page, bits] of begun) index[page] = this.#pageNumber(bits);
    return index;
  }

  #pageNumber(bits: Uint8Array): number {
    const key = Buffer.from(bits).toString("latin1");
    let number = this.#pageNumbers.get(key);
    if (number === undefined) {
      number = this.#pages.push(bits) - 1;
      this.#pageNumbers.set(key, number);
    }
    return number;
  }

  /** u16[sets][0x1100], the page of each 256 characters. */
  get indexes(): Uint8Array {
    return Buffer.concat(this.#indexes.map((index) => new Uint8Array(index.buffer)));
  }

  /** u8[pages][32], a bit for each character. */
  get pages(): Uint8Array {
    return Buffer.concat(this.#pages);
  }
}
