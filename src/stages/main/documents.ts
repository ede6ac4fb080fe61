/**
 * Losses of held-out sequences put together by document. The sequences of one document are no independent evidence, so
 * what is compared in the end are documents. Pure.
 */
import { evaluatedSequence } from "../../trainer/batches.ts";
import type { SequenceSums } from "../../trainer/contract.ts";

export interface DocumentLosses {
  /** tokens of each document that were evaluated */
  readonly sizes: number[];
  /** mean loss of each */
  readonly losses: number[];
}

/**
 * A sequence that runs over the end of a document counts for the one that holds its middle. Where there is one document
 * only, each sequence stands for itself: they say more than nothing.
 *
 * @param lengths tokens of each document of the store, in order
 */
export function documentLosses(
  { tokens, loss }: SequenceSums,
  lengths: ArrayLike<number>,
  sequenceLength: number,
): DocumentLosses {
  const total = Array.from(lengths).reduce((sum, length) => sum + length, 0);
  const stored = Math.ceil((total - 1) / sequenceLength); // sequences, the last one perhaps short
  const documents = new Map<number, { tokens: number; loss: number }>();
  let document = 0;
  let end = lengths[0] ?? 0; // of the document, in the store
  for (const [i, count] of tokens.entries()) {
    const start = evaluatedSequence(i, tokens.length, stored) * sequenceLength + 1; // of its targets
    while (end <= start + Math.floor(count / 2) && document < lengths.length - 1) end += lengths[++document]!;
    const at = documents.get(document) ?? { tokens: 0, loss: 0 };
    documents.set(document, { tokens: at.tokens + count, loss: at.loss + loss[i]! });
  }
  const units =
    documents.size > 1 ? [...documents.values()] : tokens.map((count, i) => ({ tokens: count, loss: loss[i]! }));
  return { sizes: units.map((unit) => unit.tokens), losses: units.map((unit) => unit.loss / unit.tokens) };
}
