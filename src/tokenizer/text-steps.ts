/** What a plan does to text on its way to the counter, from bytes to bytes. */
import { leavesAlone, normalize } from "./normalizers/normalizer.ts";
import { whiteSpaceWidth } from "./normalizers/replace.ts";
import type { CounterPlan } from "./plan.ts";

/** U+2581 in UTF-8, which stands for a space in SentencePiece's vocabularies. */
export const MARK = Buffer.of(0xe2, 0x96, 0x81);
const SPACE = 0x20;

/** Whether the counter may get bytes[start..end] as they are, but for the prefix. */
export function countedAsIs(plan: CounterPlan, bytes: Uint8Array, start: number, end: number): boolean {
  if (!leavesAlone(plan.normalizer, bytes, start, end)) return false;
  if (plan.spaces === "words-marked") return false;
  return plan.spaces === "kept" || !asBuffer(bytes.subarray(start, end)).includes(MARK);
}

/** What the normalizer makes of a text. */
export function normalizedText({ normalizer, prefix, spaces }: CounterPlan, text: Uint8Array): Uint8Array {
  let normalized = normalize(normalizer, text);
  if (spaces === "marked-by-normalizer") normalized = marksAsSpaces(normalized);
  return prefix?.by === "normalizer" ? withPrefix(normalized, prefix.unlessThere) : normalized;
}

/** What the pre-tokenizer makes of a normalized text. @param first the document begins with it */
export function preTokenizedText({ prefix, spaces }: CounterPlan, text: Uint8Array, first: boolean): Uint8Array {
  const marked =
    spaces === "marked-by-pre-tokenizer" ? marksAsSpaces(text) : spaces === "words-marked" ? markedWords(text) : text;
  const prefixed = prefix?.by === "pre-tokenizer" && (first || prefix.before === "text");
  return prefixed ? withPrefix(marked, prefix.unlessThere) : marked;
}

function withPrefix(text: Uint8Array, unlessThere: boolean): Uint8Array {
  if (text.length === 0 || (unlessThere && text[0] === SPACE)) return text;
  const prefixed = new Uint8Array(text.length + 1);
  prefixed[0] = SPACE;
  prefixed.set(text, 1);
  return prefixed;
}

function marksAsSpaces(text: Uint8Array): Uint8Array {
  const buffer = asBuffer(text);
  let next = buffer.indexOf(MARK);
  if (next < 0) return text;
  const out = new Uint8Array(text.length);
  let size = 0;
  let at = 0;
  for (; next >= 0; next = buffer.indexOf(MARK, at)) {
    out.set(text.subarray(at, next), size);
    size += next - at;
    out[size++] = SPACE;
    at = next + MARK.length;
  }
  out.set(text.subarray(at), size);
  return out.subarray(0, size + text.length - at);
}

/** The words of a text, each with one space before it; U+2581 is a space and no white space. */
function markedWords(text: Uint8Array): Uint8Array {
  const out = new Uint8Array(text.length + 1);
  let size = 0;
  let inWord = false;
  for (let at = 0; at < text.length; ) {
    const byte = text[at]!;
    const white = byte > SPACE && byte < 0x80 ? 0 : whiteSpaceWidth(text, at);
    if (white > 0) {
      inWord = false;
      at += white;
    } else if (byte === MARK[0] && text[at + 1] === MARK[1] && text[at + 2] === MARK[2]) {
      out[size++] = SPACE;
      inWord = true;
      at += MARK.length;
    } else {
      if (!inWord) out[size++] = SPACE;
      inWord = true;
      out[size++] = byte;
      at++;
    }
  }
  return out.subarray(0, size);
}

function asBuffer(text: Uint8Array): Buffer {
  return Buffer.from(text.buffer, text.byteOffset, text.byteLength);
}
