/** Opens a resolved tokenizer: reads its vocabulary again, makes sure it is the one that was resolved, builds tables. */
import { DoremiError } from "../lib/errors.ts";
import { byteLevelVocabulary } from "./byte-level.ts";
import { characterVocabulary } from "./characters.ts";
import { Counter } from "./counter.ts";
import type { ModelTables } from "./counter-instance.ts";
import { FastTokenizer } from "./fast-tokenizer.ts";
import { readHuggingFace } from "./huggingface.ts";
import { LibraryTokenizer } from "./library-tokenizer.ts";
import type { CounterPlan } from "./plan.ts";
import { readTiktoken } from "./tiktoken.ts";
import type { Tokenizer, TokenizerDescriptor } from "./tokenizer.ts";
import type { TokenizerJson } from "./tokenizer-json.ts";
import { unigramVocabulary } from "./unigram.ts";
import { wordLevelVocabulary, wordPieceVocabulary } from "./word-vocabulary.ts";

/** @throws DoremiError tokenizer-changed where the vocabulary is not the one that `resolveTokenizer` saw */
export async function openTokenizer(descriptor: TokenizerDescriptor): Promise<Tokenizer> {
  const { source, specialTokens } = descriptor;
  if (source.kind === "tiktoken") {
    const { vocabulary, plan, fingerprint } = await readTiktoken(source.encoding, specialTokens);
    checkFingerprint(descriptor, fingerprint);
    return fast(descriptor, plan, { kind: "byte-level", vocabulary });
  }
  const { json, plan, descriptor: now } = await readHuggingFace(source.path, specialTokens);
  checkFingerprint(descriptor, now.fingerprint);
  if (plan.path === "library") return LibraryTokenizer.open(descriptor, json, plan);
  return fast(descriptor, plan, modelTables(plan, json));
}

async function fast(descriptor: TokenizerDescriptor, plan: CounterPlan, model: ModelTables): Promise<Tokenizer> {
  return new FastTokenizer(descriptor, await Counter.create(model, plan.split), plan);
}

function modelTables(plan: CounterPlan, { model, path }: TokenizerJson): ModelTables {
  const { spaces } = plan;
  switch (model.type) {
    case "BPE":
      return plan.model.kind === "byte-level"
        ? { kind: "byte-level", vocabulary: byteLevelVocabulary(model, path) }
        : { kind: "characters", vocabulary: characterVocabulary(model, spaces, path) };
    case "Unigram":
      return { kind: "unigram", vocabulary: unigramVocabulary(model, spaces, path) };
    case "WordPiece":
      return { kind: "word-piece", vocabulary: wordPieceVocabulary(model, spaces, path) };
    case "WordLevel":
      return { kind: "word-level", vocabulary: wordLevelVocabulary(model, spaces, path) };
    default:
      return model satisfies never;
  }
}

const opened = new Map<string, Promise<Tokenizer>>();

/** As `openTokenizer`, but this thread's one instance of each: tables take memory and a moment to build. */
export function openOnce(descriptor: TokenizerDescriptor): Promise<Tokenizer> {
  const key = JSON.stringify(descriptor);
  let tokenizer = opened.get(key);
  if (tokenizer === undefined) {
    tokenizer = openTokenizer(descriptor);
    opened.set(key, tokenizer);
    tokenizer.catch(() => opened.delete(key));
  }
  return tokenizer;
}

function checkFingerprint(descriptor: TokenizerDescriptor, found: string): void {
  if (found === descriptor.fingerprint) return;
  const { source } = descriptor;
  const place = source.kind === "huggingface" ? { file: source.path } : {};
  throw new DoremiError(
    "bad-data",
    "tokenizer-changed",
    `tokenizer ${descriptor.name}: must stay the same during a run; its fingerprint was ${descriptor.fingerprint} and is now ${found}; run again`,
    place,
  );
}
