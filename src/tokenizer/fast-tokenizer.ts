/**
 * The counter behind the Tokenizer contract: repairs UTF-8, cuts out added tokens, normalizes. Nearly all text needs
 * nothing of this and goes to the counter as it is; the rest goes there in one call too, as the texts that it becomes.
 */

import { allValid, toValidUtf8 } from "../lib/utf8.ts";
import { AddedTokenFinder } from "./added-tokens.ts";
import type { Counter } from "./counter.ts";
import type { CounterPlan } from "./plan.ts";
import { countedAsIs, normalizedText, preTokenizedText } from "./text-steps.ts";
import type { Tokenizer, TokenizerDescriptor } from "./tokenizer.ts";

export class FastTokenizer implements Tokenizer {
  readonly descriptor: TokenizerDescriptor;
  readonly #counter: Counter;
  readonly #plan: CounterPlan;
  /** tokens that are looked for in the text as it is */
  readonly #added: AddedTokenFinder | undefined;
  /** tokens that are looked for in the normalized text */
  readonly #normalizedAdded: AddedTokenFinder | undefined;

  constructor(descriptor: TokenizerDescriptor, counter: Counter, plan: CounterPlan) {
    this.descriptor = descriptor;
    this.#counter = counter;
    this.#plan = plan;
    const finder = (normalized: boolean, spaceIsMark: boolean) => {
      const tokens = plan.added.filter((token) => token.normalized === normalized);
      if (tokens.every(({ asText }) => asText)) return undefined;
      const contents = tokens.map(({ content }) => Buffer.from(content, "utf8"));
      return new AddedTokenFinder(
        tokens,
        normalized ? contents.map((content) => normalizedText(plan, content)) : contents,
        spaceIsMark,
      );
    };
    this.#added = finder(false, false);
    this.#normalizedAdded = finder(true, plan.spaces === "marked-by-normalizer");
  }

  count(bytes: Uint8Array, offsets: Uint32Array, counts: Uint32Array): void {
    const { prefix } = this.#plan;
    if (this.#isPlain(bytes, offsets)) {
      this.#counter.count(
        bytes,
        offsets,
        counts,
        prefix === null ? "none" : prefix.unlessThere ? "unless-there" : "always",
      );
      return;
    }
    const texts: Uint8Array[] = [];
    const textEnds = [0]; // texts of document i are textEnds[i]..textEnds[i + 1]
    for (let i = 0; i < counts.length; i++) {
      counts[i] = 0;
      for (const part of this.#parts(bytes.subarray(offsets[i]!, offsets[i + 1]!))) {
        if (typeof part === "number") counts[i]!++;
        else texts.push(part);
      }
      textEnds.push(texts.length);
    }
    const textCounts = this.#countTexts(texts);
    for (let i = 0; i < counts.length; i++) {
      for (let k = textEnds[i]!; k < textEnds[i + 1]!; k++) counts[i]! += textCounts[k]!;
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

  /** Whether the documents are for the counter as they are. */
  #isPlain(bytes: Uint8Array, offsets: Uint32Array): boolean {
    const start = offsets[0]!;
    const end = offsets[offsets.length - 1]!;
    if (!countedAsIs(this.#plan, bytes, start, end)) return false;
    // a normalized token may hold the prefix that the text is still without
    if (this.#normalizedAdded !== undefined && this.#plan.prefix?.by === "normalizer") return false;
    const text = bytes.subarray(start, end);
    if (this.#added?.occursIn(text) || this.#normalizedAdded?.occursIn(text)) return false;
    return allValid(bytes, offsets);
  }

  #countTexts(texts: readonly Uint8Array[]): Uint32Array {
    const offsets = new Uint32Array(texts.length + 1);
    for (let i = 0; i < texts.length; i++) offsets[i + 1] = offsets[i]! + texts[i]!.length;
    const bytes = new Uint8Array(offsets[texts.length]!);
    for (let i = 0; i < texts.length; i++) bytes.set(texts[i]!, offsets[i]!);
    const counts = new Uint32Array(texts.length);
    this.#counter.count(bytes, offsets, counts, "none");
    return counts;
  }

  /** One document as the texts that the counter gets and, between, ids of added tokens. */
  #parts(document: Uint8Array): (Uint8Array | number)[] {
    const parts: (Uint8Array | number)[] = [];
    const valid = toValidUtf8(document);
    for (const part of this.#added?.split(valid) ?? whole(valid)) {
      if (typeof part === "number") {
        parts.push(part);
        continue;
      }
      const normalized = normalizedText(this.#plan, part.text);
      for (const inner of this.#normalizedAdded?.split(normalized) ?? whole(normalized)) {
        if (typeof inner === "number") parts.push(inner);
        else parts.push(preTokenizedText(this.#plan, inner.text, part.start === 0 && inner.start === 0));
      }
    }
    return parts;
  }
}

function whole(text: Uint8Array): { text: Uint8Array; start: number }[] {
  return text.length === 0 ? [] : [{ text, start: 0 }];
}
