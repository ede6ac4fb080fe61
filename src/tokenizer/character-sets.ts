/** Sets of characters as bits, by the frozen tables, in the form in which the counter looks them up. */
import { characterClasses, NUMERIC, PUNCTUATION } from "./normalizers/characters.ts";
import type { CharacterSet } from "./regex.ts";
import { CATEGORIES, CATEGORY_RUNS } from "./unicode-categories-table.ts";
import { decodeRuns, unicodeClasses } from "./unicode-classes.ts";

const SCALARS = 0x110000;
const PAGES = SCALARS >> 8;
/** One bit for each of 256 characters. */
const PAGE_BYTES = 32;
/** Bits of CATEGORY_RUNS. */
const CATEGORY = 31;
const HAN = 64;
/** Bit of unicodeClasses. */
const WHITE_SPACE = 4;

let tables: { readonly categories: Uint8Array; readonly classes: Uint8Array } | undefined;

function loaded(): NonNullable<typeof tables> {
  tables ??= { categories: decodeRuns(CATEGORY_RUNS), classes: unicodeClasses() };
  return tables;
}

/** 1 for each character of the set. */
function members(set: CharacterSet): Uint8Array {
  const bits = new Uint8Array(SCALARS);
  switch (set.kind) {
    case "range":
      bits.fill(1, set.first, set.last + 1);
      break;
    case "property":
      fillProperty(bits, set.name);
      break;
    case "union":
      for (const one of set.sets) fillUnion(bits, one);
      break;
    case "intersection":
      bits.fill(1);
      for (const inside of set.sets.map(members)) for (let i = 0; i < SCALARS; i++) bits[i]! &= inside[i]!;
      break;
    case "not": {
      const inside = members(set.set);
      for (let i = 0; i < SCALARS; i++) bits[i] = inside[i]! ^ 1;
      break;
    }
    default:
      set satisfies never;
  }
  return bits;
}

function fillUnion(bits: Uint8Array, set: CharacterSet): void {
  if (set.kind === "range") {
    bits.fill(1, set.first, set.last + 1);
  } else {
    const inside = members(set);
    for (let i = 0; i < SCALARS; i++) bits[i]! |= inside[i]!;
  }
}

function fillProperty(bits: Uint8Array, name: string): void {
  const { categories, classes } = loaded();
  const bit = name === "numeric" ? NUMERIC : name === "punctuation" ? PUNCTUATION : 0;
  if (bit !== 0) {
    const found = characterClasses();
    for (let i = 0; i < SCALARS; i++) bits[i] = (found[i]! & bit) === 0 ? 0 : 1;
  } else if (name === "White_Space") {
    for (let i = 0; i < SCALARS; i++) bits[i] = (classes[i]! & WHITE_SPACE) === 0 ? 0 : 1;
  } else if (name === "Han") {
    for (let i = 0; i < SCALARS; i++) bits[i] = (categories[i]! & HAN) === 0 ? 0 : 1;
  } else {
    const wanted = CATEGORIES.map((category) => (category.startsWith(name) ? 1 : 0));
    for (let i = 0; i < SCALARS; i++) bits[i] = wanted[categories[i]! & CATEGORY]!;
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
      number = this.#indexes.push(this.#layOut(members(set))) - 1;
      this.#numbers.set(key, number);
    }
    return number;
  }

  #layOut(bits: Uint8Array): Uint16Array {
    const index = new Uint16Array(PAGES);
    for (let page = 0; page < PAGES; page++) {
      const packed = new Uint8Array(PAGE_BYTES);
      for (let i = 0; i < 256; i++) packed[i >> 3]! |= bits[(page << 8) | i]! << (i & 7);
      const key = Buffer.from(packed).toString("latin1");
      let number = this.#pageNumbers.get(key);
      if (number === undefined) {
        number = this.#pages.push(packed) - 1;
        this.#pageNumbers.set(key, number);
      }
      index[page] = number;
    }
    return index;
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
