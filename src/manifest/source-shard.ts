/**
 * The shards of a manifest as its documents are read from them: where each lies, which units it has and in which row each
 * begins. A shard is inspected once, however often it is opened. Reads no text itself.
 */
import { inspectShard, readUnit } from "../formats/read.ts";
import type { ColumnSelection, ShardLayout, ShardUnit, TextBatch } from "../formats/shard.ts";
import { DoremiError } from "../lib/errors.ts";
import { storage } from "../storage/files.ts";
import type { Manifest, ManifestFile } from "./contract.ts";
import { knownState, type RootOptions, resolveInside } from "./paths.ts";
import { startsOf } from "./select.ts";

export interface UnitRequest {
  /** absolute, or a URI */
  readonly path: string;
  readonly file: ManifestFile;
  readonly layout: ShardLayout;
  readonly unit: ShardUnit;
  readonly columns: ColumnSelection;
}

/** Rows of a unit, in ascending batches. Rows that a transform dropped are not there. */
export interface UnitRows {
  /** row within the unit of each row of the batch */
  readonly row: Uint32Array;
  readonly batch: TextBatch;
}

/** How a unit's documents are read; a manifest with a transform needs one that applies it. */
export type UnitReader = (request: UnitRequest) => AsyncIterable<UnitRows>;

/** A reader of many domains has a batch of each in memory. */
const BATCH_BYTES = 1 << 20;

/** The text as it is stored. */
export const readStoredUnit: UnitReader = async function* ({ path, file: claimed, layout, unit, columns }) {
  const file = await storage.open(path, knownState(claimed));
  try {
    for await (const batch of readUnit(file, layout, unit, columns, { batchBytes: BATCH_BYTES })) {
      yield { row: Uint32Array.from({ length: batch.rows }, (_, i) => batch.rowStart + i), batch };
    }
  } finally {
    await file.close();
  }
};

export class SourceShard {
  readonly path: string;
  readonly file: ManifestFile;
  readonly columns: ColumnSelection;
  readonly read: UnitReader;
  readonly layout: ShardLayout;
  /** first row of each unit as far as it is known; only reading tells for JSONL, and adds to it */
  readonly starts: number[];

  private constructor(request: Omit<UnitRequest, "unit">, read: UnitReader, starts: number[]) {
    this.path = request.path;
    this.file = request.file;
    this.columns = request.columns;
    this.layout = request.layout;
    this.read = read;
    this.starts = starts;
  }

  /** @throws DoremiError changed-file, unknown-row-groups, missing-file; of the format */
  static async open(
    path: string,
    file: ManifestFile,
    columns: ColumnSelection,
    read: UnitReader,
  ): Promise<SourceShard> {
    const source = await storage.open(path, knownState(file));
    const layout = await inspectShard(source, columns).finally(() => source.close());
    return new SourceShard({ path, file, columns, layout }, read, unitStarts(layout, file, read === readStoredUnit));
  }

  /** The last unit that is known to begin at or before the row. */
  unitOf(row: number): number {
    let low = 0;
    let high = Math.min(this.starts.length, this.layout.units.length) - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.starts[middle]! <= row) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

/** As many unit starts as can be known without reading. */
function unitStarts(layout: ShardLayout, file: ManifestFile, anyUnitWillDo: boolean): number[] {
  const known = layout.units.every((unit) => unit.rows !== null);
  const sizes = known
    ? layout.units.map((unit) => unit.rows!)
    : file.rowGroups.length === layout.units.length
      ? file.rowGroups
      : layout.units.length === 1
        ? [file.rows]
        : null;
  if (layout.format !== file.format || (known && sizes!.reduce((a, b) => a + b, 0) !== file.rows)) {
    throw changedFile(file, "its format or its number of rows differs");
  }
  if (sizes) return startsOf(sizes);
  if (anyUnitWillDo) return [0];
  throw new DoremiError(
    "bad-data",
    "unknown-row-groups",
    `${file.path}: the manifest must say how many rows each of its ${layout.units.length} stretches has, so that a ` +
      "transform can be applied to it; write the manifest anew with `doremi resample`",
    { file: file.path },
  );
}

export function changedFile(file: ManifestFile, found: string): DoremiError {
  return new DoremiError(
    "bad-data",
    "changed-file",
    `${file.path}: is not the file that the manifest was made from (${found}); run \`doremi verify\` to see what differs`,
    { file: file.path },
  );
}

/** Layouts that are kept, in units: some hundred bytes each. */
const KEPT_UNITS = 1 << 17;

/** A manifest's shards by their index, inspected when they are first asked for and kept while they are few. */
export class SourceShards {
  readonly #manifest: Manifest;
  readonly #root: string;
  readonly #options: RootOptions;
  readonly #read: UnitReader;
  readonly #kept = new Map<number, SourceShard>();
  #units = 0;

  constructor(manifest: Manifest, root: string, read: UnitReader, options: RootOptions) {
    this.#manifest = manifest;
    this.#root = root;
    this.#read = read;
    this.#options = options;
  }

  /** @throws DoremiError path-outside-root; as SourceShard.open */
  async open(index: number): Promise<SourceShard> {
    const kept = this.#kept.get(index);
    if (kept) return kept;
    const file = this.#manifest.files[index]!;
    const path = await resolveInside(this.#root, file.path, this.#options);
    const shard = await SourceShard.open(path, file, columnsOf(this.#manifest, file, this.#read), this.#read);
    this.#kept.set(index, shard);
    this.#units += shard.layout.units.length;
    for (const [oldest, { layout }] of this.#kept) {
      if (this.#units <= KEPT_UNITS || oldest === index) break;
      this.#kept.delete(oldest);
      this.#units -= layout.units.length;
    }
    return shard;
  }
}

/** Only the text, unless somebody else's reader may look at the rest. */
function columnsOf(
  { columns, transform, badDocuments }: Manifest,
  file: ManifestFile,
  read: UnitReader,
): ColumnSelection {
  const policy = badDocuments && { onBadDocument: badDocuments.policy };
  if (read === readStoredUnit) return { text: columns.text, ...policy };
  return {
    text: columns.text,
    ...policy,
    ...(file.domain === null && columns.domain !== null && { domain: columns.domain }),
    ...(transform !== null && transform.columns.length > 0 && { extra: transform.columns }),
  };
}
