/** The ids that occur in a stage's token stores, as the vocabulary of models that are to know no others. */
import { join } from "node:path";
import { openTokenStore } from "../../formats/token-store.ts";
import { writeFileAtomic } from "../../lib/atomic-write.ts";
import { sha256 } from "../../lib/hash.ts";
import { OccurringIds, VOCABULARY_FILE } from "../../trainer/vocabulary.ts";
import type { TokenizeOutput } from "./contract.ts";

/** Tokens that are read at once. */
const PIECE = 1 << 20;

/** Reads what was written, by whichever run of the stage. @param folder that the stores are complete in */
export async function writeVocabulary(
  folder: string,
  { tokenizer, domains }: Pick<TokenizeOutput, "tokenizer" | "domains">,
): Promise<NonNullable<TokenizeOutput["vocabulary"]>> {
  const occurring = new OccurringIds(tokenizer.vocabularySize);
  if (tokenizer.endOfText !== null) occurring.add([tokenizer.endOfText]);
  const paths = domains
    .flatMap(({ reference, proxy, heldOut }) => [reference, proxy, heldOut])
    .map((store) => store?.path);
  for (const path of new Set(paths)) {
    if (path === undefined) continue;
    const store = await openTokenStore(join(folder, path));
    try {
      for (let at = 0; at < store.tokens; at += PIECE)
        occurring.add(store.read(at, Math.min(at + PIECE, store.tokens)));
    } finally {
      store.close();
    }
  }
  const ids = occurring.ids();
  const { name, fingerprint, vocabularySize } = tokenizer;
  const text = `${JSON.stringify({ tokenizer: { name, fingerprint, vocabularySize }, ids })}\n`;
  await writeFileAtomic(join(folder, VOCABULARY_FILE), text);
  return {
    path: VOCABULARY_FILE,
    size: ids.length,
    sha256: sha256(text),
    endOfText: tokenizer.endOfText === null ? null : ids.indexOf(tokenizer.endOfText),
  };
}
