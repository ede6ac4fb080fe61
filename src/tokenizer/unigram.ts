/** Unigram models (T5, XLM-R, ALBERT): their tables for the counter, and what of them can be honoured. */
import { byteTokensOf, tokenDecoder } from "./characters.ts";
import type { SpacesPlan } from "./plan.ts";
import type { UnigramModel } from "./tokenizer-json.ts";
import { bad, unsupported } from "./tokenizer-json.ts";
import type { TokenStrings } from "./vocabulary.ts";
import { byId } from "./vocabulary.ts";

export interface UnigramVocabulary extends TokenStrings {
  /** of each token */
  readonly scores: Float64Array;
  /** id of each byte's token; NO_ID where there is none */
  readonly byteTokens: Uint32Array;
  readonly unknownId: number;
  readonly unknownScore: number;
  /** unknown text becomes the tokens of its bytes, if there are all of them */
  readonly byteFallback: boolean;
}

/** What an unknown character costs beyond the worst token. */
const UNKNOWN_PENALTY = 10;

/** @throws DoremiError bad-tokenizer, unsupported-tokenizer */
export function unigramVocabulary(model: UnigramModel, spaces: SpacesPlan, path: string): UnigramVocabulary {
  const { vocab, scores, unk_id: unknownId } = model;
  if (unknownId === undefined || unknownId === null) {
    throw unsupported(path, "its vocabulary has no unknown token (model.unk_id), so some text has no tokens");
  }
  if (unknownId >= scores.length) throw bad(path, `model.unk_id ${unknownId} is no place in model.vocab`);
  if (spaces !== "kept" && vocab.idOf("\u2581") === undefined) {
    throw unsupported(path, "its vocabulary has no token for a space");
  }
  const lowest = scores.reduce((least, score) => Math.min(least, score), Number.POSITIVE_INFINITY);
  return {
    ...byId(vocab, tokenDecoder(spaces)),
    scores,
    byteTokens: byteTokensOf(vocab),
    unknownId,
    unknownScore: lowest - UNKNOWN_PENALTY,
    byteFallback: model.byte_fallback === true,
  };
}
