/**
 * The documents of one domain cut into units of one size: documents, row groups or shards, numbered in the order of files
 * and rows. A file or row group may hold several domains; a unit is this domain's part of it.
 */
import type { Granularity, ManifestFile } from "../contract.ts";
import { type DomainDocuments, rowOf } from "../document-index.ts";

/** What is known of a domain, however finely: without held-out documents. */
export interface CountedDomain {
  readonly name: string;
  readonly documents: number;
  readonly tokens: number;
}

export interface Units {
  readonly count: number;
  /** that training may see: without held-out ones */
  documentsOf(unit: number): number;
  /** of these documents */
  tokensOf(unit: number): number;
  /** ordinal of the first document; at `count`, the number of all documents */
  firstOrdinal(unit: number): number;
  /** the unit that holds a document */
  unitOf(ordinal: number): number;
}

export function unitsOf(domain: DomainDocuments, granularity: Granularity, files: readonly ManifestFile[]): Units {
  switch (granularity) {
    case "document":
      return new DocumentUnits(domain);
    case "row-group":
      return new SpanUnits(domain, groupFirsts(domain, files));
    case "shard":
      return new SpanUnits(
        domain,
        domain.segments.map((segment) => segment.ordinal),
      );
    default:
      return granularity satisfies never;
  }
}

class DocumentUnits implements Units {
  readonly count: number;
  readonly #heldOut: Uint8Array;
  readonly #tokens: Uint32Array;

  constructor({ allDocuments, heldOut, documentTokens }: DomainDocuments) {
    this.count = allDocuments;
    this.#heldOut = heldOut;
    this.#tokens = documentTokens;
  }

  documentsOf(unit: number): number {
    return 1 - this.#heldOut[unit]!;
  }

  tokensOf(unit: number): number {
    return this.#heldOut[unit] === 1 ? 0 : this.#tokens[unit]!;
  }

  firstOrdinal(unit: number): number {
    return unit;
  }

  unitOf(ordinal: number): number {
    return ordinal;
  }
}

class SpanUnits implements Units {
  readonly count: number;
  readonly #firsts: Float64Array; // [count + 1]
  readonly #documents: Float64Array; // [count]
  readonly #tokens: Float64Array; // [count]

  constructor(domain: DomainDocuments, firsts: readonly number[]) {
    this.count = firsts.length;
    this.#firsts = new Float64Array(this.count + 1).fill(domain.allDocuments);
    this.#firsts.set(firsts);
    this.#documents = new Float64Array(this.count);
    this.#tokens = new Float64Array(this.count);
    const { allDocuments, heldOut, documentTokens } = domain;
    let unit = 0;
    for (let ordinal = 0; ordinal < allDocuments; ordinal++) {
      while (ordinal >= this.#firsts[unit + 1]!) unit += 1;
      if (heldOut[ordinal] === 1) continue;
      this.#documents[unit]! += 1;
      this.#tokens[unit]! += documentTokens[ordinal]!;
    }
  }

  documentsOf(unit: number): number {
    return this.#documents[unit]!;
  }

  tokensOf(unit: number): number {
    return this.#tokens[unit]!;
  }

  firstOrdinal(unit: number): number {
    return this.#firsts[unit]!;
  }

  unitOf(ordinal: number): number {
    return lastAtMost(this.count, ordinal, (unit) => this.#firsts[unit]!);
  }
}

/** Ordinals at which the domain's documents enter another row group. */
function groupFirsts(domain: DomainDocuments, files: readonly ManifestFile[]): number[] {
  const firsts: number[] = [];
  for (const segment of domain.segments) {
    let groupEnd = 0;
    let group = 0;
    const { rowGroups } = files[segment.file]!;
    for (let i = 0; i < segment.count; i++) {
      const row = rowOf(segment, i);
      if (row < groupEnd) continue;
      while (row >= groupEnd) groupEnd += rowGroups[group++]!;
      firsts.push(segment.ordinal + i);
    }
  }
  return firsts;
}

/** Which segment holds a document, in a step or two wherever it is: documents are asked for in any order. */
export class SegmentLookup {
  readonly #ordinals: Float64Array; // [segments + 1] of the first document, and infinity
  /** place of the segment that holds the first document of each stretch of 2^shift */
  readonly #places: Int32Array;
  /** 2^−shift */
  readonly #scale: number;

  constructor({ segments, allDocuments }: DomainDocuments) {
    this.#ordinals = new Float64Array(segments.length + 1).fill(Number.POSITIVE_INFINITY);
    for (const [place, { ordinal }] of segments.entries()) this.#ordinals[place] = ordinal;
    let size = 1;
    while (size * (2 * segments.length + 1) < allDocuments) size *= 2;
    this.#scale = 1 / size;
    this.#places = new Int32Array(Math.ceil(allDocuments / size));
    let place = 0;
    for (let stretch = 0; stretch < this.#places.length; stretch++) {
      while (this.#ordinals[place + 1]! <= stretch * size) place += 1;
      this.#places[stretch] = place;
    }
  }

  placeOf(ordinal: number): number {
    let place = this.#places[Math.floor(ordinal * this.#scale)]!;
    while (this.#ordinals[place + 1]! <= ordinal) place += 1;
    return place;
  }
}

/** Last place of ascending values that is at most `wanted`; the first is. */
export function lastAtMost(count: number, wanted: number, valueAt: (place: number) => number): number {
  let low = 0;
  let high = count - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (valueAt(middle) <= wanted) low = middle;
    else high = middle - 1;
  }
  return low;
}
