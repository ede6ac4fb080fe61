/**
 * Input that nobody would write, from input that is sound: bytes changed anywhere, or text and JSON changed where their
 * structure is. The same seed gives the same input.
 */
import { Rng } from "../../src/lib/rng.ts";

/** A stream of draws. */
export class Draws {
  readonly #rng: Rng;
  #next = 0;

  constructor(seed: number, name: string) {
    this.#rng = new Rng(seed, `fuzz/${name}`);
  }

  /** 0..limit (exclusive) */
  below(limit: number): number {
    return Math.min(limit - 1, Math.floor(this.#rng.uniform(this.#next++) * limit));
  }

  of<T>(values: readonly T[]): T {
    return values[this.below(values.length)]!;
  }
}

/** Turns a sound input into another; `others` are further sound inputs. */
export type Mutate = (draws: Draws, input: Buffer, others: readonly Buffer[]) => Buffer;

const NUMBERS = [0, 1, -1, 2, 7, 127, 128, 255, 256, 32767, 65535, 2 ** 31 - 1, -(2 ** 31), 2 ** 32 - 1];

/** Paths that leave a root, and names that are parts of the prototype. */
export const ESCAPES = ["../../../../etc/passwd", "/etc/passwd", "..", ".", "a\0b", "C:\\x", "\\\\host\\x", "~/x"];
const NAMES = ["__proto__", "constructor", "prototype", "toString", "hasOwnProperty", "length", "then"];

const VALUES: readonly unknown[] = [
  ...NUMBERS,
  ...ESCAPES,
  ...NAMES,
  ...[null, true, false, "", [], {}, [[]], 0.5, 5e-324, 1e300, 2 ** 53, "\ud800", "\uffff", "x".repeat(70_000)],
  { ["__proto__"]: { polluted: 1 } },
  JSON.parse('{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}'),
];

/** One to six changes of bytes, each anywhere from `from` on. */
export function mutateBytes(draws: Draws, input: Buffer, others: readonly Buffer[] = [], from = 0): Buffer {
  let bytes: Buffer = Buffer.from(input);
  for (let changes = 1 + draws.below(6); changes > 0; changes--) bytes = changed(draws, bytes, others, from);
  return bytes;
}

function changed(draws: Draws, bytes: Buffer, others: readonly Buffer[], from: number): Buffer {
  if (bytes.length <= from) return Buffer.concat([bytes, Buffer.from([draws.below(256)])]);
  const at = from + draws.below(bytes.length - from);
  const length = 1 + draws.below(Math.min(64, bytes.length - at));
  const rest = () => bytes.subarray(at + length);
  switch (draws.below(10)) {
    case 0:
    case 1:
      bytes[at]! ^= 1 << draws.below(8);
      return bytes;
    case 2:
      bytes[at] = draws.below(256);
      return bytes;
    case 3:
    case 4: {
      const width = draws.of([1, 2, 4, 8]);
      const word = Buffer.alloc(8, draws.below(2) * 255);
      word.writeInt32LE(draws.of(NUMBERS) | 0);
      if (width > 4 && draws.below(2)) word.writeInt32LE(draws.of(NUMBERS) | 0, 4);
      if (draws.below(4) === 0) word.subarray(0, width).reverse();
      word.copy(bytes, at, 0, Math.min(width, bytes.length - at));
      return bytes;
    }
    case 5:
      return Buffer.concat([bytes.subarray(0, at), rest()]);
    case 6:
      return Buffer.concat([bytes.subarray(0, at + length), bytes.subarray(at, at + length), rest()]);
    case 7:
      bytes.fill(draws.of([0, 255]), at, at + length);
      return bytes;
    case 8:
      return draws.below(3) ? bytes.subarray(0, at) : bytes;
    default: {
      const other = others.length > 0 ? draws.of(others) : bytes;
      const start = draws.below(Math.max(1, other.length));
      return Buffer.concat([bytes.subarray(0, at), other.subarray(start, start + length * 4), rest()]);
    }
  }
}

/** Mostly where a footer or header is: the last or the first bytes. */
export function mutateEnds(draws: Draws, input: Buffer, others: readonly Buffer[]): Buffer {
  const ends = Math.min(input.length, 1200);
  const where = draws.below(3);
  if (where === 0) return mutateBytes(draws, input, others);
  if (where === 1) return mutateBytes(draws, input, others, input.length - ends);
  return Buffer.concat([mutateBytes(draws, input.subarray(0, ends), others), input.subarray(ends)]);
}

const TOKENS = [
  ...[
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    '"',
    "\\",
    "null",
    "true",
    "1e999",
    "-0",
    "-",
    "\n",
    "\r\n",
    "\t",
    "\u0000",
    "0x10",
  ],
  ...[
    '"\\ud800"',
    '"\\u0000"',
    "\ufeff",
    "[".repeat(5000),
    '{"a":'.repeat(5000),
    "9".repeat(400),
    "&a ",
    "*a",
    "<<: *a",
  ],
  ...["!!binary ", "!!js/function ", "? ", "- ", "|\n  ", ">-\n  ", "# ", "%YAML 9.9\n", "---\n", "...\n"],
  ...["{domain}", "**/", "../", "s3://", "file:///etc/", ...NAMES, ...ESCAPES],
];

/** Words put in, taken out and exchanged, or bytes changed. */
export function mutateText(draws: Draws, input: Buffer, others: readonly Buffer[] = []): Buffer {
  if (draws.below(3) === 0) return mutateBytes(draws, input, others);
  let text = input.toString("latin1");
  for (let changes = 1 + draws.below(3); changes > 0; changes--) {
    const at = draws.below(text.length + 1);
    const removed = draws.below(2) * draws.below(20);
    const words = [...text.slice(at).matchAll(/"[^"\n]*"|[\w.]+/g)].slice(0, 1);
    const word = words[0];
    const put = Buffer.from(draws.of(TOKENS)).toString("latin1");
    if (word && draws.below(2)) {
      const start = at + word.index;
      text = text.slice(0, start) + put + text.slice(start + word[0].length);
    } else text = text.slice(0, at) + put + text.slice(at + removed);
  }
  return Buffer.from(text, "latin1");
}

/** A value put in another's place, taken out or renamed, anywhere in the tree. @param value is not changed */
export function mutateValue(draws: Draws, value: unknown): unknown {
  let tree = structuredClone(value);
  for (let changes = 1 + draws.below(3); changes > 0; changes--) {
    const places: { readonly parent: Record<string, unknown>; readonly key: string }[] = [];
    const walk = (at: unknown) => {
      if (at === null || typeof at !== "object") return;
      for (const [key, child] of Object.entries(at)) {
        places.push({ parent: at as Record<string, unknown>, key });
        if (places.length < 20_000) walk(child);
      }
    };
    walk(tree);
    if (places.length === 0) {
      tree = structuredClone(draws.of(VALUES));
      continue;
    }
    // Most places lie deep in long lists: the first few are as likely.
    const { parent, key } = places[draws.below(draws.below(2) ? places.length : Math.min(places.length, 60))]!;
    const put = (name: string, to: unknown) =>
      Object.defineProperty(parent, name, { value: to, enumerable: true, configurable: true, writable: true });
    switch (draws.below(6)) {
      case 0:
        if (Array.isArray(parent)) parent.splice(Number(key), 1);
        else delete parent[key];
        break;
      case 1:
        if (!Array.isArray(parent)) put(draws.of(NAMES), parent[key]);
        else parent.push(parent[Number(key)]);
        break;
      case 2:
        put(key, structuredClone(places[draws.below(places.length)]!.parent));
        break;
      default: {
        const old = parent[key];
        const near =
          typeof old === "number"
            ? [old + 1, old - 1, -old, old * 2, old / 3]
            : [typeof old === "object" ? "x" : `${old}x`, [old]];
        put(key, structuredClone(draws.below(3) ? draws.of(VALUES) : draws.of<unknown>(near)));
      }
    }
    if (size(tree) > 2_000_000) return value;
  }
  return tree;
}

const size = (tree: unknown) => (JSON.stringify(tree) ?? "").length;

/** A JSON document changed as a tree, or as text. */
export function mutateJson(draws: Draws, input: Buffer, others: readonly Buffer[] = []): Buffer {
  if (draws.below(4) === 0) return mutateText(draws, input, others);
  return Buffer.from(JSON.stringify(mutateValue(draws, JSON.parse(input.toString("utf8")))) ?? "");
}
