/** The worker of tokenize: the token ids of chosen rows of one unit. */
import { withPlace } from "../../lib/errors.ts";
import { shownLocation } from "../../storage/location.ts";
import { openOnce } from "../../tokenizer/open.ts";
import type { TokenizerDescriptor } from "../../tokenizer/tokenizer.ts";
import { readDocuments, type UnitSource } from "../documents.ts";
import { asWorker } from "../pool.ts";

export interface EncodeTask {
  readonly source: UnitSource;
  readonly tokenizer: TokenizerDescriptor;
  /** rows within the unit, ascending */
  readonly rows: Uint32Array;
}

/** Ids of document i of the task's rows: ids[offsets[i] .. offsets[i + 1]]. */
export interface EncodedDocuments {
  readonly ids: Uint32Array;
  readonly offsets: Float64Array;
}

export default asWorker(async (task: EncodeTask): Promise<EncodedDocuments> => {
  const tokenizer = await openOnce(task.tokenizer);
  const wanted = new Map<number, number>();
  for (const [i, row] of task.rows.entries()) wanted.set(row, i);
  const documents: (Uint32Array | undefined)[] = new Array(task.rows.length);
  try {
    for await (const { row, batch } of readDocuments(task.source, { rows: 0 })) {
      for (let i = 0; i < batch.rows; i++) {
        const place = wanted.get(row[i]!);
        if (place === undefined) continue;
        documents[place] = tokenizer.encode(batch.bytes.subarray(batch.offsets[i]!, batch.offsets[i + 1]!));
      }
    }
  } catch (error) {
    throw withPlace(error, { file: shownLocation(task.source.path), rowGroup: task.source.unit.index });
  }
  const offsets = new Float64Array(documents.length + 1);
  for (const [i, ids] of documents.entries()) offsets[i + 1] = offsets[i]! + (ids?.length ?? 0);
  const ids = new Uint32Array(offsets.at(-1)!);
  for (const [i, document] of documents.entries()) if (document) ids.set(document, offsets[i]!);
  return { ids, offsets };
});
