/**
 * Text that breaks tokenizers which are only nearly exact, made from a seed. test/files/tokenizer/adversarial.py makes
 * the same bytes for the reference implementations, draw for draw: a change here is a change there.
 */
import { readFileSync } from "node:fs";
import { FILES } from "./vectors.ts";

const PIECES: {
  readonly suffixes: string[];
  readonly lineEnds: string[];
  readonly lineTexts: string[];
  readonly runUnits: string[];
  readonly runLengths: number[];
  readonly emoji: string[];
  readonly emojiJoints: string[];
  readonly letters: string[];
  /** by script: first and last code point of its letters, then of what stands between them */
  readonly scripts: [number, number][][];
  readonly specials: string[];
  readonly tricky: string[];
  /** bytes that are no UTF-8 */
  readonly broken: number[][];
} = JSON.parse(readFileSync(`${FILES}adversarial.json`, "utf8"));

/** xorshift32 */
class Random {
  #state: number;
  constructor(seed: number) {
    this.#state = seed;
  }
  below(limit: number): number {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x >>> 0;
    return this.#state % limit;
  }
  of<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }
  /** from 1 to `most` parts */
  join(most: number, part: () => string): string {
    return times(1 + this.below(most), part).join("");
  }
}

const times = <T>(count: number, make: (i: number) => T): T[] => Array.from({ length: count }, (_, i) => make(i));

const LAST_SCALAR = 0x10ffff;
const isScalar = (code: number) => code < 0xd800 || code > 0xdfff;

/** Every case of a suffix's letters; U+017F stays, its upper case is S. */
function cases(suffix: string): string[] {
  const upper = (character: string) => (character <= "z" ? character.toUpperCase() : character);
  const letters = [...suffix];
  return times(1 << letters.length, (bits) => letters.map((c, i) => (bits & (1 << i) ? upper(c) : c)).join(""));
}

function contractions(): string[] {
  return ["'", "\u2019"].flatMap((apostrophe) =>
    PIECES.suffixes
      .flatMap(cases)
      .flatMap((suffix) =>
        ["", "a", "Q", " ", "1", "\n", "\u00e9"].flatMap((before) =>
          ["", "x", " y", "\u0301"].map((after) => before + apostrophe + suffix + after),
        ),
      ),
  );
}

function lineEnds(): string[] {
  return PIECES.lineTexts.flatMap((text) =>
    PIECES.lineEnds.flatMap((end) => [
      ...times(text.length + 1, (at) => text.slice(0, at) + end + text.slice(at)),
      end + text + end,
      end.repeat(3) + text,
    ]),
  );
}

function runs(): string[] {
  return PIECES.runUnits.flatMap((unit) =>
    PIECES.runLengths.flatMap((length) => [unit.repeat(length), `x${unit.repeat(length)}`, `${unit.repeat(length)}x`]),
  );
}

function emoji(random: Random): string[] {
  return times(150, () => random.join(12, () => random.of(PIECES.emoji) + random.of(PIECES.emojiJoints)));
}

function combiningMarks(random: Random): string[] {
  const mark = () => String.fromCodePoint(0x300 + random.below(0x70));
  return times(150, () => random.join(6, () => random.of(PIECES.letters) + random.join(20, mark)));
}

function scripts(random: Random): string[] {
  return times(240, (i) => {
    const ranges = PIECES.scripts[i % PIECES.scripts.length]!;
    return random.join(60, () => {
      const [first, last] = random.below(4) > 0 ? ranges[0]! : random.of(ranges);
      return String.fromCodePoint(first + random.below(last - first + 1));
    });
  });
}

function specialTokens(random: Random): string[] {
  return times(120, () => random.join(5, () => random.of(PIECES.specials) + random.of(["", " ", "\n", "a", "1"])));
}

function mixed(random: Random): string[] {
  return times(900, (i) => random.join(i < 800 ? 30 : 400, () => random.of(PIECES.tricky)));
}

function randomScalars(random: Random): string[] {
  const limits = [0x80, 0x800, 0x3000, 0x10000, LAST_SCALAR + 1];
  return times(250, (i) =>
    random.join(60, () => {
      const code = random.below(limits[i % limits.length]!);
      return String.fromCodePoint(isScalar(code) ? code : code - 0xd800);
    }),
  );
}

