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
  /** what each byte of ASCII with TO_BYTE becomes */
  readonly bytes: Uint8Array;
}

const KEEP = 0;
const DROP = 1;
const TO_SPACE = 2;
const REPLACE = 3;
const BETWEEN_SPACES = 4;
const TO_BYTE = 5;

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
  const bytes = new Uint8Array(128);
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
        actions[upper] = upper < 0x80 ? TO_BYTE : REPLACE;
        if (upper < 0x80) bytes[upper] = lower;
        else replacements.set(upper, utf8(String.fromCodePoint(lower)));
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
  return { actions, replacements, bytes };
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

/** Whether the map has something to do for this byte of ASCII. */
export function changesAscii(name: CharacterMapName, byte: number): boolean {
  return characterMap(name).actions[byte] !== KEEP;
}

/** Valid UTF-8 in and out; the text itself where nothing changes. */
export function mapCharacters(name: CharacterMapName, text: Uint8Array): Uint8Array {
  const { actions, replacements, bytes } = characterMap(name);
  const first = firstChange(actions, text);
  if (first === text.length) return text;
  // no map makes more than two bytes of one, or five of three
  const out = new Uint8Array(first + 2 * (text.length - first));
  out.set(text.subarray(0, first));
  let to = first;
  let at = first;
  while (at < text.length) {
    const lead = text[at]!;
    const width = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    const scalar = width === 1 ? lead : scalarAt(text, at, width);
    switch (actions[scalar]) {
      case KEEP:
        for (let i = 0; i < width; i++) out[to++] = text[at + i]!;
        break;
      case DROP:
        break;
      case TO_SPACE:
        out[to++] = SPACE;
        break;
      case TO_BYTE:
        out[to++] = bytes[lead]!;
        break;
      case BETWEEN_SPACES:
        out[to++] = SPACE;
        for (let i = 0; i < width; i++) out[to++] = text[at + i]!;
        out[to++] = SPACE;
        break;
      default:
        for (const byte of replacements.get(scalar)!) out[to++] = byte;
    }
    at += width;
  }
  return out.subarray(0, to);
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
