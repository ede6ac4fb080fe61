/**
 * Normalizers that turn each character into something by itself, whatever stands beside it: tables of what becomes of
 * every scalar value, and the pass over UTF-8 bytes that applies one.
 */
import {
  COMBINING_MARK,
  CONTROL,
  characterClasses,
  lowercasePairs,
  NONSPACING_MARK,
  WHITE_SPACE,
} from "./characters.ts";

export type CharacterMapName =
  | "lowercase"
  | "without-combining-marks"
  | "without-nonspacing-marks"
  | "nmt"
  | "bert-clean"
  | "bert-ideographs";

interface CharacterMap {
  /** what to do with each code point */
  readonly actions: Uint8Array;
  /** UTF-8 of what those with REPLACE become */
  readonly replacements: ReadonlyMap<number, Uint8Array>;
  /** the same for ASCII */
  readonly ascii: AsciiTable;
}

const KEEP = 0;
const DROP = 1;
const TO_SPACE = 2;
const REPLACE = 3;
const BETWEEN_SPACES = 4;

const CODE_POINTS = 0x110000;
const SPACE = 0x20;

const maps = new Map<CharacterMapName, CharacterMap>();

function characterMap(name: CharacterMapName): CharacterMap {
  let map = maps.get(name);
  if (map === undefined) {
    map = build(name);
    maps.set(name, map);
  }
  return map;
}

function build(name: CharacterMapName): CharacterMap {
  const actions = new Uint8Array(CODE_POINTS);
  const replacements = new Map<number, Uint8Array>();
  const ranges = (action: number, list: readonly (readonly [number, number])[]) => {
    for (const [first, last] of list) actions.fill(action, first, last + 1);
  };
  const having = (bit: number, action: number) => {
    const classes = characterClasses();
    for (let i = 0; i < CODE_POINTS; i++) if ((classes[i]! & bit) !== 0) actions[i] = action;
  };
  switch (name) {
    case "lowercase":
      for (const [upper, lower] of lowercasePairs()) {
        actions[upper] = REPLACE;
        replacements.set(upper, utf8(String.fromCodePoint(lower)));
      }
      actions[0x130] = REPLACE;
      replacements.set(0x130, utf8("i\u0307"));
      break;
    case "without-combining-marks":
      having(COMBINING_MARK, DROP);
      break;
    case "without-nonspacing-marks":
      having(NONSPACING_MARK, DROP);
      break;
    case "nmt":
      ranges(DROP, NMT_DROPS);
      ranges(TO_SPACE, NMT_SPACES);
      break;
    case "bert-clean":
      having(WHITE_SPACE, TO_SPACE);
      having(CONTROL, DROP);
      break;
    case "bert-ideographs":
      ranges(BETWEEN_SPACES, BERT_IDEOGRAPHS);
      break;
    default:
      name satisfies never;
  }
  const ascii = Uint8Array.from({ length: 128 }, (_, byte) => {
    const action = actions[byte];
    if (action === REPLACE) return replacements.get(byte)![0]!; // one byte for one: an upper case letter
    return action === DROP ? DROPPED : action === TO_SPACE ? SPACE : byte;
  });
  return { actions, replacements, ascii };
}

/** What SentencePiece's nmt rules, as Hugging Face has them, take out and turn into a space. */
const NMT_DROPS = [
  [0x01, 0x08],
  [0x0b, 0x0b],
  [0x0e, 0x1f],
  [0x7f, 0x7f],
  [0x8f, 0x8f],
  [0x9f, 0x9f],
] as const;
const NMT_SPACES = [
  [0x09, 0x0a],
  [0x0c, 0x0d],
  [0x1680, 0x1680],
  [0x200b, 0x200f],
  [0x2028, 0x2029],
  [0x2581, 0x2581],
  [0xfeff, 0xfeff],
  [0xfffd, 0xfffd],
] as const;

/** The blocks that BERT calls Chinese; 2B820 to 2B91F is missing in the reference implementation too. */
const BERT_IDEOGRAPHS = [
  [0x4e00, 0x9fff],
  [0x3400, 0x4dbf],
  [0x20000, 0x2a6df],
  [0x2a700, 0x2b73f],
  [0x2b740, 0x2b81f],
  [0x2b920, 0x2ceaf],
  [0xf900, 0xfaff],
  [0x2f800, 0x2fa1f],
] as const;

function utf8(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text, "utf8"));
}

/** What each byte of ASCII becomes by itself: a byte, or DROPPED. */
export type AsciiTable = Uint8Array;
export const DROPPED = 0xff;

export function asciiTable(name: CharacterMapName): AsciiTable {
  return characterMap(name).ascii;
}

/** ASCII in and out. */
export function mapAscii(table: AsciiTable, text: Uint8Array): Uint8Array {
  const out = new Uint8Array(text.length);
  let to = 0;
  for (let at = 0; at < text.length; at++) {
    const byte = table[text[at]!]!;
    out[to] = byte;
    if (byte !== DROPPED) to++;
  }
  return out.subarray(0, to);
}

/** Valid UTF-8 in and out; the text itself where nothing changes. */
export function mapCharacters(name: CharacterMapName, text: Uint8Array): Uint8Array {
  const { actions, replacements, ascii } = characterMap(name);
  const first = firstChange(actions, text);
  if (first === text.length) return text;
  // no map makes more than two bytes of one, or five of three
  const out = new Uint8Array(first + 2 * (text.length - first));
  out.set(text.subarray(0, first));
  let to = first;
  let at = first;
  while (at < text.length) {
    const lead = text[at]!;
    if (lead < 0x80) {
      const byte = ascii[lead]!;
      out[to] = byte;
      if (byte !== DROPPED) to++;
      at++;
      continue;
    }
    const width = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    const scalar = scalarAt(text, at, width);
    const action = actions[scalar]!;
    if (action === REPLACE) {
      to = put(replacements.get(scalar)!, 0, out, to, -1);
    } else if (action === TO_SPACE) {
      out[to++] = SPACE;
    } else if (action !== DROP) {
      if (action === BETWEEN_SPACES) out[to++] = SPACE;
      to = put(text, at, out, to, width);
      if (action === BETWEEN_SPACES) out[to++] = SPACE;
    }
    at += width;
  }
  return out.subarray(0, to);
}

/** Copies `length` bytes, or (−1) all; returns where the next go. */
function put(from: Uint8Array, at: number, out: Uint8Array, to: number, length: number): number {
  const end = length < 0 ? from.length : at + length;
  for (let i = at; i < end; i++) out[to++] = from[i]!;
  return to;
}

/** Where the first character begins that does not stay as it is. */
function firstChange(actions: Uint8Array, text: Uint8Array): number {
  let at = 0;
  while (at < text.length) {
    const lead = text[at]!;
    if (lead < 0x80) {
      if (actions[lead] !== KEEP) return at;
      at++;
    } else {
      const width = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
      if (actions[scalarAt(text, at, width)] !== KEEP) return at;
      at += width;
    }
  }
  return at;
}

/** The scalar value of `width` > 1 bytes at `at`. */
export function scalarAt(text: Uint8Array, at: number, width: number): number {
  const lead = text[at]!;
  const second = text[at + 1]! & 63;
  if (width === 2) return ((lead & 31) << 6) | second;
  const third = text[at + 2]! & 63;
  if (width === 3) return ((lead & 15) << 12) | (second << 6) | third;
  return ((lead & 7) << 18) | (second << 12) | (third << 6) | (text[at + 3]! & 63);
}
