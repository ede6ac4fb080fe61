/**
 * All documents of the corpus by domain, from the counts, in typed arrays: 5 bytes a document, 9 where a file mixes
 * domains (4 more while counts with a held-out rule are being read). What selection and verification look things up in.
 */
import { DoremiError } from "../lib/errors.ts";
import type { CountSource, HeldOutRule, ManifestFile, ShardCounts } from "./contract.ts";
import { heldOutMask } from "./held-out.ts";

/** The documents of one domain in one file. */
export interface Segment {
  /** index into DocumentIndex.files */
  readonly file: number;
  /** ordinal of the first, among the domain's documents in the order of files and rows */
  readonly ordinal: number;
  readonly count: number;
  /** row of each, counted from the start of the file; null where they are consecutive rows from `firstRow` on */
  readonly rows: Uint32Array | null;
  readonly firstRow: number;
  readonly tokens: Uint32Array; // [count]
}

export interface DomainDocuments {
  readonly name: string;
  /** held-out ones included */
  readonly allDocuments: number;
  readonly heldOutDocuments: number;
  /** 1 = held out, by ordinal */
  readonly heldOut: Uint8Array; // [allDocuments]
  /** of what training may see: everything but the held-out documents */
  readonly documents: number;
  readonly bytes: number;
  readonly tokens: number;
  /** tokens of the longest of these */
  readonly longestTokens: number;
  /** in the order of files */
  readonly segments: readonly Segment[];
}

export interface DocumentIndex {
  readonly files: readonly ManifestFile[];
  readonly domains: readonly DomainDocuments[];
}

export interface IndexRequest {
  readonly counts: CountSource;
  /** names, in the order of the domain indices in the counts */
  readonly domains: readonly string[];
  readonly heldOut: HeldOutRule;
  readonly seed: number;
  readonly signal?: AbortSignal;
}

/** Reads the counts once. @throws DoremiError bad-counts; whatever `counts` throws */
export async function indexDocuments(request: IndexRequest): Promise<DocumentIndex> {
  const { counts, domains, heldOut: rule, seed, signal } = request;
  const keepBytes = rule.kind === "fraction";
  const files: ManifestFile[] = [];
  const building = domains.map(() => ({ documents: 0, bytes: 0, segments: [] as SegmentWithBytes[] }));
  for await (const shard of counts()) {
    signal?.throwIfAborted();
    checkCounts(shard, domains.length);
    for (const segment of segmentsOf(shard, files.length, domains.length, keepBytes)) {
      const domain = building[segment.domain]!;
      domain.segments.push({ ...segment, ordinal: domain.documents });
      domain.documents += segment.count;
      domain.bytes += segment.totalBytes;
    }
    files.push(shard.file);
  }
  return {
    files,
    domains: building.map(({ documents, bytes, segments }, index) => {
      const name = domains[index]!;
      return finishDomain(name, documents, bytes, segments, heldOutMask(rule, seed, name, documents));
    }),
  };
}

/** Row of document `i` of a segment. */
export function rowOf(segment: Segment, i: number): number {
  return segment.rows === null ? segment.firstRow + i : segment.rows[i]!;
}

interface SegmentWithBytes extends Segment {
  readonly bytes: Uint32Array | null;
}

/** The documents of each domain in one file, in one pass over its rows; `ordinal` is filled in by the caller. */
function segmentsOf(shard: ShardCounts, file: number, domains: number, keepBytes: boolean) {
  const counts = new Uint32Array(domains);
  for (const domain of shard.domain) if (domain >= 0) counts[domain]! += 1;
  const parts = Array.from(counts, (count, domain) => {
    if (count === 0) return null;
    const bytes = keepBytes ? new Uint32Array(count) : null;
    return { domain, rows: new Uint32Array(count), tokens: new Uint32Array(count), bytes, totalBytes: 0, filled: 0 };
  });
  for (let row = 0; row < shard.domain.length; row++) {
    const domain = shard.domain[row]!;
    if (domain < 0) continue;
    const part = parts[domain]!;
    part.rows[part.filled] = row;
    part.tokens[part.filled] = shard.tokens[row]!;
    if (part.bytes) part.bytes[part.filled] = shard.bytes[row]!;
    part.totalBytes += shard.bytes[row]!;
    part.filled += 1;
  }
  return parts
    .filter((part) => part !== null)
    .map(({ domain, rows, tokens, bytes, totalBytes, filled: count }) => {
      const firstRow = rows[0]!;
      const consecutive = rows[count - 1]! - firstRow === count - 1;
      return { domain, totalBytes, file, ordinal: 0, count, rows: consecutive ? null : rows, firstRow, tokens, bytes };
    });
}

function finishDomain(
  name: string,
  allDocuments: number,
  allBytes: number,
  segments: readonly SegmentWithBytes[],
  heldOut: Uint8Array,
): DomainDocuments {
  let heldOutDocuments = 0;
  let bytes = allBytes;
  let tokens = 0;
  let longestTokens = 0;
  for (const segment of segments) {
    for (let i = 0; i < segment.count; i++) {
      if (heldOut[segment.ordinal + i] === 1) {
        heldOutDocuments += 1;
        bytes -= segment.bytes![i]!;
      } else {
        tokens += segment.tokens[i]!;
        longestTokens = Math.max(longestTokens, segment.tokens[i]!);
      }
    }
  }
  return {
    name,
    allDocuments,
    heldOutDocuments,
    heldOut,
    documents: allDocuments - heldOutDocuments,
    bytes,
    tokens,
    longestTokens,
    segments: segments.map(({ file, ordinal, count, rows, firstRow, tokens }) => ({
      file,
      ordinal,
      count,
      rows,
      firstRow,
      tokens,
    })),
  };
}

function checkCounts({ file, domain, bytes, tokens }: ShardCounts, domains: number): void {
  const fault = (message: string) =>
    new DoremiError("bad-data", "bad-counts", `counts of ${file.path}: ${message}; count the shard again`, {
      file: file.path,
    });
  for (const [name, column] of Object.entries({ domain, bytes, tokens })) {
    if (column.length !== file.rows) throw fault(`must have ${file.rows} rows, ${name} has ${column.length}`);
  }
  const grouped = file.rowGroups.reduce((sum, rows) => sum + rows, 0);
  if (grouped !== file.rows) throw fault(`row groups hold ${grouped} rows of ${file.rows}`);
  const wrong = domain.find((index) => index < -1 || index >= domains);
  if (wrong !== undefined) throw fault(`domain index must be −1..${domains - 1}, got ${wrong}`);
}
