/** What counting a manifest's files again found: of all of them, or of those that could be or were to be counted. */
import type { Manifest } from "./contract.ts";
import { type DocumentIndex, rowOf, type Segment } from "./document-index.ts";

export class Recounted {
  readonly index: DocumentIndex;
  /** whether every file was counted, so that it is known which documents are held out */
  readonly complete: boolean;
  /** by domain: segment by index into manifest.files */
  readonly #segments: readonly ReadonlyMap<number, Segment>[];
  readonly #counted: ReadonlySet<number>;

  /** @param places index into manifest.files of each of the index's files */
  constructor(index: DocumentIndex, places: readonly number[], manifest: Manifest) {
    this.index = index;
    this.complete = places.length === manifest.files.length;
    this.#counted = new Set(places);
    this.#segments = index.domains.map(
      ({ segments }) => new Map(segments.map((segment) => [places[segment.file]!, segment])),
    );
  }

  has(file: number): boolean {
    return this.#counted.has(file);
  }

  /** Of a run of rows, if all of them are documents of the domain: their tokens, and how many are held out. */
  documents(
    domain: number,
    file: number,
    rowStart: number,
    rowEnd: number,
  ): { readonly tokens: number; readonly heldOut: number } | null {
    const segment = this.#segments[domain]!.get(file);
    if (segment === undefined) return null;
    const first = find(segment, rowStart);
    const size = rowEnd - rowStart;
    if (first < 0 || first + size > segment.count || rowOf(segment, first + size - 1) !== rowEnd - 1) return null;
    const { heldOut: mask, documentTokens } = this.index.domains[domain]!;
    let tokens = 0;
    let heldOut = 0;
    const ordinal = segment.ordinal + first;
    for (let i = ordinal; i < ordinal + size; i++) {
      tokens += documentTokens[i]!;
      heldOut += mask[i]!;
    }
    return { tokens, heldOut };
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
