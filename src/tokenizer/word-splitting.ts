/**
 * Pre-tokenizers that cut text by what its characters are (BERT's and their kin), as one table: which kinds of
 * characters are taken out, and between which a word ends. Whatever the order of several, the cuts are those of all.
 */
import { characterClasses, NUMERIC, PUNCTUATION, WHITE_SPACE, WORD } from "./normalizers/characters.ts";
import type { Part } from "./tokenizer-json.ts";

export interface WordSplitPlan {
  readonly kind: "words";
  /** bit per kind of character: taken out */
  readonly removed: number;
  /** bit per kind of a second character, for each kind of a first: a word ends between */
  readonly boundaries: readonly number[];
}

/** A kind is four bits of the class byte: punctuation 1, numeric 2, word character 4, white space 8. */
const KINDS = 16;
const FIRST_BIT = 3;

/** Class bytes for the counter: the kind of each code point. */
export function wordKinds(): Uint8Array {
  return characterClasses().map((classes) => (classes >> FIRST_BIT) & (KINDS - 1));
}

/** What one pre-tokenizer does; the numbers are bits of `characterClasses`. */
interface Cuts {
  readonly remove?: number;
  /** each such character is a word of its own */
  readonly isolate?: number;
  /** runs of such characters are words of their own */
  readonly contrast?: number;
}

/** undefined where a part has no exact equal here. */
export function wordSplit(parts: readonly Part[]): WordSplitPlan | undefined {
  const all: Cuts[] = [];
  for (const part of parts) {
    const cuts = cutsOf(part);
    if (cuts === undefined) return undefined;
    all.push(cuts);
  }
  let removed = 0;
  for (let kind = 0; kind < KINDS; kind++) {
    if (all.some(({ remove }) => has(kind, remove))) removed |= 1 << kind;
  }
  const boundaries = Array.from({ length: KINDS }, (_, first) => {
    let row = 0;
    for (let second = 0; second < KINDS; second++) if (cutBetween(all, first, second)) row |= 1 << second;
    return row;
  });
  return { kind: "words", removed, boundaries };
}

function cutsOf(part: Part): Cuts | undefined {
  switch (part.type) {
    case "WhitespaceSplit":
      return { remove: WHITE_SPACE };
    case "Whitespace":
      return { remove: WHITE_SPACE, contrast: WORD };
    case "BertPreTokenizer":
      return { remove: WHITE_SPACE, isolate: PUNCTUATION };
    case "Punctuation":
      return punctuationCuts(part.behavior);
    case "Digits":
      if (typeof part.individual_digits !== "boolean") return undefined;
      return part.individual_digits ? { isolate: NUMERIC } : { contrast: NUMERIC };
    default:
      return undefined;
  }
}

function punctuationCuts(behavior: unknown): Cuts | undefined {
  switch (behavior) {
    case undefined:
    case "Isolated":
      return { isolate: PUNCTUATION };
    case "Contiguous":
      return { contrast: PUNCTUATION };
    case "Removed":
      return { remove: PUNCTUATION };
    default:
      return undefined; // which neighbour it is merged with depends on more than the two
  }
}

function has(kind: number, classes: number | undefined): boolean {
  return classes !== undefined && (kind & (classes >> FIRST_BIT)) !== 0;
}

function cutBetween(all: readonly Cuts[], first: number, second: number): boolean {
  return all.some(
    ({ remove, isolate, contrast }) =>
      has(first, remove) ||
      has(second, remove) ||
      has(first, isolate) ||
      has(second, isolate) ||
      has(first, contrast) !== has(second, contrast),
  );
}
