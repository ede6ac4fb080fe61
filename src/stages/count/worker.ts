/** The worker of count: the counts of units, or the hashes of files; several at a time where they are small. */
import { DoremiError, withPlace } from "../../lib/errors.ts";
import { sha256 } from "../../lib/hash.ts";
import { hashOf, readWhole, storage } from "../../storage/files.ts";
import { isRemote, shownLocation } from "../../storage/location.ts";
import { MemoryFile } from "../../storage/memory-file.ts";
import type { FileStat, RandomAccessFile } from "../../storage/storage.ts";
import { openOnce } from "../../tokenizer/open.ts";
import type { Tokenizer, TokenizerDescriptor } from "../../tokenizer/tokenizer.ts";
import { readDocuments, type UnitSource } from "../documents.ts";
import { asWorker } from "../pool.ts";
import { type UnitBad, UnitTally } from "./bad.ts";
import { TextCounts } from "./text-counts.ts";
import { NO_DOCUMENT, NO_DOMAIN, type UnitRows } from "./unit-rows.ts";

/** One thing to do with one file. */
export interface CountPart {
  /** absolute, or a URI */
  readonly path: string;
  /** hash the whole file */
  readonly hash: boolean;
  /** count this unit of it */
  readonly unit: UnitSource | null;
  /** state that the file must have afterwards still; null = any */
  readonly known: FileStat | null;
}

export interface CountJob {
  readonly parts: readonly CountPart[];
  readonly tokenizers: readonly TokenizerDescriptor[];
  /** a bad shard is a result where it may be left out, and a failure of the run otherwise */
  readonly tolerate: boolean;
}

/** Row by row what a unit holds. */
export interface UnitCounts extends UnitRows {
  /** names that `domain` points into, in the order of their first row */
  readonly domainNames: readonly string[];
  /** absent where nothing was */
  readonly bad?: UnitBad;
}

export interface CountPartResult {
  readonly sha256: string | null;
  readonly counts: UnitCounts | null;
  readonly failure: { readonly code: string; readonly message: string } | null;
}

export interface CountJobResult {
  /** one per part */
  readonly parts: readonly CountPartResult[];
  /** time spent in each tokenizer */
  readonly seconds: readonly number[];
}

/** Shards up to this size are read whole, once, to be hashed and counted from the same bytes: */
const WHOLE_BYTES = 1 << 20;
/** so many of them ahead, since opening and reading a small file is mostly waiting. */
const READ_AHEAD = 8;

/** Room that is made for rows before they are read: more of them are believed when they come. */
const CLAIMED_ROWS = 1 << 20;

export default asWorker(async ({ parts, tokenizers, tolerate }: CountJob): Promise<CountJobResult> => {
  const seconds = new Array<number>(tokenizers.length).fill(0);
  const results: CountPartResult[] = [];
  const ahead: (Promise<Read> | undefined)[] = parts.slice(0, READ_AHEAD).map(readAhead);
  for (const [i, part] of parts.entries()) {
    const { path, unit, known } = part;
    const next = parts[i + READ_AHEAD];
    if (next) ahead.push(readAhead(next));
    const { sha256, open } = await ahead[i]!;
    ahead[i] = undefined;
    let counts: UnitCounts | null = null;
    let failure: CountPartResult["failure"] = null;
    if (unit) {
      try {
        counts = await countUnit(unit, await Promise.all(tokenizers.map(openOnce)), seconds, open);
      } catch (error) {
        const placed = withPlace(error, { file: shownLocation(path), rowGroup: unit.unit.index });
        if (!tolerate || placed.kind !== "bad-data" || placed.code === "file-changed") throw placed;
        failure = { code: placed.code, message: placed.message };
      }
    }
    // An object is asked for in this version with each of its bytes.
    if (open === undefined && !(unit && isRemote(path))) await checkVersion(path, known);
    results.push({ sha256, counts, failure });
  }
  return { parts: results, seconds };
});

interface Read {
  readonly sha256: string | null;
  /** gives the shard out of memory; undefined where it is too large for that */
  readonly open?: () => Promise<RandomAccessFile>;
}

