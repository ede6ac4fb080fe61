/**
 * Reads documents whose domains each go through their shards in order, as an order without a shuffle of documents does:
 * a cursor for each domain, so that a row group is decoded once for each domain in it.
 */
import { type ManifestDocument, manifestDocument, type ReadContext } from "./document.ts";
import type { PartRun } from "./read-part.ts";
import { ShardCursor } from "./shard-cursor.ts";

/** @param runs of which no more than a few hundred domains alternate: each has a file open and a batch in memory */
export async function* readStreams(
  runs: AsyncIterable<PartRun>,
  context: ReadContext,
): AsyncGenerator<ManifestDocument, void> {
  const { manifest, shards, signal } = context;
  const cursors = new Map<number, { readonly file: number; readonly cursor: ShardCursor }>();
  const close = async (domain: number) => {
    await cursors.get(domain)?.cursor.close();
    cursors.delete(domain);
  };
  try {
    for await (const run of runs) {
      let open = cursors.get(run.domain);
      if (open?.file !== run.file) {
        if (manifest.order === "domain") for (const domain of [...cursors.keys()]) await close(domain);
        else await close(run.domain);
        open = { file: run.file, cursor: new ShardCursor(await shards.open(run.file)) };
        cursors.set(run.domain, open);
      }
      for (let row = run.rowStart; row < run.rowEnd; row++) {
        signal?.throwIfAborted();
        const text = open.cursor.take(row) ?? (await open.cursor.load(row));
        yield manifestDocument(context, run, row, text);
      }
    }
  } finally {
    for (const domain of [...cursors.keys()]) await close(domain);
  }
}
