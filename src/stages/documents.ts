/**
 * The documents of one unit of a shard as the pipeline sees them: read, transformed, and each with its row and domain.
 * Counting, tokenizing and the library's streams all go through here, so they agree on what a document is.
 */

import * as arrow from "apache-arrow";
import { readUnit } from "../formats/read.ts";
import type {
  BadDocument,
  BadDocumentPolicy,
  BatchForm,
  ColumnSelection,
  ShardLayout,
  ShardUnit,
  TextBatch,
} from "../formats/shard.ts";
import { storage } from "../storage/files.ts";
import { shownLocation } from "../storage/location.ts";
import type { RandomAccessFile } from "../storage/storage.ts";
import type { TransformReference } from "./count/contract.ts";
import { applyTransform, loadTransform } from "./transform.ts";

/** Everything that a worker needs to read a unit. Plain data. */
export interface UnitSource {
  /** absolute path of the shard, or its URI */
  readonly path: string;
  /** FileStat.version that an object must have still */
  readonly version?: string;
  readonly layout: Pick<ShardLayout, "format" | "size">;
  readonly unit: ShardUnit;
  readonly textColumn: string;
  readonly domainColumn: string | null;
  /** domain of every row where no column says it */
  readonly domain: string | null;
  /** absent: text as it is stored, as manifests have it that were made before there was a policy */
  readonly onBadDocument?: BadDocumentPolicy;
  readonly transform: TransformReference | null;
}

export interface DocumentBatch {
  /** row within the unit of each row here */
  readonly row: Uint32Array;
  /** domain is always present in it */
  readonly batch: TextBatch & Required<Pick<TextBatch, "domain">>;
}

/** What reading a unit also tells. */
export interface UnitRead {
  /** rows of the unit as stored */
  rows: number;
  /** told of each document that the policy changed, with the domain that its row says before a transform */
  onBad?(document: BadDocument, domain: string | null): void;
}

/**
 * @param form how batches are handed over where no transform makes them anew
 * @param open gives the shard; closed at the end
 */
export async function* readDocuments(
  source: UnitSource,
  read: UnitRead,
  form: BatchForm = "owned",
  open: () => Promise<RandomAccessFile> = () => openShard(source),
): AsyncGenerator<DocumentBatch> {
  const columns: ColumnSelection = {
    text: source.textColumn,
    ...(source.domainColumn !== null && { domain: source.domainColumn }),
    ...(source.transform && source.transform.columns.length > 0 && { extra: source.transform.columns }),
    ...(source.onBadDocument !== undefined && { onBadDocument: source.onBadDocument }),
  };
  const transform = source.transform && (await loadTransform(source.transform));
  const file = await open();
  try {
    const layout: ShardLayout = { ...source.layout, rows: null, units: [source.unit] };
    for await (const batch of readUnit(file, layout, source.unit, columns, {}, transform ? "owned" : form)) {
      read.rows += batch.rows;
      for (const document of batch.bad ?? []) read.onBad?.(document, domainOf(batch, document.row, source));
      if (transform && source.transform) {
        const context = { arrow, options: source.transform.options, file: shownLocation(source.path) };
        const transformed = await applyTransform(transform, batch, context, source.domain);
        yield { row: transformed.row, batch: withDomain(transformed.batch, source.domain) };
      } else {
        const row = Uint32Array.from({ length: batch.rows }, (_, i) => batch.rowStart + i);
        yield { row, batch: withDomain(batch, source.domain) };
      }
    }
  } finally {
    await file.close();
  }
}

function domainOf({ domain, rowStart }: TextBatch, row: number, source: UnitSource): string | null {
  return domain ? (domain.names[domain.indices[row - rowStart]!] ?? null) : source.domain;
}

function openShard({ path, version, layout: { size } }: UnitSource): Promise<RandomAccessFile> {
  return storage.open(path, version === undefined ? undefined : { size, version });
}

function withDomain(batch: TextBatch, domain: string | null): DocumentBatch["batch"] {
  if (batch.domain) return { ...batch, domain: batch.domain };
  const indices = new Int32Array(batch.rows).fill(domain === null ? -1 : 0);
  return { ...batch, domain: { names: domain === null ? [] : [domain], indices } };
}
