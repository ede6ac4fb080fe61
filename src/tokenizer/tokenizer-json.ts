/**
 * Hugging Face's tokenizer.json: reads it and checks the parts that every tokenizer here must have. Whether and how it
 * can be honoured is decided in honour.ts.
 */
import { isUtf8 } from "node:buffer";
import { createHash } from "node:crypto";
import { z } from "zod";
import { DoremiError, withPlace } from "../lib/errors.ts";
import { readWhole } from "../storage/files.ts";
import type { FlatVocab } from "./flat-json.ts";
import { readFlatJson } from "./flat-json.ts";
import { FlatJsonError } from "./json-scanner.ts";
import type { Strings } from "./token-table.ts";
import { TokenTable } from "./token-table.ts";

const addedToken = z.object({
  id: z.int().nonnegative(),
  content: z.string().min(1),
  single_word: z.boolean().default(false),
  lstrip: z.boolean().default(false),
  rstrip: z.boolean().default(false),
  normalized: z.boolean().optional(),
  special: z.boolean().default(false),
});
export type AddedToken = z.infer<typeof addedToken>;

/** A normalizer or pre-tokenizer; its members are checked where it is honoured. */
export type Part = { readonly type: string; readonly [member: string]: unknown };
const part = z.looseObject({ type: z.string() });

const tokenizerJson = z.looseObject({
  added_tokens: z.array(addedToken).nullish(),
  normalizer: part.nullish(),
  pre_tokenizer: part.nullish(),
  model: z.looseObject({ type: z.string().optional() }),
});

const bpe = z.object({
  dropout: z.number().nullish(),
  unk_token: z.string().nullish(),
  continuing_subword_prefix: z.string().nullish(),
  end_of_word_suffix: z.string().nullish(),
  fuse_unk: z.boolean().nullish(),
  byte_fallback: z.boolean().nullish(),
  ignore_merges: z.boolean().nullish(),
});

export interface BpeModel extends z.infer<typeof bpe> {
  readonly type: "BPE";
  readonly vocab: TokenTable;
  /** left and right part of each merge, by priority */
  readonly merges: Strings;
}

const unigram = z.object({
  unk_id: z.int().nonnegative().nullish(),
  byte_fallback: z.boolean().nullish(),
});

export interface UnigramModel extends z.infer<typeof unigram> {
  readonly type: "Unigram";
  readonly vocab: TokenTable;
  /** of each token, by id */
  readonly scores: Float64Array;
}

const wordPiece = z.object({
  unk_token: z.string(),
  continuing_subword_prefix: z.string(),
  max_input_chars_per_word: z.int().nonnegative(),
});

export interface WordPieceModel extends z.infer<typeof wordPiece> {
  readonly type: "WordPiece";
  readonly vocab: TokenTable;
}

const wordLevel = z.object({ unk_token: z.string() });

export interface WordLevelModel extends z.infer<typeof wordLevel> {
  readonly type: "WordLevel";
  readonly vocab: TokenTable;
}

export type Model = BpeModel | UnigramModel | WordPieceModel | WordLevelModel;

export interface TokenizerJson {
  readonly path: string;
  readonly addedTokens: readonly AddedToken[];
  readonly normalizer: Part | null;
  readonly preTokenizer: Part | null;
  readonly model: Model;
  /** sha256 of the parts that can change a count; truncation, padding, post-processor and decoder are not among them */
  readonly contentSha256: string;
}

/** @throws DoremiError missing-file, bad-tokenizer, unsupported-tokenizer */
export async function readTokenizerJson(path: string): Promise<TokenizerJson> {
  let file: Uint8Array;
  try {
    file = await readWhole(path);
  } catch (error) {
    throw withPlace(error, { file: path });
  }
  if (!isUtf8(file)) throw bad(path, "it is not UTF-8");
  let flat: ReturnType<typeof readFlatJson>;
  try {
    flat = readFlatJson(file);
  } catch (cause) {
    if (cause instanceof FlatJsonError || cause instanceof SyntaxError) {
      throw bad(path, `it is not as such a file is (${cause.message})`, cause);
    }
    throw cause;
  }
  const outer = tokenizerJson.safeParse(flat.rest);
  if (!outer.success) throw bad(path, firstIssue(outer.error), outer.error);
  const { added_tokens, normalizer, pre_tokenizer, model } = outer.data;
  const small = JSON.stringify([added_tokens ?? [], normalizer ?? null, pre_tokenizer ?? null, model]);
  const hash = createHash("sha256").update(small);
  if (flat.vocab !== undefined) hashStrings(hash, flat.vocab.strings).update(bytesOf(flat.vocab.numbers));
  if (flat.merges !== undefined) hashStrings(hash, flat.merges);
  return {
    path,
    addedTokens: added_tokens ?? [],
    normalizer: normalizer ?? null,
    preTokenizer: pre_tokenizer ?? null,
    model: readModel(path, model, flat.vocab, flat.merges),
    contentSha256: hash.digest("hex"),
  };
}

