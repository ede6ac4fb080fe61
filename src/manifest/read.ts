/**
 * Reads a resampled set: the manifest, its selection, and the documents that it selects, in its order, for one reader
 * or as one of several equal parts. Shuffling is the trainer's. Checks of content are verify's.
 */
import { dirname } from "node:path";
import type { ColumnSelection } from "../formats/shard.ts";
import { DoremiError } from "../lib/errors.ts";
import type { Manifest, ManifestFile, SelectionRow } from "./contract.ts";
import { loadManifest } from "./load.ts";
import { type RootOptions, resolveInside, rootOf } from "./paths.ts";
import { readSelection } from "./selection-file.ts";
import { readStoredUnit, ShardCursor, type UnitReader } from "./shard-cursor.ts";

export { loadManifest } from "./load.ts";
export { readSelection } from "./selection-file.ts";
export type { UnitReader, UnitRequest, UnitRows } from "./shard-cursor.ts";

export interface ManifestDocument {
  readonly domain: string;
  /** 0-based pass over the domain */
  readonly epoch: number;
  /** ManifestFile.path */
  readonly file: string;
  /** from the start of the file */
  readonly row: number;
  /** UTF-8; a view that keeps its whole batch in memory: copy what is to be kept */
  readonly text: Uint8Array;
}

export interface ReadManifestOptions extends RootOptions {
  /** which part, 0 .. numShards − 1 */
  readonly shardIndex?: number;
  /** equal parts, each with its share of every domain and epoch; together they are the whole, nothing twice */
  readonly numShards?: number;
  /** how documents are read; needed where the manifest has a transform. "stored" reads the text without it. */
  readonly readUnit?: UnitReader | "stored";
  readonly signal?: AbortSignal;
}

/**
 * The selected documents. Backpressure is the consumer's: nothing is read before it is asked for.
 *
 * @throws DoremiError of the manifest (loadManifest), the selection (bad-selection), the shards (changed-file, …),
 * path-outside-root, needs-transform, bad-shard-index
 */
export async function* readManifest(
  path: string,
  options: ReadManifestOptions = {},
): AsyncGenerator<ManifestDocument, void> {
  const { shardIndex = 0, numShards = 1 } = options;
  if (
    !(Number.isSafeInteger(numShards) && Number.isSafeInteger(shardIndex) && shardIndex >= 0 && shardIndex < numShards)
  ) {
    const message = `shardIndex: must be an integer from 0 to numShards − 1, got ${shardIndex} of ${numShards}`;
    throw new DoremiError("usage", "bad-shard-index", message);
  }
  const manifest = await loadManifest(path);
  const readUnit = unitReaderFor(path, manifest, options);
  const root = rootOf(path, manifest, options);
  const files = new Map(manifest.files.map((file) => [file.path, file]));
  const selection = await resolveInside(dirname(path), manifest.selection.path);

  let cursor: ShardCursor | null = null;
  let open: string | null = null;
  try {
    for await (const row of partOf(selection, shardIndex, numShards)) {
      options.signal?.throwIfAborted();
      const file = files.get(row.file);
      if (file === undefined || row.rowStart >= row.rowEnd || row.rowEnd > file.rows) {
        const message = `${selection}: selects rows ${row.rowStart} to ${row.rowEnd} of ${row.file}, which the manifest does not have`;
        throw new DoremiError("bad-data", "bad-selection", message, { file: selection });
      }
      if (open !== row.file || cursor === null) {
        await cursor?.close();
        cursor = new ShardCursor(
          await resolveInside(root, row.file, options),
          file,
          columnsOf(manifest, file, readUnit),
          readUnit,
        );
        open = row.file;
      }
      for await (const { row: number, text } of cursor.texts(row.rowStart, row.rowEnd)) {
        yield { domain: row.domain, epoch: row.epoch, file: row.file, row: number, text };
      }
    }
  } finally {
    await cursor?.close();
  }
}

function unitReaderFor(path: string, manifest: Manifest, { readUnit }: ReadManifestOptions): UnitReader {
  if (readUnit === "stored") return readStoredUnit;
  if (readUnit !== undefined) return readUnit;
  if (manifest.transform === null) return readStoredUnit;
  throw new DoremiError(
    "bad-configuration",
    "needs-transform",
    `${path}: its documents went through the transform ${manifest.transform.module}; give a readUnit that applies it, ` +
      'or "stored" for the text as it lies in the shards',
    { file: path },
  );
}

/** Only the text, unless somebody else's reader may look at the rest. */
function columnsOf({ columns, transform }: Manifest, file: ManifestFile, readUnit: UnitReader): ColumnSelection {
  if (readUnit === readStoredUnit) return { text: columns.text };
  return {
    text: columns.text,
    ...(file.domain === null && columns.domain !== null && { domain: columns.domain }),
    ...(transform !== null && transform.columns.length > 0 && { extra: transform.columns }),
  };
}

/** The rows of one part: of every domain and epoch, documents ⌊n·i/N⌋ up to ⌊n·(i+1)/N⌋. */
async function* partOf(selection: string, index: number, parts: number): AsyncGenerator<SelectionRow, void> {
  const documents = parts === 1 ? null : await documentsByGroup(selection);
  let group = "";
  let position = 0; // documents of the group before this row
  for await (const chunk of readSelection(selection)) {
    for (const row of chunk) {
      if (documents === null) {
        yield row;
        continue;
      }
      if (groupOf(row) !== group) {
        group = groupOf(row);
        position = 0;
      }
      const total = documents.get(group)!;
      const from = Math.max(row.rowStart, row.rowStart + share(total, index, parts) - position);
      const to = Math.min(row.rowEnd, row.rowStart + share(total, index + 1, parts) - position);
      position += row.rowEnd - row.rowStart;
      if (from < to) yield { ...row, rowStart: from, rowEnd: to };
    }
  }
}

async function documentsByGroup(selection: string): Promise<Map<string, number>> {
  const documents = new Map<string, number>();
  for await (const chunk of readSelection(selection)) {
    for (const row of chunk) {
      documents.set(groupOf(row), (documents.get(groupOf(row)) ?? 0) + row.rowEnd - row.rowStart);
    }
  }
  return documents;
}

function groupOf(row: SelectionRow): string {
  return `${row.epoch}/${row.domain}`;
}

/** ⌊total · index / parts⌋ without losing digits for large totals. */
function share(total: number, index: number, parts: number): number {
  return Number((BigInt(total) * BigInt(index)) / BigInt(parts));
}
