/**
 * The corpus by row group instead of by document, for selections that choose and move nothing smaller: a number for each
 * row group, from totals, where counts of rows would be read for the same rows. Only of corpora whose row groups are each
 * of one domain and all documents, since nothing else says which rows are whose.
 */
import type { Granularity, GroupCounts, ManifestFile } from "../contract.ts";
import { lastAtMost, type Units } from "./units.ts";

/** A domain's row groups, in the order of files and groups. */
export interface DomainGroups {
  readonly name: string;
  readonly heldOutDocuments: 0;
  readonly documents: number;
  readonly bytes: number;
  readonly tokens: number;
  /** by group; those without documents are left out */
  readonly groups: readonly RowGroup[];
}

export interface RowGroup {
  /** index into GroupIndex.files */
  readonly file: number;
  /** in its file */
  readonly rowGroup: number;
  /** from the start of the file */
  readonly firstRow: number;
  /** all of its rows */
  readonly documents: number;
  readonly tokens: number;
  /** ordinal of its first document among the domain's */
  readonly ordinal: number;
}

export interface GroupIndex {
  readonly files: readonly ManifestFile[];
  readonly domains: readonly DomainGroups[];
}

/** @returns null where a row group mixes domains, or has a row that is no document */
export function indexGroups(counts: Iterable<GroupCounts>, domains: readonly string[]): GroupIndex | null {
  const files: ManifestFile[] = [];
  const building = domains.map(() => ({ documents: 0, bytes: 0, tokens: 0, groups: [] as RowGroup[] }));
  for (const { file, documents, bytes, tokens } of counts) {
    let firstRow = 0;
    for (const [rowGroup, rows] of file.rowGroups.entries()) {
      let whole = rows === 0;
      for (let d = 0; d < domains.length; d++) {
        const at = rowGroup * domains.length + d;
        if (documents[at] === 0) continue;
        if (documents[at] !== rows) return null;
        whole = true;
        const domain = building[d]!;
        domain.groups.push({
          file: files.length,
          rowGroup,
          firstRow,
          documents: rows,
          tokens: tokens[at]!,
          ordinal: domain.documents,
        });
        domain.documents += rows;
        domain.bytes += bytes[at]!;
        domain.tokens += tokens[at]!;
      }
      if (!whole) return null;
      firstRow += rows;
    }
    files.push(file);
  }
  return {
    files,
    domains: building.map((domain, d) => ({ name: domains[d]!, heldOutDocuments: 0, ...domain })),
  };
}

/** The domain's row groups, or those of each file together. */
export class GroupUnits implements Units {
  readonly count: number;
  readonly #ordinals: number[] = []; // [count + 1]
  readonly #tokens: number[] = []; // [count]

  constructor({ groups, documents }: DomainGroups, granularity: Exclude<Granularity, "document">) {
    let file = -1;
    for (const group of groups) {
      if (granularity === "row-group" || group.file !== file) {
        this.#ordinals.push(group.ordinal);
        this.#tokens.push(0);
      }
      file = group.file;
      this.#tokens[this.#tokens.length - 1]! += group.tokens;
    }
    this.count = this.#tokens.length;
    this.#ordinals.push(documents);
  }

  documentsOf(unit: number): number {
    return this.#ordinals[unit + 1]! - this.#ordinals[unit]!;
  }

  tokensOf(unit: number): number {
    return this.#tokens[unit]!;
  }

  firstOrdinal(unit: number): number {
    return this.#ordinals[unit]!;
  }

  unitOf(ordinal: number): number {
    return lastAtMost(this.count, ordinal, (unit) => this.#ordinals[unit]!);
  }
}
