/**
 * The selection: which documents give each domain its target tokens, and in which order a training sees them. No document
 * twice in a pass. Reads no text; the chosen rows stream out.
 */
import { DoremiError } from "../lib/errors.ts";
import type { ManifestFile, SelectionRow } from "./contract.ts";
import { type DocumentIndex, rowOf } from "./document-index.ts";
import { chooseUnits } from "./selection/choose.ts";
import { FairQueue } from "./selection/fair-queue.ts";
import { type GroupIndex, GroupUnits } from "./selection/groups.ts";
import { RunBuffer, type SelectionChunk } from "./selection/run-buffer.ts";
import { pieceOf, type SelectionSettings } from "./selection/settings.ts";
import { DomainStream, type PieceCursor } from "./selection/stream.ts";
import { lastAtMost, SegmentLookup, unitsOf } from "./selection/units.ts";

export type { SelectionSettings } from "./selection/settings.ts";

export interface DomainSelection {
  readonly name: string;
  /** within one unit of the granularity of the target */
  readonly achievedTokens: number;
  /** repeats included */
  readonly selectedDocuments: number;
}

export interface Selection {
  readonly settings: SelectionSettings;
  readonly domains: readonly DomainSelection[];
  /**
   * Runs of consecutive rows of one row group, in the order in which a training sees them. Made as they are asked for;
   * may be asked for more than once.
   */
  rows(): Generator<SelectionRow, void>;
  /** The same in columns, in chunks of CHUNK_ROWS: for selections of any size. */
  chunks(): Generator<SelectionChunk, void>;
  /** what a chunk's `file` and `domain` point into */
  readonly paths: readonly string[];
  readonly names: readonly string[];
}

/** Appends the rows of the cursor's piece to the buffer. */
type Emit = (domain: number, piece: PieceCursor, into: RunBuffer) => void;

/**
 * @param targetTokens of each domain, integers ≥ 0
 * @throws DoremiError no-tokens for a target above 0 where the domain has no token to give
 */
export function selectDocuments(
  index: DocumentIndex,
  targetTokens: readonly number[],
  seed: number,
  settings: SelectionSettings,
): Selection {
  const groups = new GroupLookup(index.files);
  const streams = index.domains.map(
    (domain, i) =>
      new DomainStream(
        domain,
        (granularity) => unitsOf(domain, granularity, index.files),
        settings,
        seed,
        (units) => chooseUnits(domain, units, targetTokens[i]!, seed),
      ),
  );
  const lookups = index.domains.map((domain) => new SegmentLookup(domain));
  return selectionOf(index, streams, settings, (domainIndex, piece, into) => {
    const { heldOut, segments, documentTokens } = index.domains[domainIndex]!;
    const { from, to, epoch } = piece;
    const alone = to - from === 1; // then it is not held out, and the piece knows its tokens: two misses of the cache less
    let place = lookups[domainIndex]!.placeOf(from);
    for (let ordinal = from; ordinal < to; ordinal++) {
      if (!alone && heldOut[ordinal] === 1) continue;
      let segment = segments[place]!;
      while (ordinal >= segment.ordinal + segment.count) segment = segments[++place]!;
      const row = rowOf(segment, ordinal - segment.ordinal);
      const rowGroup = groups.groupOf(segment.file, row);
      const tokens = alone ? piece.tokens : documentTokens[ordinal]!;
      into.append(segment.file, rowGroup, row, row + 1, domainIndex, epoch, tokens);
    }
  });
}

/**
 * The same rows as `selectDocuments` gives, from totals of row groups, where the settings choose and move nothing smaller.
 *
 * @throws DoremiError as selectDocuments
 */
export function selectGroups(
  index: GroupIndex,
  targetTokens: readonly number[],
  seed: number,
  settings: SelectionSettings,
): Selection {
  const streams = index.domains.map(
    (domain, i) =>
      new DomainStream(
        domain,
        (granularity) => {
          if (granularity !== "document") return new GroupUnits(domain, granularity);
          throw new DoremiError("internal", "selection", "totals of row groups do not tell documents apart");
        },
        settings,
        seed,
        (units) => chooseUnits(domain, units, targetTokens[i]!, seed),
      ),
  );
  return selectionOf(index, streams, settings, (domainIndex, { from, to, epoch }, into) => {
    const { groups } = index.domains[domainIndex]!;
    for (let at = lastAtMost(groups.length, from, (place) => groups[place]!.ordinal); at < groups.length; at++) {
      const { file, rowGroup, firstRow, documents, tokens, ordinal } = groups[at]!;
      if (ordinal >= to) return;
      into.append(file, rowGroup, firstRow, firstRow + documents, domainIndex, epoch, tokens);
    }
  });
}

