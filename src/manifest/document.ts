/** A document of a manifest as its readers give it, and what they all know. */
import type { Manifest } from "./contract.ts";
import { cursorKey, type ManifestCursor, type Part, type PartRun } from "./read-part.ts";
import type { SourceShards } from "./source-shard.ts";

export interface ManifestDocument {
  readonly domain: string;
  /** 0-based pass over the domain */
  readonly epoch: number;
  /** ManifestFile.path */
  readonly file: string;
  /** from the start of the file */
  readonly row: number;
  /**
   * UTF-8; a view of memory that other documents lie in too: a whole batch or window stays as long as one of its texts is
   * kept, and goes along where one is transferred to a worker. Copy what is to be kept or sent: `text.slice()`.
   */
  readonly text: Uint8Array;
  /** as the manifest counts them; null where the selection has only the sum over several documents */
  readonly tokens: number | null;
  /** place among the documents of the whole manifest, from 0 */
  readonly position: number;
  /** where a reader goes on that has seen this document: give it as `cursor` */
  readonly cursor: ManifestCursor;
}

/** What reading needs of a manifest and its caller. */
export interface ReadContext {
  readonly manifest: Manifest;
  readonly part: Part;
  readonly shards: SourceShards;
  /** about so many bytes of text are read ahead, where documents are shuffled */
  readonly windowBytes: number;
  readonly signal: AbortSignal | undefined;
}

/** Document of one row of a run. */
export function manifestDocument(
  { manifest, part }: Pick<ReadContext, "manifest" | "part">,
  run: PartRun,
  row: number,
  text: Uint8Array,
): ManifestDocument {
  const place = row - run.rowStart;
  const position = run.position + place;
  return {
    domain: manifest.domains[run.domain]!.name,
    epoch: run.epoch,
    file: manifest.files[run.file]!.path,
    row,
    text,
    tokens: run.tokens,
    position,
    cursor: {
      selection: cursorKey(manifest),
      shardIndex: part.shardIndex,
      numShards: part.numShards,
      position: position + 1,
      row: run.row,
      offset: run.offset + place + 1,
    },
  };
}
