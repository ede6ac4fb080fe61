/**
 * Which documents of a manifest one of several readers gives, and from where on: parts and cursors as ranges of
 * positions. The position of a document is its place in the selection, counted in documents. Reads the selection only.
 */
import { DoremiError } from "../lib/errors.ts";
import type { Manifest } from "./contract.ts";
import { selectionRuns } from "./selection-runs.ts";

/** One of several readers. */
export interface Part {
  /** 0 .. numShards − 1 */
  readonly shardIndex: number;
  readonly numShards: number;
}

/**
 * Where a reader goes on: plain data, some hundred bytes as JSON, good for the manifest and the part that it was made
 * from, however the documents are read.
 */
export interface ManifestCursor extends Part {
  /** of selection.parquet: the first 16 digits of its SHA-256 */
  readonly selection: string;
  /** documents of the whole manifest before the next */
  readonly position: number;
  /** row of the selection that the document before is in, and documents of that row that are done with */
  readonly row: number;
  readonly offset: number;
}

/** Documents of one run of the selection that belong to the part. */
export interface PartRun {
  /** index into manifest.files */
  readonly file: number;
  /** index into manifest.domains */
  readonly domain: number;
  readonly rowStart: number;
  readonly rowEnd: number; // exclusive
  readonly epoch: number;
  /** of the documents of the run, on the average; exact where the run is one document */
  readonly meanTokens: number;
  /** tokens of each document, where the selection tells: where the run in the selection is one document */
  readonly tokens: number | null;
  /** of the first document */
  readonly position: number;
  /** of the selection */
  readonly row: number;
  /** documents of the selection's row before the first of these */
  readonly offset: number;
}

export interface PositionRange {
  readonly from: number;
  readonly to: number; // exclusive
}

/** @throws DoremiError bad-shard-index */
export function checkPart({ shardIndex, numShards }: Part): void {
  const fits = Number.isSafeInteger(numShards) && Number.isSafeInteger(shardIndex);
  if (fits && shardIndex >= 0 && shardIndex < numShards) return;
  const message = `shardIndex: must be an integer from 0 to numShards − 1, got ${shardIndex} of ${numShards}`;
  throw new DoremiError("usage", "bad-shard-index", message);
}

/** @throws DoremiError bad-cursor where it is none, or one of another manifest or part */
export function checkCursor(cursor: ManifestCursor, manifest: Manifest, part: Part): void {
  const places = [cursor.position, cursor.row, cursor.offset];
  if (!places.every((place) => Number.isSafeInteger(place) && place >= 0) || cursor.offset > cursor.position) {
    throw badCursor("must be the cursor of a document, unchanged; position, row and offset are integers from 0 on");
  }
  if (cursor.selection !== cursorKey(manifest)) {
    throw badCursor(
      `must come from this manifest, whose selection is ${cursorKey(manifest)}, got one of ${cursor.selection}; ` +
        "read from the start, or give the manifest that was being read",
    );
  }
  if (cursor.shardIndex !== part.shardIndex || cursor.numShards !== part.numShards) {
    throw badCursor(
      `is of part ${cursor.shardIndex} of ${cursor.numShards}, and part ${part.shardIndex} of ${part.numShards} is ` +
        "asked for; keep a cursor for each part, and the number of parts",
    );
  }
}

function badCursor(message: string): DoremiError {
  return new DoremiError("usage", "bad-cursor", `cursor: ${message}`);
}

export function cursorKey({ selection }: Manifest): string {
  return selection.sha256.slice(0, 16);
}

/**
 * The positions of a part, ascending. Order "mixed": one stretch, documents ⌊D·i/N⌋ up to ⌊D·(i+1)/N⌋, since any stretch
 * of such an order holds the domains in proportion, within two pieces each; every Nth document would not, where lengths
 * are regular. Order "domain": such a stretch of every domain and epoch.
 */
