/**
 * Verification of selection.parquet: its bytes, each of its rows against the documents of the files, the sums, and that
 * the seed gives exactly these rows.
 */
import { dirname } from "node:path";
import { toPlainError } from "../lib/errors.ts";
import type { Manifest, ManifestFile, SelectionRow } from "./contract.ts";
import { type DocumentIndex, type DomainDocuments, rowOf, type Segment } from "./document-index.ts";
import { resolveInside } from "./paths.ts";
import type { ProblemList } from "./problems.ts";
import { selectDocuments, startsOf } from "./select.ts";
import { readSelection } from "./selection-file.ts";
import { hashOf } from "./verify-files.ts";

/** @param index what the files hold; null where that could not be found out, so that only the rows' form is checked */
export async function checkSelection(
  manifestPath: string,
  manifest: Manifest,
  index: DocumentIndex | null,
  problems: ProblemList,
  signal?: AbortSignal,
): Promise<void> {
  const before = problems.total;
  const rows = new RowChecker(manifest, index, problems);
  try {
    const path = await resolveInside(dirname(manifestPath), manifest.selection.path);
    const { sha256 } = await hashOf(path, signal);
    problems.expectSame("selection-sha256", `${manifest.selection.path}: sha256`, manifest.selection.sha256, sha256, {
      file: manifest.selection.path,
    });
    // Rows are compared one by one with what the seed gives; null once they differ.
    let expected = index && before === 0 ? reselect(manifest, index) : null;
    for await (const chunk of readSelection(path)) {
      signal?.throwIfAborted();
      for (const row of chunk) {
        rows.check(row);
        if (expected && !sameRow(row, expected.next().value ?? undefined)) {
          problems.add(
            "not-reproduced",
            `selection row ${rows.count - 1}: seed ${manifest.seed} gives another row here`,
          );
          expected = null;
        }
      }
    }
    if (expected && !expected.next().done) {
      problems.add("not-reproduced", `selection: ends after ${rows.count} rows, seed ${manifest.seed} gives more`);
    }
  } catch (error) {
    if (signal?.aborted) throw error;
    const { code, message } = toPlainError(error);
    problems.add(code, message, { file: manifest.selection.path });
    return; // sums over a part of the rows would only repeat that
  }
  rows.finish();
}

function reselect(manifest: Manifest, index: DocumentIndex): Generator<SelectionRow, void> {
  return selectDocuments(
    index,
    manifest.domains.map((domain) => domain.targetTokens),
    manifest.seed,
    manifest,
  ).rows();
}

function sameRow(a: SelectionRow, b: SelectionRow | undefined): boolean {
  return (
    b !== undefined &&
    a.file === b.file &&
    a.rowGroup === b.rowGroup &&
    a.rowStart === b.rowStart &&
    a.rowEnd === b.rowEnd &&
    a.domain === b.domain &&
    a.epoch === b.epoch &&
    a.tokens === b.tokens
  );
}

/** Goes through the rows in order, keeping only the one before and the domains' sums. */
class RowChecker {
  count = 0;
  readonly #manifest: Manifest;
  readonly #index: DocumentIndex | null;
  readonly #problems: ProblemList;
  readonly #domains: ReadonlyMap<string, number>;
  readonly #files: ReadonlyMap<
    string,
    { readonly place: number; readonly file: ManifestFile; readonly starts: number[] }
  >;
  readonly #segments: readonly ReadonlyMap<number, Segment>[];
  readonly #documents: number[];
  readonly #tokens: number[];
  #previous: { domain: number; epoch: number; file: number; rowStart: number; rowEnd: number } | null = null;

