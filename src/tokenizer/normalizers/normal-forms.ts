/**
 * Unicode's normal forms, frozen to those of the reference implementation. The running engine does the work, between
 * the characters that a later Unicode has given a part in it: to the reference these neither decompose nor compose nor
 * move, so that what is on either side of one is normalized alone.
 */
import { characterPattern, INERT } from "./characters.ts";

export type NormalForm = "NFC" | "NFD" | "NFKC" | "NFKD";

let inert: RegExp | undefined;

/** Valid UTF-8 in and out; the text itself where nothing changes. */
export function toNormalForm(form: NormalForm, text: Uint8Array): Uint8Array {
  const string = Buffer.from(text.buffer, text.byteOffset, text.byteLength).toString("utf8");
  inert ??= characterPattern(INERT);
  const parts: string[] = [];
  let at = 0;
  inert.lastIndex = 0; // not matchAll: that compiles the pattern again for every text
  for (let match = inert.exec(string); match !== null; match = inert.exec(string)) {
    const { 0: characters, index } = match;
    if (index > at) parts.push(string.slice(at, index).normalize(form));
    parts.push(characters);
    at = index + characters.length;
  }
  parts.push(string.slice(at).normalize(form));
  const normalized = parts.length === 1 ? parts[0]! : parts.join("");
  return normalized === string ? text : Buffer.from(normalized, "utf8");
}
