/**
 * A model's vocabulary cut to the ids that occur in its data: the model computes over these and no others, exactly as one
 * whose tokenizer knew no more. With a large tokenizer and a small corpus most of a small model's work is saved.
 */
import { readFile } from "node:fs/promises";
import { DoremiError } from "../lib/errors.ts";
import type { SequenceReader } from "./batches.ts";

/** Beside a model that has such a vocabulary: `ids`, ascending, whose places in it are the model's ids. */
export const VOCABULARY_FILE = "vocabulary.json";

/** The ids of a vocabulary file. */
export async function readVocabulary(path: string): Promise<number[]> {
  return JSON.parse(await readFile(path, "utf8")).ids;
}

/** Collects the ids that occur. */
export class OccurringIds {
  readonly #seen: Uint8Array;

  /** @param vocabularySize of the tokenizer */
  constructor(vocabularySize: number) {
    this.#seen = new Uint8Array(vocabularySize);
  }

  add(ids: ArrayLike<number>): void {
    for (let i = 0; i < ids.length; i++) this.#seen[ids[i]!] = 1;
  }

  /** Ascending. */
  ids(): number[] {
    const ids: number[] = [];
    for (const [id, seen] of this.#seen.entries()) if (seen) ids.push(id);
    return ids;
  }
}

/**
 * A reader whose ids are places in the cut vocabulary.
 * @param ids the vocabulary, ascending
 * @throws DoremiError vocabulary, when a sequence with another id is read
 */
export function cutReader(reader: SequenceReader, ids: readonly number[]): SequenceReader {
  const places = new Int32Array((ids.at(-1) ?? -1) + 1).fill(-1);
  for (const [place, id] of ids.entries()) places[id] = place;
  return {
    sequences: reader.sequences,
    sequence: (index) =>
      reader.sequence(index).map((id) => {
        const place = places[id] ?? -1;
        if (place >= 0) return place;
        throw new DoremiError(
          "bad-data",
          "vocabulary",
          `sequence ${index}: id ${id} must be in the vocabulary that was cut to the ids that occur, and is not; the token store was changed, run again`,
        );
      }),
  };
}