  constructor(manifest: Manifest, index: DocumentIndex | null, problems: ProblemList) {
    this.#manifest = manifest;
    this.#index = index;
    this.#problems = problems;
    this.#domains = new Map(manifest.domains.map((domain, place) => [domain.name, place]));
    this.#files = new Map(
      manifest.files.map((file, place) => [file.path, { place, file, starts: startsOf(file.rowGroups) }]),
    );
    this.#segments = (index?.domains ?? []).map(({ segments }) => new Map(segments.map((part) => [part.file, part])));
    this.#documents = manifest.domains.map(() => 0);
    this.#tokens = manifest.domains.map(() => 0);
  }

  check(row: SelectionRow): void {
    const number = this.count++;
    const place = { file: row.file, rowGroup: row.rowGroup, domain: row.domain };
    const report = (code: string, message: string) =>
      this.#problems.add(
        code,
        `selection row ${number} (${row.file}, rows ${row.rowStart} to ${row.rowEnd}): ${message}`,
        place,
      );
    const domain = this.#domains.get(row.domain);
    const entry = this.#files.get(row.file);
    if (domain === undefined) {
      report("unknown-domain", `the manifest has no domain “${row.domain}”`);
      return;
    }
    if (entry === undefined) {
      report("unknown-file", "the manifest has no such file");
      return;
    }
    this.#tokens[domain]! += row.tokens;
    this.#documents[domain]! += Math.max(0, row.rowEnd - row.rowStart);
    const groupStart = entry.starts[row.rowGroup] ?? Number.POSITIVE_INFINITY;
    const groupEnd = entry.starts[row.rowGroup + 1] ?? Number.NEGATIVE_INFINITY;
    if (!(row.rowStart >= groupStart && row.rowStart < row.rowEnd && row.rowEnd <= groupEnd)) {
      report("row-range", `must be a range of rows inside row group ${row.rowGroup}`);
      return;
    }
    this.#checkOrder(row, domain, entry.place, report);
    const documents = this.#index?.domains[domain];
    if (documents) this.#checkDocuments(row, documents, this.#segments[domain]!.get(entry.place), report);
  }

  #checkOrder(row: SelectionRow, domain: number, file: number, report: (code: string, message: string) => void): void {
    const last = this.#previous;
    this.#previous = { domain, epoch: row.epoch, file, rowStart: row.rowStart, rowEnd: row.rowEnd };
    if (last === null) return;
    const order = domain - last.domain || row.epoch - last.epoch || file - last.file;
    if (order > 0 || (order === 0 && row.rowStart >= last.rowEnd)) return;
    if (order === 0 && row.rowEnd > last.rowStart) {
      report("overlap", `has rows that were taken before in epoch ${row.epoch}`);
    } else report("order", "must be sorted by domain, epoch, file, row");
  }

  /** Every row is a document of the domain that may be trained on, and the tokens are theirs. */
  #checkDocuments(
    row: SelectionRow,
    domain: DomainDocuments,
    segment: Segment | undefined,
    report: (code: string, message: string) => void,
  ): void {
    const first = segment === undefined ? -1 : find(segment, row.rowStart);
    const size = row.rowEnd - row.rowStart;
    if (
      segment === undefined ||
      first < 0 ||
      first + size > segment.count ||
      rowOf(segment, first + size - 1) !== row.rowEnd - 1
    ) {
      report("not-a-document", `not every row is a document of “${row.domain}”`);
      return;
    }
    let tokens = 0;
    let heldOut = 0;
    for (let i = first; i < first + size; i++) {
      tokens += segment.tokens[i]!;
      heldOut += domain.heldOut[segment.ordinal + i]!;
    }
    if (heldOut > 0) report("held-out-selected", `${heldOut} of its documents are held out`);
    if (tokens !== row.tokens) report("row-tokens", `the selection says ${row.tokens} tokens, they are ${tokens}`);
  }

  finish(): void {
    const problems = this.#problems;
    problems.expectSame("selection-rows", "selection: rows", this.#manifest.selection.rows, this.count);
    for (const [i, claimed] of this.#manifest.domains.entries()) {
      const place = { domain: claimed.name };
      const { name, selectedDocuments, achievedTokens, targetTokens } = claimed;
      problems.expectSame(
        "selected-documents",
        `“${name}”: selectedDocuments`,
        selectedDocuments,
        this.#documents[i],
        place,
      );
      problems.expectSame("achieved-tokens", `“${name}”: achievedTokens`, achievedTokens, this.#tokens[i], place);
      const longest = this.#index?.domains[i]?.longestTokens;
      if (longest !== undefined && Math.abs(this.#tokens[i]! - targetTokens) > longest) {
        const message = `“${name}”: ${this.#tokens[i]} tokens are more than one document (${longest}) off the target ${targetTokens}`;
        problems.add("off-target", message, place);
      }
    }
  }
}

/** Place of a row's document in the segment, −1 where the row is no document of it. */
function find(segment: Segment, row: number): number {
  if (segment.rows === null) {
    const at = row - segment.firstRow;
    return at >= 0 && at < segment.count ? at : -1;
  }
  let low = 0;
  let high = segment.count - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    const found = segment.rows[middle]!;
    if (found === row) return middle;
    if (found < row) low = middle + 1;
    else high = middle - 1;
  }
  return -1;
}
