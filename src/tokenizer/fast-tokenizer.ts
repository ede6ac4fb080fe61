/** The counter behind the Tokenizer contract: repairs UTF-8, normalizes, and cuts out added tokens where there are any. */
import { AddedTokenFinder } from "./added-tokens.ts";
import type { Counter } from "./counter.ts";
import { isNormalized } from "./honour.ts";
import type { Tokenizer, TokenizerDescriptor } from "./tokenizer.ts";
import type { AddedToken } from "./tokenizer-json.ts";
import { allValid, toValidUtf8 } from "./utf8.ts";

export interface FastSettings {
  /** text is brought to NFC first */
  readonly nfc: boolean;
  /** added tokens that are not special: found in the text before the pattern splits it */
  readonly added: readonly AddedToken[];
}

export class FastTokenizer implements Tokenizer {
  readonly descriptor: TokenizerDescriptor;
  readonly #counter: Counter;
  readonly #nfc: boolean;
  readonly #added: AddedTokenFinder | undefined;
  /** added tokens are looked for in the text as it is, so normalizing comes after cutting them out */
  readonly #addedFirst: boolean;

  constructor(descriptor: TokenizerDescriptor, counter: Counter, { nfc, added }: FastSettings) {
    this.descriptor = descriptor;
    this.#counter = counter;
    this.#nfc = nfc;
    this.#addedFirst = nfc && added.some((token) => !isNormalized(token));
    const contents = added.map(({ id, content }) => ({
      id,
      content: this.#addedFirst || !nfc ? content : content.normalize("NFC"),
    }));
    this.#added = added.length > 0 ? new AddedTokenFinder(contents) : undefined;
  }

  count(bytes: Uint8Array, offsets: Uint32Array, counts: Uint32Array): void {
    const start = offsets[0]!;
    const end = offsets[offsets.length - 1]!;
    const plain = !this.#nfc || isAscii(bytes, start, end);
    if (plain && !this.#added?.occursIn(bytes.subarray(start, end)) && allValid(bytes, offsets)) {
      this.#counter.count(bytes, offsets, counts);
      return;
    }
    for (let i = 0; i < counts.length; i++) {
      let tokens = 0;
      for (const part of this.#parts(bytes.subarray(offsets[i]!, offsets[i + 1]!))) {
        tokens += typeof part === "number" ? 1 : this.#countText(part);
      }
      counts[i] = tokens;
    }
  }

  encode(bytes: Uint8Array): Uint32Array {
    const parts = this.#parts(bytes).map((part) =>
      typeof part === "number" ? Uint32Array.of(part) : this.#counter.encode(part),
    );
    if (parts.length === 1) return parts[0]!;
    const ids = new Uint32Array(parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of parts) {
      ids.set(part, at);
      at += part.length;
    }
    return ids;
  }

  #countText(text: Uint8Array): number {
    const count = new Uint32Array(1);
    this.#counter.count(text, Uint32Array.of(0, text.length), count);
    return count[0]!;
  }

  /** One document as valid, normalized text and, between, ids of added tokens. */
  #parts(document: Uint8Array): (Uint8Array | number)[] {
    let text = toValidUtf8(document);
    if (this.#nfc && !this.#addedFirst) text = toNfc(text);
    const parts = this.#added?.split(text) ?? [text];
    return this.#nfc && this.#addedFirst ? parts.map((part) => (typeof part === "number" ? part : toNfc(part))) : parts;
  }
}

function isAscii(bytes: Uint8Array, start: number, end: number): boolean {
  for (let i = start; i < end; i++) if (bytes[i]! >= 0x80) return false;
  return true;
}

function toNfc(text: Uint8Array): Uint8Array {
  if (isAscii(text, 0, text.length)) return text;
  const string = Buffer.from(text.buffer, text.byteOffset, text.byteLength).toString("utf8");
  const normalized = string.normalize("NFC");
  return normalized === string ? text : Buffer.from(normalized, "utf8");
}
