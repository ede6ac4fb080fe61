/**
 * The Replace normalizer: a text for each occurrence of another, or of one character (or class of characters) repeated,
 * which is what tokenizers use regular expressions for here. A pattern that is not such is not taken at all.
 */

export type ReplacePattern =
  | { readonly kind: "text"; readonly bytes: Uint8Array }
  | {
      readonly kind: "repeated";
      /** white space of Unicode, or UTF-8 of the one character */
      readonly of: "white-space" | Uint8Array;
      readonly least: number;
      /** Infinity where there is no limit */
      readonly most: number;
    };

/** @param pattern the member `pattern` of a Replace part; undefined where it is none that can be honoured */
export function replacePattern(pattern: unknown): ReplacePattern | undefined {
  if (typeof pattern !== "object" || pattern === null) return undefined;
  if ("String" in pattern && typeof pattern.String === "string" && pattern.String !== "") {
    return { kind: "text", bytes: utf8(pattern.String) };
  }
  return "Regex" in pattern && typeof pattern.Regex === "string" ? repeated(pattern.Regex) : undefined;
}

/** What has a meaning in a regular expression and stands for itself behind a backslash. */
const SPECIAL = "\\\\.^$*+?()[\\]{}|\\-/";
const REPEATED = new RegExp(
  `^(?<atom>\\\\s|\\\\[${SPECIAL}]|[^${SPECIAL}])(?<count>\\+|\\{(?<least>\\d{1,4})(?<comma>,(?<most>\\d{1,4})?)?\\})?$`,
  "su",
);

function repeated(regex: string): ReplacePattern | undefined {
  const groups = REPEATED.exec(regex)?.groups;
  if (groups === undefined) return undefined;
  const { atom, count, least, comma, most } = groups;
  const of = atom === "\\s" ? "white-space" : utf8(atom!.replace(/^\\/, ""));
  if (count === undefined) return { kind: "repeated", of, least: 1, most: 1 };
  if (count === "+") return { kind: "repeated", of, least: 1, most: Number.POSITIVE_INFINITY };
  const from = Number(least);
  const to = comma === undefined ? from : most === undefined ? Number.POSITIVE_INFINITY : Number(most);
  // what matches nothing would be found everywhere
  return from >= 1 && to >= from ? { kind: "repeated", of, least: from, most: to } : undefined;
}

function utf8(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text, "utf8"));
}

/** Valid UTF-8 in and out; the text itself where the pattern does not occur. */
export function replaceAll(pattern: ReplacePattern, content: Uint8Array, text: Uint8Array): Uint8Array {
  const parts: Uint8Array[] = [];
  let copied = 0;
  for (let found = nextMatch(pattern, text, 0); found !== undefined; found = nextMatch(pattern, text, copied)) {
    parts.push(text.subarray(copied, found.start), content);
    copied = found.end;
  }
  if (parts.length === 0) return text;
  parts.push(text.subarray(copied));
  return Buffer.concat(parts);
}

interface Match {
  readonly start: number;
  readonly end: number;
}

function nextMatch(pattern: ReplacePattern, text: Uint8Array, from: number): Match | undefined {
  if (pattern.kind === "text") {
    const start = indexOf(text, pattern.bytes, from);
    return start < 0 ? undefined : { start, end: start + pattern.bytes.length };
  }
  const { of, least, most } = pattern;
  let start = from;
  while (true) {
    start = of === "white-space" ? nextWhiteSpace(text, start) : indexOf(text, of, start);
    if (start < 0) return undefined;
    let end = start;
    let times = 0;
    let width = widthOfOne(of, text, end);
    while (width > 0 && times < most) {
      end += width;
      times++;
      width = widthOfOne(of, text, end);
    }
    if (times >= least) return { start, end };
    start = end;
  }
}

function indexOf(text: Uint8Array, part: Uint8Array, from: number): number {
  return Buffer.from(text.buffer, text.byteOffset, text.byteLength).indexOf(part, from);
}

function nextWhiteSpace(text: Uint8Array, from: number): number {
  for (let at = from; at < text.length; at++) if (whiteSpaceWidth(text, at) > 0) return at;
  return -1;
}

/** Bytes of the atom at `at`, or 0. */
function widthOfOne(of: "white-space" | Uint8Array, text: Uint8Array, at: number): number {
  if (of === "white-space") return whiteSpaceWidth(text, at);
  for (let i = 0; i < of.length; i++) if (text[at + i] !== of[i]) return 0;
  return of.length;
}

/** Bytes of the white space at `at`, by Unicode's property White_Space, which is closed; or 0. */
export function whiteSpaceWidth(text: Uint8Array, at: number): number {
  const lead = text[at];
  if (lead === undefined) return 0;
  if (lead < 0x80) return lead === 0x20 || (lead >= 9 && lead <= 13) ? 1 : 0;
  const second = text[at + 1];
  if (lead === 0xc2) return second === 0x85 || second === 0xa0 ? 2 : 0;
  const third = text[at + 2]!;
  if (lead === 0xe1) return second === 0x9a && third === 0x80 ? 3 : 0;
  if (lead === 0xe3) return second === 0x80 && third === 0x80 ? 3 : 0;
  if (lead !== 0xe2) return 0;
  const general = second === 0x80 && (third <= 0x8a || third === 0xa8 || third === 0xa9 || third === 0xaf);
  return general || (second === 0x81 && third === 0x9f) ? 3 : 0;
}
