/**
 * All documents of the corpus by domain, from the counts, in typed arrays: 5 bytes a document, 9 where a file mixes
 * domains. What selection and verification look things up in.
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
}

export interface DomainDocuments {
  readonly name: string;
  /** held-out ones included */
  readonly allDocuments: number;
  readonly heldOutDocuments: number;
  /** 1 = held out, by ordinal */
  readonly heldOut: Uint8Array; // [allDocuments]
  /** by ordinal */
  readonly documentTokens: Uint32Array; // [allDocuments]
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
  /**
   * of each domain, held-out ones included, where that is known beforehand: bytes of documents are then not kept until
   * all are read, which is 4 bytes a document
   */
  readonly documents?: readonly number[];
  readonly signal?: AbortSignal;
}

/** Reads the counts once. @throws DoremiError bad-counts; whatever `counts` throws */
export async function indexDocuments(request: IndexRequest): Promise<DocumentIndex> {
  const { counts, domains, heldOut: rule, seed, signal } = request;
  const maskOf = (domain: number, documents: number) => heldOutMask(rule, seed, domains[domain]!, documents);
  const known = request.documents?.map((documents, domain) => ({ documents, mask: maskOf(domain, documents) }));
  const files: ManifestFile[] = [];
  const building = domains.map((_, domain) => new DomainBuilder(known?.[domain]?.documents));
  for await (const shard of counts()) {
    signal?.throwIfAborted();
    checkCounts(shard, domains.length);
    for (const part of segmentsOf(shard, files.length, domains.length, rule.kind === "fraction")) {
      building[part.domain]!.add(part, known?.[part.domain]?.mask);
    }
    files.push(shard.file);
  }
  return {
    files,
    domains: building.map((builder, domain) => {
      const expected = known?.[domain];
      if (expected && expected.documents !== builder.documents) {
        throw new DoremiError(
          "bad-data",
          "bad-counts",
          `counts of “${domains[domain]}”: hold ${builder.documents} documents, their totals say ${expected.documents}; ` +
            "count again",
        );
      }
      return builder.finish(domains[domain]!, expected?.mask ?? maskOf(domain, builder.documents));
    }),
  };
}

/** A domain while its documents arrive. */
class DomainBuilder {
  documents = 0;
  readonly #segments: Segment[] = [];
  /** longer than what is filled: what nobody wrote to takes no memory */
  #documentTokens: Uint32Array;
  /** by segment, where it is not known yet which of its documents are held out */
  readonly #pendingBytes: (Uint32Array | null)[] = [];
  #bytes = 0;
  #tokens = 0;
  #longestTokens = 0;
  #heldOutDocuments = 0;

  /** @param expected number of documents, if it is known by now */
  constructor(expected = 0) {
    this.#documentTokens = new Uint32Array(expected);
  }

  /** @param mask of the domain's held-out documents, if it is known by now */
  add(
    { file, count, rows, firstRow, tokens, bytes, totalBytes }: SegmentWithBytes,
    mask: Uint8Array | undefined,
  ): void {
    const segment = { file, ordinal: this.documents, count, rows, firstRow };
    this.#append(tokens);
    this.#bytes += totalBytes;
    if (mask) this.#settle(segment, bytes, mask);
    else this.#pendingBytes.push(bytes);
    this.#segments.push(segment);
  }

  finish(name: string, heldOut: Uint8Array): DomainDocuments {
    for (const [i, bytes] of this.#pendingBytes.entries()) this.#settle(this.#segments[i]!, bytes, heldOut);
    return {
      name,
      allDocuments: this.documents,
      heldOutDocuments: this.#heldOutDocuments,
      heldOut,
      documentTokens: this.#documentTokens.subarray(0, this.documents),
      documents: this.documents - this.#heldOutDocuments,
      bytes: this.#bytes,
      tokens: this.#tokens,
      longestTokens: this.#longestTokens,
      segments: this.#segments,
    };
  }

  #append(tokens: Uint32Array): void {
    const end = this.documents + tokens.length;
    if (end > this.#documentTokens.length) {
      const grown = new Uint32Array(2 * end);
      grown.set(this.#documentTokens.subarray(0, this.documents));
      this.#documentTokens = grown;
    }
    this.#documentTokens.set(tokens, this.documents);
    this.documents = end;
  }

  /** Takes what is held out from the totals. @param bytes null where nothing is */
  #settle({ ordinal, count }: Segment, bytes: Uint32Array | null, mask: Uint8Array): void {
    for (let i = 0; i < count; i++) {
      if (mask[ordinal + i] === 1) {
        this.#heldOutDocuments += 1;
        this.#bytes -= bytes![i]!;
      } else {
        const tokens = this.#documentTokens[ordinal + i]!;
        this.#tokens += tokens;
        if (tokens > this.#longestTokens) this.#longestTokens = tokens;
      }
    }
  }
}

/** Row of document `i` of a segment. */
export function rowOf(segment: Segment, i: number): number {
  return segment.rows === null ? segment.firstRow + i : segment.rows[i]!;
}

interface SegmentWithBytes extends Omit<Segment, "ordinal"> {
  readonly domain: number;
  readonly tokens: Uint32Array; // [count]
  /** of each document; null where they are not asked for */
  readonly bytes: Uint32Array | null;
  readonly totalBytes: number;
}

/** The documents of each domain in one file, in one pass over its rows. */
function segmentsOf(shard: ShardCounts, file: number, domains: number, keepBytes: boolean): SegmentWithBytes[] {
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
      return { domain, totalBytes, file, count, rows: consecutive ? null : rows, firstRow, tokens, bytes };
    });
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
