/**
 * The second half of the shuffle: the documents of one output shard, put in order, go through the format's writer. The
 * mark that says so is written after the shard's files are in place.
 */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { writeFileAtomic } from "../../lib/atomic-write.ts";
import { DoremiError } from "../../lib/errors.ts";
import { sha256File } from "../../lib/hash.ts";
import type { MaterializedFile, OutputFormatName } from "../../manifest/materialized.ts";
import { asWorker } from "../pool.ts";
import { shardDocuments } from "./merge.ts";
import type { OutputShardRequest } from "./output-format.ts";
import { outputFormat } from "./outputs.ts";
import { planAt, type Totals } from "./plan.ts";
import { type SpillFile, spilledIdBytes } from "./spill.ts";

export interface WriteTask {
  readonly plan: { readonly path: string; readonly key: string };
  readonly output: OutputFormatName;
  /** over all groups */
  readonly shard: number;
  readonly spills: readonly SpillFile[];
  readonly request: OutputShardRequest;
  /** for reading what was spilled */
  readonly memoryBytes: number;
  readonly mark: string;
}

/** What the mark holds. */
export interface WriteMark {
  readonly totals: Totals;
  /** paths relative to the folder of the group */
  readonly files: readonly MaterializedFile[];
}

const NO_TEXT = new Uint8Array(0);
const NO_IDS = new Uint32Array(0);

export default asWorker(async (task: WriteTask): Promise<WriteMark> => {
  const plan = await planAt(task.plan.path, task.plan.key);
  const format = outputFormat(task.output);
  const idsOf = idReader(task.request.vocabularySize);
  const documents = new Array<number>(plan.domains.length).fill(0);
  const tokens = new Array<number>(plan.domains.length).fill(0);
  const shards = plan.boundaries.length - 1;
  const writer = await format.openShard(task.request);
  let names: readonly string[];
  try {
    let written = 0;
    for (const document of shardDocuments(task.spills, task.shard, shards, task.memoryBytes)) {
      if (document.position !== written) break;
      written += 1;
      documents[document.domain]! += 1;
      tokens[document.domain]! += document.tokens;
      const done = writer.write({
        domain: plan.domains[document.domain]!,
        epoch: document.epoch,
        file: plan.files[document.file]!.path,
        row: document.row,
        tokens: document.tokens,
        text: format.content === "text" ? document.content : NO_TEXT,
        ids: format.content === "ids" ? idsOf(document.content) : NO_IDS,
      });
      if (done !== undefined) await done;
    }
    if (written !== task.request.documents) {
      throw new DoremiError(
        "internal",
        "lost-document",
        `shard ${task.shard}: document ${written} of ${task.request.documents} is not where the plan has it; delete the output folder and run again`,
      );
    }
    names = await writer.finish();
  } catch (error) {
    await writer.discard();
    throw error;
  }
  const files = [];
  for (const path of names) {
    const full = join(task.request.folder, path);
    files.push({ path, size: (await stat(full)).size, sha256: await sha256File(full) });
  }
  const mark: WriteMark = { totals: { documents, tokens }, files };
  await writeFileAtomic(task.mark, JSON.stringify(mark));
  return mark;
});

/** The ids of spilled content, in memory that the next ones go into as well. */
function idReader(vocabularySize: number): (content: Uint8Array) => Uint32Array {
  if (spilledIdBytes(vocabularySize) === 4)
    return ({ buffer, byteOffset, length }) => new Uint32Array(buffer, byteOffset, length >> 2);
  let ids = new Uint32Array(1024);
  return ({ buffer, byteOffset, length }) => {
    const narrow = new Uint16Array(buffer, byteOffset, length >> 1);
    if (narrow.length > ids.length) ids = new Uint32Array(narrow.length * 2);
    ids.set(narrow);
    return ids.subarray(0, narrow.length);
  };
}