/** Whether totals of row groups say enough: documents are neither chosen nor moved one by one. */
export function needsNoDocuments(settings: SelectionSettings): boolean {
  return settings.granularity !== "document" && pieceOf(settings) !== "document";
}

function selectionOf(
  { files }: Pick<DocumentIndex, "files">,
  streams: readonly DomainStream[],
  settings: SelectionSettings,
  emit: Emit,
): Selection {
  const domains = streams.map(({ domain, choice: { passes, partial } }) => ({
    name: domain.name,
    achievedTokens: passes * domain.tokens + (partial?.tokens ?? 0),
    selectedDocuments: passes * domain.documents + (partial?.documents ?? 0),
  }));
  const paths = files.map((file) => file.path);
  const names = domains.map((domain) => domain.name);
  return { settings, domains, paths, names, chunks, rows };

  function* chunks(): Generator<SelectionChunk, void> {
    const buffer = new RunBuffer();
    const cursors = streams.map((stream) => stream.pieces());
    if (settings.order === "domain") {
      for (const [domain, cursor] of cursors.entries()) {
        while (cursor.advance()) {
          emit(domain, cursor, buffer);
          while (buffer.hasFull) yield buffer.takeFull()!;
        }
      }
    } else {
      const queue = new FairQueue(domains.map((domain) => domain.achievedTokens));
      for (const [domain, cursor] of cursors.entries()) if (cursor.advance()) queue.offer(domain, cursor.tokens);
      for (let domain = queue.next(); domain >= 0; domain = queue.next()) {
        const cursor = cursors[domain]!;
        emit(domain, cursor, buffer);
        if (cursor.advance()) queue.offer(domain, cursor.tokens);
        while (buffer.hasFull) yield buffer.takeFull()!;
      }
    }
    const rest = buffer.takeRest();
    if (rest) yield rest;
  }

  function* rows(): Generator<SelectionRow, void> {
    for (const { count, file, rowGroup, rowStart, rowEnd, domain, epoch, tokens } of chunks()) {
      for (let i = 0; i < count; i++) {
        yield {
          file: paths[file[i]!]!,
          rowGroup: rowGroup[i]!,
          rowStart: rowStart[i]!,
          rowEnd: rowEnd[i]!,
          domain: names[domain[i]!]!,
          epoch: epoch[i]!,
          tokens: tokens[i]!,
        };
      }
    }
  }
}

/** First row of each group, and the number of rows at the end. */
export function startsOf(rowGroups: readonly number[]): number[] {
  const starts = [0];
  for (const rows of rowGroups) starts.push(starts.at(-1)! + rows);
  return starts;
}

/** The row group that holds a row: by division where all but the last of a file are equally long, as most files' are. */
class GroupLookup {
  readonly #length: Float64Array; // by file; 0 where they differ
  readonly #starts: readonly (readonly number[] | null)[]; // of these

  constructor(files: readonly Pick<ManifestFile, "rowGroups">[]) {
    this.#length = Float64Array.from(files, ({ rowGroups }) => equalLength(rowGroups));
    this.#starts = files.map(({ rowGroups }, file) => (this.#length[file] === 0 ? startsOf(rowGroups) : null));
  }

  groupOf(file: number, row: number): number {
    const length = this.#length[file]!;
    if (length > 0) return Math.floor(row / length);
    const starts = this.#starts[file]!;
    return lastAtMost(starts.length - 1, row, (group) => starts[group]!);
  }
}

/** Rows of each row group, of which the last may have fewer; 0 where another does. */
function equalLength(rowGroups: readonly number[]): number {
  const [first = 0] = rowGroups;
  return rowGroups.every((rows, i) => rows === first || (i === rowGroups.length - 1 && rows < first)) ? first : 0;
}
