/**
 * What every reader of a shard gives and takes. A shard is one Parquet, Arrow or JSONL file; it has units (row group,
 * record batch, stretch of a JSONL file), each of which can be read alone by any worker, from plain data.
 * Text stays UTF-8 bytes: a batch holds one buffer and offsets, never a string per document.
 */

export type ShardFormat = "parquet" | "arrow-file" | "arrow-stream" | "jsonl";

/** `replace` is for text that is not UTF-8; what is bad otherwise is refused then. */
export const BAD_DOCUMENT_POLICIES = ["fail", "skip", "replace"] as const;
export type BadDocumentPolicy = (typeof BAD_DOCUMENT_POLICIES)[number];

export interface BadDocument {
  /** row within the unit */
  readonly row: number;
  readonly outcome: "skipped" | "replaced";
  /** invalid-utf8, bad-json, missing-column, wrong-column-type */
  readonly code: string;
  /** in words, without the place */
  readonly reason: string;
}

/** Which columns to read. A path's dots go into structs, unless a top-level column has exactly that name. */
export interface ColumnSelection {
  readonly text: string;
  /** column whose string value names the document's domain */
  readonly domain?: string;
  /** further columns for a transform, by path */
  readonly extra?: readonly string[];
  /**
   * What becomes of documents that cannot be taken as they are stored. Without it text comes as it is stored, whatever
   * its encoding, and a bad line of JSON is refused.
   */
  readonly onBadDocument?: BadDocumentPolicy;
}

/** Limits that hold before memory is taken. All in bytes. */
export interface ReadLimits {
  /** largest decompressed page (Parquet) or buffer (Arrow) */
  readonly maxPageBytes: number;
  /** all buffers of an Arrow record batch that are read, decompressed */
  readonly maxBatchBytes: number;
  /** longest JSONL line, decompressed */
  readonly maxLineBytes: number;
  /** largest footer, schema or metadata block */
  readonly maxMetadataBytes: number;
  /** most rows of a row group or record batch: nulls take no bytes, so that nothing else limits them */
  readonly maxUnitRows: number;
  /** a unit is handed on in batches of about this many text bytes (at least one document each) */
  readonly batchBytes: number;
}

export const DEFAULT_LIMITS: ReadLimits = {
  maxPageBytes: 1 << 30,
  maxBatchBytes: 2 ** 32,
  maxLineBytes: 1 << 29,
  maxMetadataBytes: 1 << 28,
  maxUnitRows: 1 << 27,
  batchBytes: 16 << 20,
};

/** One independently readable part of a shard, as plain data (crosses threads, goes into plan files). */
export interface ShardUnit {
  /** 0-based: row group, record batch, or stretch of a JSONL file */
  readonly index: number;
  /** rows in this unit; null where only reading tells (JSONL) */
  readonly rows: number | null;
  /** bytes of the shard that reading the selected columns of this unit touches */
  readonly storedBytes: number;
  /** estimate of memory that reading it takes, for the pool's budget */
  readonly memoryBytes: number;
  /** what the reader of this format needs to find the unit again (offsets); opaque to others, JSON-serialisable */
  readonly locator: unknown;
}

/** What opening a shard tells, without reading its data. Plain data. */
export interface ShardLayout {
  readonly format: ShardFormat;
  /** of the file, bytes */
  readonly size: number;
  /** rows of the whole shard; null where only reading tells */
  readonly rows: number | null;
  readonly units: readonly ShardUnit[];
}

/**
 * How batches are handed over. "owned": a text for each row, in memory that nothing else writes to. "lent": valid until
 * the next batch is asked for, and rows may share texts (`entries`); for consumers that look once and pass on.
 */
export type BatchForm = "owned" | "lent";

/**
 * Consecutive rows of one unit. `bytes`/`offsets` are Arrow's utf8 layout: text i is bytes[offsets[i] .. offsets[i + 1]],
 * and it is the text of row i, or of the rows whose entry it is. The UTF-8 is as stored, and its validity the consumer's
 * to judge, unless the columns say what becomes of bad documents.
 */
export interface TextBatch {
  readonly unit: number;
  /** row within the unit of the batch's first row */
  readonly rowStart: number;
  readonly rows: number;
  readonly bytes: Uint8Array;
  /** begins with 0; length rows + 1, or texts + 1 with `entries` */
  readonly offsets: Uint32Array;
  /**
   * Only in lent batches, of dictionary-encoded text: which text each row has (anything, for null). Batches of one
   * dictionary have the same `offsets` object, so what is known of its texts can be kept from one to the next.
   */
  readonly entries?: Int32Array;
  /** 1 = has a text, 0 = null; absent when none is null */
  readonly validity?: Uint8Array;
  /** present when a domain column was selected: dictionary index of each row, −1 for null */
  readonly domain?: { readonly names: readonly string[]; readonly indices: Int32Array };
  /** present when extra columns were selected: values by path, as apache-arrow vectors or plain arrays */
  readonly extra?: ReadonlyMap<string, ArrayLike<unknown>>;
  /** rows that the policy on bad documents changed, in order; absent where none */
  readonly bad?: readonly BadDocument[];
}
