/**
 * Decides how a tokenizer.json can be honoured exactly: by the counter, by @huggingface/tokenizers, or not at all. Only
 * settings whose effect on both sides is known to be equal to the reference implementation's are let through.
 */
import { hasAllBytes } from "./byte-level.ts";
import type { SplitPattern } from "./patterns.ts";
import { GPT2_REGEX, patternOfRegex } from "./patterns.ts";
import type { AddedToken, Part, TokenizerJson } from "./tokenizer-json.ts";
import { unsupported } from "./tokenizer-json.ts";

export type Honour =
  | {
      readonly path: "fast";
      readonly pattern: SplitPattern;
      readonly nfc: boolean;
      readonly added: readonly AddedToken[];
    }
  | { readonly path: "library"; readonly preTokenizer: Part | null; readonly added: readonly AddedToken[] };

/** Unicode's normal forms, which JavaScript has too. */
const NORMAL_FORMS = new Set(["NFC", "NFD", "NFKC", "NFKD"]);

/** Ids, merges and bytes of a token must fit the counter's tables (vocabulary.ts of the assembly). */
const COUNTER_TOKENS = 1 << 21;

/** @throws DoremiError unsupported-tokenizer */
export function honour(json: TokenizerJson): Honour {
  const { model, path } = json;
  if (model.dropout) throw unsupported(path, `model.dropout is ${model.dropout}`);
  if (model.continuing_subword_prefix) throw unsupported(path, "model.continuing_subword_prefix is set");
  if (model.end_of_word_suffix) throw unsupported(path, "model.end_of_word_suffix is set");

  // text of special tokens is ordinary text; added tokens that are not special are part of the vocabulary
  const added = json.addedTokens.filter((token) => !token.special);
  for (const token of added) {
    for (const flag of ["single_word", "lstrip", "rstrip"] as const) {
      if (token[flag]) throw unsupported(path, `its added token ${JSON.stringify(token.content)} has ${flag}`);
    }
    const inModel = Object.hasOwn(model.vocab, token.content) ? model.vocab[token.content] : token.id;
    if (inModel !== token.id) {
      throw unsupported(
        path,
        `its added token ${JSON.stringify(token.content)} has id ${token.id} but ${inModel} in model.vocab`,
      );
    }
  }

  const pattern = fastPattern(json.preTokenizer);
  const normalizers = parts(json.normalizer, "normalizers");
  const nfcOnly = normalizers.every(({ type }) => type === "NFC");
  const small = Object.keys(model.vocab).length < COUNTER_TOKENS && model.merges.length < COUNTER_TOKENS;
  if (pattern !== undefined && nfcOnly && hasAllBytes(model) && sameTurn(added) && small) {
    return { path: "fast", pattern, nfc: normalizers.length > 0, added };
  }
  for (const normalizer of normalizers) checkNormalizer(normalizer, path);
  if (!sameTurn(added)) throw unsupported(path, "its added tokens are partly normalized and partly not");
  const preTokenizer = libraryPreTokenizer(json);
  return { path: "library", preTokenizer, added };
}

/** Whether all tokens are looked for in the same turn: before normalizing, or after. */
function sameTurn(added: readonly AddedToken[]): boolean {
  return new Set(added.map(isNormalized)).size <= 1;
}

export function isNormalized(token: AddedToken): boolean {
  return token.normalized ?? !token.special;
}

function parts(part: Part | null, members: string): readonly Part[] {
  if (part === null) return [];
  if (part.type !== "Sequence") return [part];
  const inner = part[members];
  return Array.isArray(inner) ? inner.flatMap((one: Part) => parts(one, members)) : [];
}

function fastPattern(preTokenizer: Part | null): SplitPattern | undefined {
  const [first, second, ...more] = parts(preTokenizer, "pretokenizers");
  if (first === undefined || more.length > 0) return undefined;
  if (second === undefined) {
    return isByteLevel(first) && first.use_regex !== false ? patternOfRegex(GPT2_REGEX) : undefined;
  }
  const regex = isolatedRegex(first);
  if (regex === undefined || !isByteLevel(second) || second.use_regex !== false) return undefined;
  return patternOfRegex(regex);
}

function isByteLevel(part: Part): boolean {
  return part.type === "ByteLevel" && part.add_prefix_space === false;
}

/** The regular expression of a Split whose matches are the pieces. */
function isolatedRegex(part: Part): string | undefined {
  if (part.type !== "Split" || part.behavior !== "Isolated" || part.invert === true) return undefined;
  const pattern = part.pattern;
  return typeof pattern === "object" && pattern !== null && "Regex" in pattern && typeof pattern.Regex === "string"
    ? pattern.Regex
    : undefined;
}

function checkNormalizer(normalizer: Part, path: string): void {
  if (NORMAL_FORMS.has(normalizer.type) || normalizer.type === "Prepend") return;
  if (normalizer.type === "Replace") {
    const { pattern, content } = normalizer;
    const literal = typeof pattern === "object" && pattern !== null && "String" in pattern;
    // JavaScript's replaceAll gives $ in the replacement a meaning
    if (literal && typeof content === "string" && !content.includes("$")) return;
    throw unsupported(path, "its normalizer replaces by a regular expression or with a $");
  }
  throw unsupported(path, `its normalizer is ${normalizer.type}`);
}

/** The pre-tokenizer to give to the library, in terms that it honours exactly. */
function libraryPreTokenizer({ preTokenizer, model, path }: TokenizerJson): Part | null {
  const given = parts(preTokenizer, "pretokenizers");
  const byteLevel = given.at(-1)?.type === "ByteLevel";
  const honoured = given.flatMap((part, i): Part[] => {
    if (part.type === "ByteLevel") {
      if (i < given.length - 1) throw unsupported(path, "its pre-tokenizer has steps after ByteLevel");
      if (part.add_prefix_space !== false)
        throw unsupported(path, "its pre-tokenizer adds a prefix space before ByteLevel");
      if (part.use_regex === false) return [part];
      // the library's own regex takes JavaScript's white space for Unicode's; its Split does not
      const split = { type: "Split", pattern: { Regex: GPT2_REGEX }, behavior: "Isolated", invert: false };
      return [split, { ...part, use_regex: false }];
    }
    if (part.type === "Metaspace") {
      if (given.length > 1 || part.split !== false || typeof part.prepend_scheme !== "string") {
        throw unsupported(path, "its Metaspace pre-tokenizer splits");
      }
      return [part];
    }
    if (isolatedRegex(part) === undefined) throw unsupported(path, `its pre-tokenizer has a ${part.type} step`);
    return [part];
  });
  if (byteLevel ? !hasAllBytes(model) : !hasByteFallback(model)) {
    throw unsupported(path, "some text would become unknown tokens in it");
  }
  if (honoured.length <= 1) return honoured[0] ?? null;
  return { type: "Sequence", pretokenizers: honoured };
}

function hasByteFallback(model: TokenizerJson["model"]): boolean {
  if (model.byte_fallback !== true) return false;
  for (let byte = 0; byte < 256; byte++) {
    if (!Object.hasOwn(model.vocab, `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`)) return false;
  }
  return true;
}