function invalidUtf8(random: Random): Buffer[] {
  const randomBytes = times(60, () => Buffer.from(times(1 + random.below(40), () => random.below(256))));
  const cut = () =>
    random.below(2) > 0 ? Buffer.from(random.of(PIECES.tricky)) : Buffer.from(random.of(PIECES.broken));
  return [...randomBytes, ...times(240, () => Buffer.concat(times(1 + random.below(12), cut)))];
}

/** A million bytes each that nothing breaks, or only a splitter. */
function unspaced(random: Random): string[] {
  const letters = times(4000, () => String.fromCodePoint(0x61 + random.below(26))).join("");
  const han = times(4000, () => String.fromCodePoint(0x4e00 + random.below(0x5200))).join("");
  return ["zqxj".repeat(250_000), letters.repeat(250), han.repeat(83), "e\u0301".repeat(333_333), "-=".repeat(500_000)];
}

const utf8 = (texts: string[]): Buffer[] => texts.map((text) => Buffer.from(text));

export const GROUPS: Readonly<Record<string, () => Buffer[]>> = {
  contractions: () => utf8(contractions()),
  lineEnds: () => utf8(lineEnds()),
  runs: () => utf8(runs()),
  emoji: () => utf8(emoji(new Random(1))),
  combiningMarks: () => utf8(combiningMarks(new Random(2))),
  scripts: () => utf8(scripts(new Random(3))),
  specialTokens: () => utf8(specialTokens(new Random(4))),
  mixed: () => utf8(mixed(new Random(5))),
  randomScalars: () => utf8(randomScalars(new Random(6))),
  invalidUtf8: () => invalidUtf8(new Random(7)),
  unspaced: () => utf8(unspaced(new Random(8))),
};

/** What stands around every Unicode scalar value in turn. */
export const CONTEXTS: Readonly<Record<string, (scalar: string) => string>> = {
  together: (scalar) => scalar,
  afterLetter: (scalar) => `a${scalar}`,
  afterSpace: (scalar) => ` ${scalar}`,
  beforeDigit: (scalar) => `${scalar}1`,
  doubled: (scalar) => `.${scalar}${scalar}`,
};

const SCALARS_PER_DOCUMENT = 32;
const SURROGATES = 0x800;

/** All 1,112,064 Unicode scalar values in a context, in 34,752 documents. */
export function everyScalar(context: (scalar: string) => string): Buffer[] {
  const documents: Buffer[] = [];
  for (let first = 0; first <= LAST_SCALAR; first += SCALARS_PER_DOCUMENT) {
    if (!isScalar(first)) continue;
    const text = times(SCALARS_PER_DOCUMENT, (i) => context(String.fromCodePoint(first + i)));
    documents.push(Buffer.from(text.join("")));
  }
  return documents;
}

/**
 * Which blocks of `everyScalar`'s documents to look at. Planes 4 to 13 hold no character and no rule tells them apart,
 * so of these only the blocks at both ends are; DOREMI_EXHAUSTIVE=1 looks at all.
 *
 * @param perBlock documents of a block
 */
export function scalarBlocks(perBlock: number): number[] {
  const documents = (LAST_SCALAR + 1 - SURROGATES) / SCALARS_PER_DOCUMENT;
  const blockOf = (scalar: number) => Math.floor((scalar - SURROGATES) / SCALARS_PER_DOCUMENT / perBlock);
  const [first, last] = [blockOf(0x40000), blockOf(0xdffff)];
  return times(Math.ceil(documents / perBlock), (i) => i).filter(
    (block) => block <= first || block >= last || process.env.DOREMI_EXHAUSTIVE === "1",
  );
}

/** One number for the counts and ids of documents, which changes with each of them and with their order. */
export function checksum(documents: Iterable<Uint32Array>): number {
  let sum = 0;
  for (const ids of documents) {
    sum = (Math.imul(sum, 31) + ids.length) >>> 0;
    for (const id of ids) sum = (Math.imul(sum, 31) + id) >>> 0;
  }
  return sum;
}
