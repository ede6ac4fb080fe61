/**
 * The selection: which documents give each domain its target tokens, and in which order a training sees them. No document
 * twice in a pass. Reads no text; the chosen rows stream out.
 */
import { DoremiError } from "../lib/errors.ts";
import type { SelectionRow } from "./contract.ts";
import { type DocumentIndex, rowOf } from "./document-index.ts";
import { chooseUnits } from "./selection/choose.ts";
import { FairQueue } from "./selection/fair-queue.ts";
import { type GroupIndex, GroupUnits } from "./selection/groups.ts";
import { pieceOf, type SelectionSettings } from "./selection/settings.ts";
import { DomainStream, type Piece } from "./selection/stream.ts";
import { lastAtMost, segmentAt, unitsOf } from "./selection/units.ts";

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
}

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
  const groupStarts = index.files.map((file) => startsOf(file.rowGroups));
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
  return selectionOf(streams, settings, rowsOf);

  function* rowsOf(domainIndex: number, piece: Piece): Generator<SelectionRow, void> {
    const domain = index.domains[domainIndex]!;
    let place = segmentAt(domain.segments, piece.from);
    for (let ordinal = piece.from; ordinal < piece.to; ordinal++) {
      if (domain.heldOut[ordinal] === 1) continue;
      while (ordinal >= domain.segments[place]!.ordinal + domain.segments[place]!.count) place += 1;
      const segment = domain.segments[place]!;
      const row = rowOf(segment, ordinal - segment.ordinal);
      const starts = groupStarts[segment.file]!;
      const rowGroup = lastAtMost(starts.length - 1, row, (group) => starts[group]!);
      yield {
        file: index.files[segment.file]!.path,
        rowGroup,
        rowStart: row,
        rowEnd: row + 1,
        domain: domain.name,
        epoch: piece.epoch,
        tokens: segment.tokens[ordinal - segment.ordinal]!,
      };
    }
  }
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
  return selectionOf(streams, settings, rowsOf);

  function* rowsOf(domainIndex: number, { from, to, epoch }: Piece): Generator<SelectionRow, void> {
    const { name, groups } = index.domains[domainIndex]!;
    for (let at = lastAtMost(groups.length, from, (place) => groups[place]!.ordinal); at < groups.length; at++) {
      const { file, rowGroup, firstRow, documents, tokens, ordinal } = groups[at]!;
      if (ordinal >= to) return;
      yield {
        file: index.files[file]!.path,
        rowGroup,
        rowStart: firstRow,
        rowEnd: firstRow + documents,
        domain: name,
        epoch,
        tokens,
      };
    }
  }
}

/** Whether totals of row groups say enough: documents are neither chosen nor moved one by one. */
export function needsNoDocuments(settings: SelectionSettings): boolean {
  return settings.granularity !== "document" && pieceOf(settings) !== "document";
}

/** @param rowsOf of a piece of a domain, in order */
function selectionOf(
  streams: readonly DomainStream[],
  settings: SelectionSettings,
  rowsOf: (domain: number, piece: Piece) => Generator<SelectionRow, void>,
): Selection {
  const domains = streams.map(({ domain, choice: { passes, partial } }) => ({
    name: domain.name,
    achievedTokens: passes * domain.tokens + (partial?.tokens ?? 0),
    selectedDocuments: passes * domain.documents + (partial?.documents ?? 0),
  }));
  return {
    settings,
    domains,
    *rows() {
      let run: SelectionRow | undefined;
      for (const [domain, piece] of pieces()) {
        for (const row of rowsOf(domain, piece)) {
          if (run !== undefined && continues(run, row)) {
            run = { ...row, rowStart: run.rowStart, tokens: run.tokens + row.tokens };
            continue;
          }
          if (run !== undefined) yield run;
          run = row;
        }
      }
      if (run !== undefined) yield run;
    },
  };

  function* pieces(): Generator<[domain: number, Piece], void> {
    if (settings.order === "domain") {
      for (const [i, stream] of streams.entries()) for (const piece of stream.pieces()) yield [i, piece];
      return;
    }
    const queue = new FairQueue(domains.map((domain) => domain.achievedTokens));
    const sources = streams.map((stream) => stream.pieces());
    const heads = sources.map((source) => source.next().value ?? null);
    for (const [i, head] of heads.entries()) if (head) queue.offer(i, head.tokens);
    for (let i = queue.next(); i >= 0; i = queue.next()) {
      yield [i, heads[i]!];
      const head = sources[i]!.next().value ?? null;
      heads[i] = head;
      if (head) queue.offer(i, head.tokens);
    }
  }
}

function continues(open: SelectionRow, row: SelectionRow): boolean {
  return (
    open.rowEnd === row.rowStart &&
    open.file === row.file &&
    open.rowGroup === row.rowGroup &&
    open.domain === row.domain &&
    open.epoch === row.epoch
  );
}

/** First row of each group, and the number of rows at the end. */
export function startsOf(rowGroups: readonly number[]): number[] {
  const starts = [0];
  for (const rows of rowGroups) starts.push(starts.at(-1)! + rows);
  return starts;
}
