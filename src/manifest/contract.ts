/**
 * The manifest's shape, and the counts that it is made from. `manifest.json` says what was chosen and why,
 * `selection.parquet` which rows. Same inputs and seed give the same bytes of both.
 */

import type { BadDocumentPolicy } from "../formats/shard.ts";
import type { DomainRule } from "./domain-rule.ts";

/** One input file. `path` is relative to the manifest's root, with `/` between its parts; or the URI of an object. */
export interface ManifestFile {
  readonly path: string;
  /** bytes */
  readonly size: number;
  /** null of an object that was not read whole: then `version` says what it is */
  readonly sha256: string | null;
  /** of an object: its ETag, or what its store says in place of one */
  readonly version?: string | undefined;
  readonly format: "parquet" | "arrow-file" | "arrow-stream" | "jsonl";
  readonly rows: number;
  /** rows of each row group or record batch, in order; one entry for JSONL */
  readonly rowGroups: readonly number[];
  /** domain of every row of the file; null where a column of the file says it */
  readonly domain: string | null;
}

/** Row by row what counting found in one shard. All arrays have a place for every row of the file. */
export interface ShardCounts {
  readonly file: ManifestFile;
  /** domain index; −1 where the row is no document (null text, dropped by a transform, unlisted domain) */
  readonly domain: Int32Array;
  /** UTF-8 bytes */
  readonly bytes: Uint32Array;
  /** under the tokenizer that the manifest counts in */
  readonly tokens: Uint32Array;
}

/** The counts in the order of the manifest's files; may be iterated more than once. */
export type CountSource = () => AsyncIterable<ShardCounts> | Iterable<ShardCounts>;

/**
 * Documents that training never sees. Documents of a domain are numbered in the order of files and rows; those whose
 * number is among the first max(minDocuments, ceil(fraction·n)) of a seeded permutation are held out, never more than half.
 * "files": whole files are held out instead, and are not among the manifest's files.
 */
export type HeldOutRule =
  | { readonly kind: "fraction"; readonly fraction: number; readonly minDocuments: number }
  | { readonly kind: "files" }
  | { readonly kind: "none" };

/** What a weight is a share of. A sequence: a document cut every `length` tokens, the last piece padded. */
export type WeightUnit =
  | { readonly kind: "tokens" }
  | { readonly kind: "documents" }
  | { readonly kind: "sequences"; readonly length: number };

/** What is chosen whole, and what a shuffle moves whole. */
export type Granularity = "document" | "row-group" | "shard";

/**
 * How the rows of the selection follow each other. "domain": domain after domain, epoch after epoch. "mixed": interleaved
 * so that in every prefix each domain is within one chosen piece of its share.
 */
export type SelectionOrder = "domain" | "mixed";

/** What is moved whole when an epoch of a domain is put in its own order; "none": files and rows as they lie. */
export type Shuffle = Granularity | "none";

export interface ManifestDomain {
  readonly name: string;
  /** of the corpus without held-out documents */
  readonly documents: number;
  readonly bytes: number;
  readonly tokens: number;
  readonly meanTokensPerDocument: number;
  readonly heldOutDocuments: number;
  /** of the weights' unit: tokens, documents or sequences of these documents */
  readonly units: number;
  /** learned (or given) weight, by the manifest's unit */
  readonly weight: number;
  /** the weight as a share of tokens: ∝ weight · tokens ÷ units */
  readonly tokenWeight: number;
  /** least share of the budget that the domain gets; 0 = none was asked for */
  readonly minShare: number;
  /** share of tokens after minimum shares and epoch caps: target tokens ÷ budget */
  readonly targetWeight: number;
  readonly targetTokens: number;
  readonly achievedTokens: number;
  readonly achievedWeight: number;
  /** documents in the selection, repeats included */
  readonly selectedDocuments: number;
  /** achieved tokens ÷ available tokens */
  readonly epochs: number;
  /** most epochs allowed; null = no cap */
  readonly maxEpochs: number | null;
}

export interface Manifest {
  readonly format: "doremi-manifest";
  readonly version: 1;
  readonly generator: string; // doremi@0.1.0
  readonly name: string;
  readonly seed: number;
  readonly rng: string;
  readonly tokenizer: {
    readonly name: string;
    /** what resolves it again: `r50k`, or the path of a tokenizer.json relative to the manifest's folder */
    readonly source: string;
    readonly fingerprint: string;
    readonly vocabularySize: number;
    /** what text of special tokens was counted as; without it, text */
    readonly specialTokens?: "text" | "parse" | undefined;
  };
  readonly columns: { readonly text: string; readonly domain: string | null };
  /**
   * Documents that could not be taken as they are stored: how they were read, and has to be again, and how many there
   * were, by domain (null: of none). Without it all were sound, or text was read as it is stored.
   */
  readonly badDocuments?:
    | {
        readonly policy: BadDocumentPolicy;
        readonly skipped: number;
        readonly replaced: number;
        readonly domains: readonly {
          readonly domain: string | null;
          readonly skipped: number;
          readonly replaced: number;
        }[];
      }
    | undefined;
  /** which domain a value of the domain column is of; without it, a value is its domain's name */
  readonly domainRule?: DomainRule | undefined;
  /** the module that every batch goes through between reading and counting, when there is one */
  readonly transform: {
    /** path relative to the manifest's folder */
    readonly module: string;
    readonly sha256: string;
    readonly columns: readonly string[];
    readonly options: Readonly<Record<string, unknown>>;
  } | null;
  readonly heldOut: HeldOutRule;
  /** where the weights came from: "doremi" (learned), "given", "natural", … */
  readonly weightsFrom: string;
  /** what `weight` is a share of */
  readonly unit: WeightUnit;
  /** where what an epoch cap cuts off goes: to the domains below their caps, in proportion to weight */
  readonly excess: "proportional-to-weight";
  readonly budgetTokens: number;
  readonly achievedTokens: number;
  readonly granularity: Granularity;
  readonly order: SelectionOrder;
  readonly shuffle: Shuffle;
  readonly domains: readonly ManifestDomain[];
  /** folder that file paths are relative to, itself relative to the manifest's folder */
  readonly root: string;
  readonly files: readonly ManifestFile[];
  /** `rows` of the file, which are runs of rows; `documents` that they hold, repeats included */
  readonly selection: {
    readonly path: string;
    readonly sha256: string;
    readonly rows: number;
    readonly documents: number;
  };
  readonly notes: readonly string[];
}

/**
 * One row of selection.parquet: a run of consecutive rows of one row group that all belong to one domain and epoch. The
 * rows stand in the order in which a training that follows the manifest sees the documents.
 */
export interface SelectionRow {
  /** ManifestFile.path */
  readonly file: string;
  readonly rowGroup: number;
  /** rows are counted from the start of the file */
  readonly rowStart: number;
  readonly rowEnd: number; // exclusive
  readonly domain: string;
  /** 0-based: the how-manieth pass over the domain this is */
  readonly epoch: number;
  /** sum over the run */
  readonly tokens: number;
}

/** Totals of one shard's row groups, for selections that choose nothing smaller. Index: row group · domains + domain. */
export interface GroupCounts {
  readonly file: ManifestFile;
  readonly documents: Float64Array;
  readonly bytes: Float64Array;
  readonly tokens: Float64Array;
}
