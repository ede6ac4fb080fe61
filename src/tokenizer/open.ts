/** Opens a resolved tokenizer: reads its vocabulary again, makes sure it is the one that was resolved, builds tables. */
import { DoremiError } from "../lib/errors.ts";
import { byteLevelVocabulary } from "./byte-level.ts";
import { Counter } from "./counter.ts";
import { FastTokenizer } from "./fast-tokenizer.ts";
import { readHuggingFace } from "./huggingface.ts";
import { LibraryTokenizer } from "./library-tokenizer.ts";
import { TIKTOKEN_PATTERNS } from "./patterns.ts";
import { readTiktoken } from "./tiktoken.ts";
import type { Tokenizer, TokenizerDescriptor } from "./tokenizer.ts";

/** @throws DoremiError tokenizer-changed where the vocabulary is not the one that `resolveTokenizer` saw */
export async function openTokenizer(descriptor: TokenizerDescriptor): Promise<Tokenizer> {
  const { source } = descriptor;
  if (source.kind === "tiktoken") {
    const { vocabulary, fingerprint } = await readTiktoken(source.encoding);
    checkFingerprint(descriptor, fingerprint);
    const counter = await Counter.create(vocabulary, TIKTOKEN_PATTERNS[source.encoding]);
    return new FastTokenizer(descriptor, counter, { nfc: false, added: [] });
  }
  const { json, honour, descriptor: now } = await readHuggingFace(source.path);
  checkFingerprint(descriptor, now.fingerprint);
  if (honour.path === "library") return new LibraryTokenizer(descriptor, json, honour);
  const counter = await Counter.create(byteLevelVocabulary(json.model, json.path), honour.pattern);
  return new FastTokenizer(descriptor, counter, honour);
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
