/**
 * What a tokenizer is to the rest of the program: bytes in, counts or ids out. Resolving finds and fingerprints a
 * vocabulary (main thread, once); opening builds its tables (each worker, once).
 */

/** What text of special tokens (`<|endoftext|>`) is: ordinary text, or the tokens. */
export type SpecialTokens = "text" | "parse";

/** A resolved tokenizer, as plain data: crosses threads and goes into plan files. */
export interface TokenizerDescriptor {
  /** the name in results: the name given (`r50k`), or the base name of the file without `.json` */
  readonly name: string;
  readonly source:
    | { readonly kind: "tiktoken"; readonly encoding: "r50k" | "p50k" | "cl100k" | "o200k" }
    | { readonly kind: "huggingface"; readonly path: string };
  /** sha256 over everything that can change a count: vocabulary, merges, pattern, normalizer, settings */
  readonly fingerprint: string;
  /** number of ids: all are in 0..vocabularySize−1 */
  readonly vocabularySize: number;
  /** id of the end-of-text token that separates documents in the token store; null where the vocabulary has none */
  readonly endOfText: number | null;
  /** "fast": our own counter; "library": @huggingface/tokenizers, exact and slower */
  readonly path: "fast" | "library";
  readonly specialTokens: SpecialTokens;
}

/**
 * Text that looks like a special token is ordinary text, unless `specialTokens` is "parse". Invalid UTF-8 is counted as if each maximal invalid
 * subsequence were U+FFFD (as WHATWG decoding does). No BOS or EOS is added.
 */
export interface Tokenizer {
  readonly descriptor: TokenizerDescriptor;
  /** Tokens of each document bytes[offsets[i]..offsets[i+1]] into counts[i]; counts.length = offsets.length − 1. */
  count(bytes: Uint8Array, offsets: Uint32Array, counts: Uint32Array): void;
  /** Ids of one document. The array is the caller's. */
  encode(bytes: Uint8Array): Uint32Array;
}