function hashStrings(hash: ReturnType<typeof createHash>, { bytes, ends }: Strings): typeof hash {
  return hash.update(bytesOf(ends)).update(bytes);
}

function bytesOf(array: Uint32Array | Float64Array): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}

function readModel(
  path: string,
  model: { type?: string | undefined; [member: string]: unknown },
  vocab: FlatVocab | undefined,
  merges: Strings | undefined,
): Model {
  const settings = <T>(schema: z.ZodType<T>): T => {
    const parsed = schema.safeParse(model);
    if (!parsed.success) throw bad(path, `model.${firstIssue(parsed.error)}`, parsed.error);
    return parsed.data;
  };
  const type = model.type ?? typeBefore(model, vocab, merges);
  switch (type) {
    case "BPE":
      if (merges === undefined) throw bad(path, "model.merges is no list of merges");
      return { ...settings(bpe), type, vocab: tokenTable(path, vocab), merges };
    case "Unigram":
      if (vocab?.kind !== "scores") throw bad(path, "model.vocab is no list of tokens and their scores");
      return { ...settings(unigram), type, ...scoredTokens(vocab) };
    case "WordPiece":
      return { ...settings(wordPiece), type, vocab: tokenTable(path, vocab) };
    case "WordLevel":
      return { ...settings(wordLevel), type, vocab: tokenTable(path, vocab) };
    default:
      throw unsupported(path, `its model is ${type}`);
  }
}

/** Files from before models had a type: the first whose members are there. */
function typeBefore(model: object, vocab: FlatVocab | undefined, merges: Strings | undefined): string {
  if (vocab?.kind === "scores") return "Unigram";
  if (merges !== undefined || !("unk_token" in model)) return "BPE";
  return "max_input_chars_per_word" in model && "continuing_subword_prefix" in model ? "WordPiece" : "WordLevel";
}

function scoredTokens({ strings, numbers }: FlatVocab): Pick<UnigramModel, "vocab" | "scores"> {
  return {
    vocab: new TokenTable(
      strings,
      Uint32Array.from(numbers, (_, id) => id),
    ),
    scores: numbers,
  };
}

/** @throws DoremiError bad-tokenizer where model.vocab is no object of ids */
function tokenTable(path: string, vocab: FlatVocab | undefined): TokenTable {
  if (vocab?.kind !== "ids") throw bad(path, "model.vocab does not map each token to an id");
  const wrong = vocab.numbers.findIndex((id) => !Number.isInteger(id) || id < 0 || id >= 2 ** 31);
  if (wrong >= 0) throw bad(path, `model.vocab has the id ${vocab.numbers[wrong]}`);
  const ids = Uint32Array.from(vocab.numbers);
  const table = new TokenTable(vocab.strings, ids);
  const twice = repeated(ids);
  if (twice !== undefined) throw bad(path, `model.vocab has two tokens of id ${twice}`);
  if (table.hasDuplicates()) throw bad(path, "model.vocab has a token twice");
  return table;
}

function repeated(ids: Uint32Array): number | undefined {
  if (ids.every((id, i) => i === 0 || id > ids[i - 1]!)) return undefined; // as nearly all files are
  const sorted = ids.slice().sort();
  return sorted.find((id, i) => i > 0 && id === sorted[i - 1]);
}

function firstIssue(error: z.ZodError): string {
  const issue = error.issues[0];
  return issue === undefined ? "it has another form" : `${issue.path.join(".") || "top level"}: ${issue.message}`;
}

export function bad(path: string, found: string, cause?: unknown): DoremiError {
  return new DoremiError(
    "bad-data",
    "bad-tokenizer",
    `${path}: must be a tokenizer.json as Hugging Face's tokenizers writes it; ${found}; save it again with tokenizer.save("tokenizer.json")`,
    { file: path, cause },
  );
}

export function unsupported(path: string, found: string): DoremiError {
  return new DoremiError(
    "bad-configuration",
    "unsupported-tokenizer",
    `${path}: a tokenizer is used only if its counts can be exact, and ${found}, which can't be honoured exactly; ` +
      "use a tokenizer.json as GPT-2, Llama, Qwen, Mistral, T5, XLM-R or BERT have it",
    { file: path },
  );
}
