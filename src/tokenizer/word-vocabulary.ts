/** WordPiece models (BERT) and WordLevel models: their tables for the counter. */
import { tokenDecoder } from "./characters.ts";
import type { SpacesPlan } from "./plan.ts";
import type { WordLevelModel, WordPieceModel } from "./tokenizer-json.ts";
import { bad } from "./tokenizer-json.ts";
import type { TokenStrings } from "./vocabulary.ts";
import { byId } from "./vocabulary.ts";

export interface WordPieceVocabulary extends TokenStrings {
  readonly unknownId: number;
  /** UTF-8 of what stands before the text of a token that goes on with a word */
  readonly continuingPrefix: Uint8Array;
  /** a word of more characters is unknown */
  readonly longestWord: number;
}

export interface WordLevelVocabulary extends TokenStrings {
  readonly unknownId: number;
}

/** @throws DoremiError bad-tokenizer */
export function wordPieceVocabulary(model: WordPieceModel, spaces: SpacesPlan, path: string): WordPieceVocabulary {
  return {
    ...byId(model.vocab, tokenDecoder(spaces)),
    unknownId: unknownId(model, path),
    continuingPrefix: Buffer.from(model.continuing_subword_prefix, "utf8"),
    longestWord: Math.min(model.max_input_chars_per_word, 0xffff_ffff),
  };
}

/** @throws DoremiError bad-tokenizer */
export function wordLevelVocabulary(model: WordLevelModel, spaces: SpacesPlan, path: string): WordLevelVocabulary {
  return { ...byId(model.vocab, tokenDecoder(spaces)), unknownId: unknownId(model, path) };
}

function unknownId({ vocab, unk_token: token }: WordPieceModel | WordLevelModel, path: string): number {
  const id = vocab.idOf(token);
  if (id === undefined) throw bad(path, `model.unk_token ${JSON.stringify(token)} is not in model.vocab`);
  return id;
}
