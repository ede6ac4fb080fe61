/** What stands beside an added token: word characters and white space, by the frozen tables, in UTF-8. */
import { CATEGORY_RUNS } from "./unicode-categories-table.ts";
import { decodeRuns, unicodeClasses } from "./unicode-classes.ts";

const WORD = 32; // bit of CATEGORY_RUNS
const WHITE_SPACE = 4; // bit of unicodeClasses

let tables: { readonly categories: Uint8Array; readonly classes: Uint8Array } | undefined;

function loaded(): NonNullable<typeof tables> {
  tables ??= { categories: decodeRuns(CATEGORY_RUNS), classes: unicodeClasses() };
  return tables;
}

/** First byte of the character that ends at `end` > 0. */
function characterStart(text: Uint8Array, end: number): number {
  let at = end - 1;
  while (at > 0 && (text[at]! & 0xc0) === 0x80) at--;
  return at;
}

/** The scalar value at `at`, in valid UTF-8. */
function scalarAt(text: Uint8Array, at: number): number {
  const lead = text[at]!;
  if (lead < 0x80) return lead;
  const second = text[at + 1]! & 63;
  if (lead < 0xe0) return ((lead & 31) << 6) | second;
  const third = text[at + 2]! & 63;
  if (lead < 0xf0) return ((lead & 15) << 12) | (second << 6) | third;
  return ((lead & 7) << 18) | (second << 12) | (third << 6) | (text[at + 3]! & 63);
}

function widthAt(text: Uint8Array, at: number): number {
  const lead = text[at]!;
  return lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}

export function isWordBefore(text: Uint8Array, end: number): boolean {
  return end > 0 && (loaded().categories[scalarAt(text, characterStart(text, end))]! & WORD) !== 0;
}

export function isWordAfter(text: Uint8Array, start: number): boolean {
  return start < text.length && (loaded().categories[scalarAt(text, start)]! & WORD) !== 0;
}

/** Where the white space before `end` begins. @param spaceIsMark U+0020 stands for another character, no white space */
export function whiteSpaceStart(text: Uint8Array, end: number, spaceIsMark: boolean): number {
  let at = end;
  while (at > 0) {
    const before = characterStart(text, at);
    if (!isWhiteSpace(text, before, spaceIsMark)) break;
    at = before;
  }
  return at;
}

/** Where the white space at `start` ends. */
export function whiteSpaceEnd(text: Uint8Array, start: number, spaceIsMark: boolean): number {
  let at = start;
  while (at < text.length && isWhiteSpace(text, at, spaceIsMark)) at += widthAt(text, at);
  return at;
}

function isWhiteSpace(text: Uint8Array, at: number, spaceIsMark: boolean): boolean {
  const scalar = scalarAt(text, at);
  if (scalar === 32) return !spaceIsMark;
  return (loaded().classes[scalar]! & WHITE_SPACE) !== 0;
}
