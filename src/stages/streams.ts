/**
 * Reading, counting and tokenizing as async iterables, for programs that have a stream of their own: each step takes
 * an async iterable and gives one, so they go into `stream.pipeline` and a slow consumer holds the reader back.
 *
 *     await pipeline(readCorpus("corpus/{domain}/*.parquet"), countTokens("r50k"), yourSink);
 */
import * as arrow from "apache-arrow";
import { inspectShard, readUnit } from "../formats/read.ts";
import type { BadDocumentPolicy, ColumnSelection, TextBatch } from "../formats/shard.ts";
import { DoremiError } from "../lib/errors.ts";
import { storage } from "../storage/files.ts";
import { openOnce } from "../tokenizer/open.ts";
import { resolveTokenizer } from "../tokenizer/resolve.ts";
import type { Tokenizer, TokenizerDescriptor } from "../tokenizer/tokenizer.ts";
import { corpusFiles, passedOverText } from "./discover/files.ts";
import { applyTransform, type Transform } from "./transform.ts";

export interface ReadCorpusOptions {
  /** default: text */
  readonly textColumn?: string;
  /** column that names each row's domain; without it, `{domain}` in the pattern does */
  readonly domainColumn?: string;
  /** what becomes of text that is not UTF-8, and of lines of JSON without a text; default: text as it is stored */
  readonly onBadDocument?: BadDocumentPolicy;
  /** further columns for the transform */
  readonly columns?: readonly string[];
  readonly transform?: Transform;
  readonly transformOptions?: Readonly<Record<string, unknown>>;
  readonly signal?: AbortSignal;
}

/** Rows of one unit of one shard. */
export interface CorpusBatch {
  /** path of the shard */
  readonly file: string;
  /** row group or record batch, 0-based */
  readonly rowGroup: number;
  /** row within the row group of each row here */
  readonly row: Uint32Array;
  readonly text: Pick<TextBatch, "bytes" | "offsets" | "validity" | "rows">;
  /** domain of each row; null where there is none */
  readonly domain: readonly (string | null)[];
}

export interface CountedBatch extends CorpusBatch {
  /** tokens of each row by tokenizer name; 0 where there is no text */
  readonly tokens: Readonly<Record<string, Uint32Array>>;
}

export interface EncodedBatch extends CorpusBatch {
  /** ids of each row; empty where there is no text */
  readonly ids: readonly Uint32Array[];
}

/** @param patterns paths or globs, relative to the current folder @throws DoremiError */
export async function* readCorpus(
  patterns: string | readonly string[],
  options: ReadCorpusOptions = {},
): AsyncGenerator<CorpusBatch> {
  const columns: ColumnSelection = {
    text: options.textColumn ?? "text",
    ...(options.domainColumn !== undefined && { domain: options.domainColumn }),
    ...(options.columns && { extra: options.columns }),
    ...(options.onBadDocument !== undefined && { onBadDocument: options.onBadDocument }),
  };
  for (const pattern of typeof patterns === "string" ? [patterns] : patterns) {
    const { files, passedOver } = await corpusFiles(pattern);
    if (files.length === 0)
      throw new DoremiError("missing-input", "no-match", `no file matches ${pattern}${passedOverText(passedOver)}`, {
        file: pattern,
      });
    for (const { path, domain } of files) {
      const file = await storage.open(path);
      try {
        const layout = await inspectShard(file, columns);
        for (const unit of layout.units) {
          for await (const batch of readUnit(file, layout, unit, columns)) {
            options.signal?.throwIfAborted();
            yield await toCorpusBatch(batch, path, domain, options);
          }
        }
      } finally {
        await file.close();
      }
    }
  }
}

async function toCorpusBatch(
  batch: TextBatch,
  file: string,
  domain: string | null,
  options: ReadCorpusOptions,
): Promise<CorpusBatch> {
  if (options.transform) {
    const context = { arrow, options: options.transformOptions ?? {}, file };
    const transformed = await applyTransform(options.transform, batch, context, domain);
    return corpusBatch(transformed.batch, transformed.row, file, domain);
  }
  return corpusBatch(
    batch,
    Uint32Array.from({ length: batch.rows }, (_, i) => batch.rowStart + i),
    file,
    domain,
  );
}

function corpusBatch(batch: TextBatch, row: Uint32Array, file: string, domain: string | null): CorpusBatch {
  const names = batch.domain?.names ?? [];
  return {
    file,
    rowGroup: batch.unit,
    row,
    text: batch,
    domain: batch.domain
      ? Array.from(batch.domain.indices, (index) => names[index] ?? null)
      : new Array(batch.rows).fill(domain),
  };
}

type TokenizerLike = string | TokenizerDescriptor;

/** Adds token counts under one or several tokenizers (names, paths of tokenizer.json, or descriptors). */
export function countTokens(...tokenizers: readonly TokenizerLike[]) {
  return async function* (source: AsyncIterable<CorpusBatch>): AsyncGenerator<CountedBatch> {
    const opened = await Promise.all(tokenizers.map(open));
    for await (const batch of source) {
      const tokens: Record<string, Uint32Array> = {};
      for (const tokenizer of opened) {
        const counts = new Uint32Array(batch.text.rows);
        tokenizer.count(batch.text.bytes, batch.text.offsets, counts);
        tokens[tokenizer.descriptor.name] = counts;
      }
      yield { ...batch, tokens };
    }
  };
}

/** Adds token ids. */
export function encodeTokens(tokenizer: TokenizerLike) {
  return async function* (source: AsyncIterable<CorpusBatch>): AsyncGenerator<EncodedBatch> {
    const opened = await open(tokenizer);
    for await (const batch of source) {
      const { bytes, offsets } = batch.text;
      const ids = Array.from({ length: batch.text.rows }, (_, i) =>
        opened.encode(bytes.subarray(offsets[i]!, offsets[i + 1]!)),
      );
      yield { ...batch, ids };
    }
  };
}

async function open(tokenizer: TokenizerLike): Promise<Tokenizer> {
  return openOnce(typeof tokenizer === "string" ? await resolveTokenizer(tokenizer, process.cwd()) : tokenizer);
}
