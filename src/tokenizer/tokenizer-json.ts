/**
 * Hugging Face's tokenizer.json: reads it and checks the parts that every tokenizer here must have. Whether and how it
 * can be honoured is decided in honour.ts.
 */
import { readFile } from "node:fs/promises";
import { z } from "zod";
import { DoremiError, withPlace } from "../lib/errors.ts";
import { sha256 } from "../lib/hash.ts";

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

const bpe = z.looseObject({
  type: z.literal("BPE").optional(),
  dropout: z.number().nullish(),
  unk_token: z.string().nullish(),
  continuing_subword_prefix: z.string().nullish(),
  end_of_word_suffix: z.string().nullish(),
  byte_fallback: z.boolean().nullish(),
  ignore_merges: z.boolean().nullish(),
  // hundreds of thousands of entries: checked by hand below, a schema would take seconds
  vocab: z.custom<Record<string, number>>(isVocab, "must map each token to an id"),
  merges: z.custom<(string | [string, string])[]>(isMerges, 'must be pairs of tokens, as "a b" or ["a", "b"]'),
});
export type BpeModel = z.infer<typeof bpe>;

function isVocab(value: unknown): boolean {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  return Object.values(value).every(
    (id: unknown) => Number.isInteger(id) && (id as number) >= 0 && (id as number) < 2 ** 31,
  );
}

function isMerges(value: unknown): boolean {
  if (!Array.isArray(value)) return false;
  return value.every((merge: unknown) => {
    if (typeof merge === "string") return merge.indexOf(" ") > 0;
    return Array.isArray(merge) && merge.length === 2 && typeof merge[0] === "string" && typeof merge[1] === "string";
  });
}

export interface TokenizerJson {
  readonly path: string;
  readonly addedTokens: readonly AddedToken[];
  readonly normalizer: Part | null;
  readonly preTokenizer: Part | null;
  readonly model: BpeModel;
  /** sha256 of the parts that can change a count; truncation, padding, post-processor and decoder are not among them */
  readonly contentSha256: string;
}

/** @throws DoremiError missing-file, bad-tokenizer, unsupported-tokenizer */
export async function readTokenizerJson(path: string): Promise<TokenizerJson> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    throw withPlace(error, { file: path });
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw bad(path, `it is not JSON (${cause instanceof Error ? cause.message : cause})`, cause);
  }
  const outer = tokenizerJson.safeParse(json);
  if (!outer.success) throw bad(path, firstIssue(outer.error), outer.error);
  const { added_tokens, normalizer, pre_tokenizer, model } = outer.data;
  if (model.type !== undefined && model.type !== "BPE") throw unsupported(path, `its model is ${model.type}`);
  const inner = bpe.safeParse(model);
  if (!inner.success) throw bad(path, `model.${firstIssue(inner.error)}`, inner.error);
  return {
    path,
    addedTokens: added_tokens ?? [],
    normalizer: normalizer ?? null,
    preTokenizer: pre_tokenizer ?? null,
    model: inner.data,
    contentSha256: sha256(JSON.stringify([added_tokens ?? [], normalizer ?? null, pre_tokenizer ?? null, model])),
  };
}

function firstIssue(error: z.ZodError): string {
  const issue = error.issues[0];
  return issue === undefined ? "it has another form" : `${issue.path.join(".") || "top level"}: ${issue.message}`;
}

function bad(path: string, found: string, cause: unknown): DoremiError {
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
      "use a byte-level BPE tokenizer (GPT-2, Llama 3, Qwen) or a BPE with byte fallback (Llama 2, Mistral)",
    { file: path },
  );
}

export function mergePair(merge: string | readonly [string, string]): readonly [string, string] {
  if (typeof merge !== "string") return merge;
  const space = merge.indexOf(" ");
  return [merge.slice(0, space), merge.slice(space + 1)];
}