/** What of a part can be done before its turn. */
function readAhead({ path, hash, unit, known }: CountPart): Promise<Read> {
  const read = async (): Promise<Read> => {
    if (!unit || unit.layout.size > WHOLE_BYTES || (!hash && isMostlyUnread(unit))) {
      return { sha256: hash ? (await hashOf(path, { known: known ?? undefined })).sha256 : null };
    }
    const bytes = await readWhole(path, known ?? undefined);
    if (!isRemote(path)) await checkVersion(path, known);
    return { sha256: hash ? sha256(bytes) : null, open: async () => new MemoryFile(shownLocation(path), bytes) };
  };
  const result = read().catch((error: unknown) => {
    throw withPlace(error, { file: shownLocation(path) });
  });
  result.catch(() => {}); // it is reported when its turn comes
  return result;
}

/** An object of other columns is not fetched for one of them, small as it is. */
function isMostlyUnread({ path, unit, layout: { size } }: UnitSource): boolean {
  return isRemote(path) && unit.storedBytes < size / 2;
}

async function checkVersion(path: string, known: FileStat | null): Promise<void> {
  if (known && (await storage.stat(path)).version !== known.version) throw changed(shownLocation(path));
}

function changed(file: string): DoremiError {
  return new DoremiError(
    "bad-data",
    "shard-changed",
    `${file}: must stay as it is while it is counted, and was written to; run again when its writer is done`,
    { file },
  );
}

/** @param seconds spent in each tokenizer, added to */
async function countUnit(
  source: UnitSource,
  counters: readonly Tokenizer[],
  seconds: number[],
  open?: () => Promise<RandomAccessFile>,
): Promise<UnitCounts> {
  const tally = new UnitTally();
  const read = { rows: 0, onBad: tally.add };
  const names = new Map<string, number>();
  let columns = newColumns(Math.max(Math.min(source.unit.rows ?? 1024, CLAIMED_ROWS), 1), counters.length);
  const counts = new TextCounts(counters, seconds);
  for await (const { row, batch } of readDocuments(source, read, "lent", open)) {
    if (read.rows > columns.domain.length) columns = grow(columns, Math.max(read.rows, columns.domain.length * 2));
    const global = batch.domain.names.map((name) => nameIndex(names, name));
    const { offsets, entries } = batch;
    const tokens = counts.of(batch);
    for (let i = 0; i < batch.rows; i++) {
      if (batch.validity && !batch.validity[i]) continue;
      const at = row[i]!;
      const text = entries ? entries[i]! : i;
      columns.bytes[at] = offsets[text + 1]! - offsets[text]!;
      for (let t = 0; t < tokens.length; t++) columns.tokens[t]![at] = tokens[t]![text]!;
      const index = batch.domain.indices[i]!;
      columns.domain[at] = index < 0 ? NO_DOMAIN : global[index]!;
    }
  }
  // Names in the order of their first row, whatever the order of a batch's dictionary.
  const order: number[] = [];
  const place = new Map<number, number>();
  const domain = columns.domain.slice(0, read.rows);
  for (let i = 0; i < domain.length; i++) {
    const index = domain[i]!;
    if (index < 0) continue;
    let at = place.get(index);
    if (at === undefined) {
      at = order.length;
      place.set(index, at);
      order.push(index);
    }
    domain[i] = at;
  }
  const all = [...names.keys()];
  return {
    rows: read.rows,
    domainNames: order.map((index) => all[index]!),
    domain,
    bytes: columns.bytes.slice(0, read.rows),
    tokens: columns.tokens.map((tokens) => tokens.slice(0, read.rows)),
    ...(tally.found && { bad: tally.found }),
  };
}

function nameIndex(names: Map<string, number>, name: string): number {
  let index = names.get(name);
  if (index === undefined) {
    index = names.size;
    names.set(name, index);
  }
  return index;
}

interface Columns {
  readonly domain: Int32Array;
  readonly bytes: Uint32Array;
  readonly tokens: Uint32Array[];
}

function newColumns(rows: number, tokenizerCount: number): Columns {
  return {
    domain: new Int32Array(rows).fill(NO_DOCUMENT),
    bytes: new Uint32Array(rows),
    tokens: Array.from({ length: tokenizerCount }, () => new Uint32Array(rows)),
  };
}

function grow(columns: Columns, rows: number): Columns {
  const larger = newColumns(rows, columns.tokens.length);
  larger.domain.set(columns.domain);
  larger.bytes.set(columns.bytes);
  columns.tokens.forEach((tokens, t) => {
    larger.tokens[t]!.set(tokens);
  });
  return larger;
}
