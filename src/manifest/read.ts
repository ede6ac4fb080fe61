/**
 * Reads a resampled set: the manifest, its selection, and the documents that it selects, in its order, for one reader
 * or as one of several equal parts, from any document on. Checks of content are verify's.
 */
import { DoremiError } from "../lib/errors.ts";
import { folderOf } from "../storage/location.ts";
import type { Manifest } from "./contract.ts";
import type { ManifestDocument, ReadContext } from "./document.ts";
import { loadManifest } from "./load.ts";
import { type RootOptions, resolveInside, rootOf } from "./paths.ts";
import { checkCursor, checkPart, type ManifestCursor, partRuns } from "./read-part.ts";
import { readStreams } from "./read-streams.ts";
import { readWindows } from "./read-window.ts";
import { readStoredUnit, SourceShards, type UnitReader } from "./source-shard.ts";

export type { ManifestDocument } from "./document.ts";
export { loadManifest } from "./load.ts";
export type { ManifestCursor } from "./read-part.ts";
export { readSelection } from "./selection-file.ts";
export type { UnitReader, UnitRequest, UnitRows } from "./source-shard.ts";

export interface ReadManifestOptions extends RootOptions {
  /** which part, 0 .. numShards − 1 */
  readonly shardIndex?: number;
  /**
   * Equal parts; together they are the whole, nothing twice. Each has its share of every domain: of a mixed order it is a
   * stretch, so that the documents of each reader keep the proportions from the first on; of domain after domain it is
   * such a stretch of every domain and epoch.
   */
  readonly numShards?: number;
  /** of a document that was read before, under the same part: what comes behind it is given */
  readonly cursor?: ManifestCursor;
  /**
   * About so many bytes of text are read ahead where documents are shuffled (or more domains alternate than files are
   * kept open), default 128 MiB. Every row group with documents in a window is decoded for it: twice the bytes, half the
   * reading. Other orders are read a batch at a time, and each row group once.
   */
  readonly windowBytes?: number;
  /** how documents are read; needed where the manifest has a transform. "stored" reads the text without it. */
  readonly readUnit?: UnitReader | "stored";
  readonly signal?: AbortSignal;
}

const WINDOW_BYTES = 128 << 20;
/** Files that are open at once, each with a batch in memory. */
const MAX_OPEN = 128;

/**
 * The selected documents. Backpressure is the consumer's: nothing is read before it is asked for. Ending the loop early
 * closes all files.
 *
 * @throws DoremiError of the manifest (loadManifest), the selection (bad-selection), the shards (changed-file, …),
 * path-outside-root, needs-transform, bad-shard-index, bad-cursor, bad-window
 */
export async function* readManifest(
  path: string,
  options: ReadManifestOptions = {},
): AsyncGenerator<ManifestDocument, void> {
  const { shardIndex = 0, numShards = 1, windowBytes = WINDOW_BYTES, cursor = null, signal } = options;
  const part = { shardIndex, numShards };
  checkPart(part);
  if (!(Number.isSafeInteger(windowBytes) && windowBytes > 0)) {
    throw new DoremiError("usage", "bad-window", `windowBytes: must be an integer above 0, got ${windowBytes}`);
  }
  const manifest = await loadManifest(path);
  if (cursor) checkCursor(cursor, manifest, part);
  const shards = new SourceShards(
    manifest,
    rootOf(path, manifest, options),
    unitReaderFor(path, manifest, options),
    options,
  );
  const runs = partRuns(await resolveInside(folderOf(path), manifest.selection.path), manifest, part, cursor);
  const context: ReadContext = { manifest, part, shards, windowBytes, signal };
  signal?.throwIfAborted();
  yield* isSequential(manifest) ? readStreams(runs, context) : readWindows(runs, context);
}

/** Whether each domain's documents come as they lie, at least within row groups, and not too many domains alternate. */
function isSequential({ order, shuffle, domains }: Manifest): boolean {
  return shuffle !== "document" && (order === "domain" || domains.length <= MAX_OPEN);
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