export function* partPositions(
  manifest: Pick<Manifest, "order" | "domains" | "selection">,
  { shardIndex, numShards }: Part,
): Generator<PositionRange, void> {
  let start = 0;
  for (const total of manifest.order === "mixed" ? [manifest.selection.documents] : passes(manifest)) {
    const from = start + share(total, shardIndex, numShards);
    const to = start + share(total, shardIndex + 1, numShards);
    if (from < to) yield { from, to };
    start += total;
  }
}

/** More is no plan of anybody's, and takes long to count through. */
const MAX_PASSES = 1 << 20;

/** Documents of each epoch of each domain: all of the domain, but in its last epoch. */
function* passes({ domains }: Pick<Manifest, "domains">): Generator<number, void> {
  const count = domains.reduce((sum, { documents, selectedDocuments }) => sum + selectedDocuments / documents, 0);
  if (count > MAX_PASSES) {
    const message = `the manifest's domains are to be seen ${count} times in all, at most ${MAX_PASSES} can be split`;
    throw new DoremiError("bad-data", "bad-manifest", `${message}; run \`doremi verify\``);
  }
  for (const { documents, selectedDocuments } of domains) {
    let left = selectedDocuments;
    for (; documents > 0 && left > documents; left -= documents) yield documents;
    yield left;
  }
}

/** ⌊total · index / parts⌋ without losing digits for large totals. */
function share(total: number, index: number, parts: number): number {
  return Number((BigInt(total) * BigInt(index)) / BigInt(parts));
}

/**
 * The runs of the part from the cursor on.
 *
 * @param path of selection.parquet
 * @throws DoremiError bad-selection where a run is not in the manifest's files, or the selection ends too early
 */
export async function* partRuns(
  path: string,
  manifest: Manifest,
  part: Part,
  cursor: ManifestCursor | null,
): AsyncGenerator<PartRun, void> {
  const ranges = partPositions(manifest, part);
  let range = rangeFrom(ranges, cursor?.position ?? 0);
  if (range === null) return;
  let position = cursor ? cursor.position - cursor.offset : 0;
  for await (const runs of selectionRuns(path, manifest, cursor?.row ?? 0)) {
    for (let i = 0; i < runs.count; i++) {
      const [file, domain, rowStart, rowEnd] = [runs.file[i]!, runs.domain[i]!, runs.rowStart[i]!, runs.rowEnd[i]!];
      if (file < 0 || domain < 0 || rowStart >= rowEnd || rowEnd > manifest.files[file]!.rows) {
        const { file: name, domain: domainName } = runs.nameOf(i);
        throw bad(
          path,
          `row ${runs.start + i} selects rows ${rowStart} to ${rowEnd} of ${name} for domain “${domainName}”, which the manifest does not have`,
        );
      }
      const documents = rowEnd - rowStart;
      if (cursor?.row === runs.start + i && cursor.offset > documents) {
        throw badCursor(`row ${cursor.row} of the selection has ${documents} documents, got offset ${cursor.offset}`);
      }
      const meanTokens = runs.tokens[i]! / documents;
      const end = position + documents;
      while (range.from < end) {
        const offset = Math.max(0, range.from - position);
        const taken = Math.min(documents, range.to - position);
        yield {
          file,
          domain,
          rowStart: rowStart + offset,
          rowEnd: rowStart + taken,
          epoch: runs.epoch[i]!,
          meanTokens,
          tokens: documents === 1 ? meanTokens : null,
          position: position + offset,
          row: runs.start + i,
          offset,
        };
        if (range.to > end) break;
        range = rangeFrom(ranges, range.to);
        if (range === null) return;
      }
      position = end;
    }
  }
  throw bad(
    path,
    `ends after ${position} documents, and the manifest says that it has ${manifest.selection.documents}`,
  );
}

/** What is left of the ranges from a position on, the first of it; null where nothing is. */
function rangeFrom(ranges: Generator<PositionRange, void>, position: number): PositionRange | null {
  for (let next = ranges.next(); !next.done; next = ranges.next()) {
    if (next.value.to > position) return { from: Math.max(next.value.from, position), to: next.value.to };
  }
  return null;
}

function bad(path: string, message: string): DoremiError {
  return new DoremiError("bad-data", "bad-selection", `${path}: ${message}; run \`doremi verify\``, { file: path });
}
