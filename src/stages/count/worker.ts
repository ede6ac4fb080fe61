/** The worker of count: the counts of one unit, or the hash of one file. */
import { withPlace } from "../../lib/errors.ts";
import { sha256File } from "../../lib/hash.ts";
import { openOnce } from "../../tokenizer/open.ts";
import type { Tokenizer, TokenizerDescriptor } from "../../tokenizer/tokenizer.ts";
import { readDocuments, type UnitSource } from "../documents.ts";
import { asWorker } from "../pool.ts";

export type CountTask =
  | { readonly kind: "hash"; readonly path: string }
  | { readonly kind: "unit"; readonly source: UnitSource; readonly tokenizers: readonly TokenizerDescriptor[] };

/** Row by row what a unit holds; a row that is no document has domain −1. */
export interface UnitCounts {
  readonly rows: number;
  /** names that `domain` points into, in the order of their first row */
  readonly domainNames: string[];
  readonly domain: Int32Array;
  readonly bytes: Uint32Array;
  /** one per tokenizer */
  readonly tokens: Uint32Array[];
  /** rows that have a text but no domain */
  readonly withoutDomain: number;
}

export type CountTaskResult = { readonly sha256: string } | UnitCounts;

/** A bad shard is a result where it may be left out, and a failure of the run otherwise. */
export interface CountJob {
  readonly task: CountTask;
  readonly tolerate: boolean;
}

export interface CountJobResult {
  readonly result?: CountTaskResult;
  readonly failure?: { readonly code: string; readonly message: string };
}

export default asWorker(async ({ task, tolerate }: CountJob): Promise<CountJobResult> => {
  if (task.kind === "hash") return { result: { sha256: await sha256File(task.path) } };
  try {
    return { result: await countUnit(task.source, await Promise.all(task.tokenizers.map(openOnce))) };
  } catch (error) {
    const placed = withPlace(error, { file: task.source.path, rowGroup: task.source.unit.index });
    if (tolerate && placed.kind === "bad-data") return { failure: { code: placed.code, message: placed.message } };
    throw placed;
  }
});

async function countUnit(source: UnitSource, counters: readonly Tokenizer[]): Promise<UnitCounts> {
  const read = { rows: 0 };
  const names = new Map<string, number>();
  let columns = newColumns(Math.max(source.unit.rows ?? 1024, 1), counters.length);
  let withoutDomain = 0;
  for await (const { row, batch } of readDocuments(source, read)) {
    if (read.rows > columns.domain.length) columns = grow(columns, Math.max(read.rows, columns.domain.length * 2));
    const global = batch.domain.names.map((name) => nameIndex(names, name));
    for (let i = 0; i < batch.rows; i++) {
      if (batch.validity && !batch.validity[i]) continue;
      const at = row[i]!;
      columns.bytes[at] = batch.offsets[i + 1]! - batch.offsets[i]!;
      const index = batch.domain.indices[i]!;
      if (index < 0) withoutDomain++;
      else columns.domain[at] = global[index]!;
    }
    const counts = new Uint32Array(batch.rows);
    counters.forEach((counter, t) => {
      counter.count(batch.bytes, batch.offsets, counts);
      const tokens = columns.tokens[t]!;
      for (let i = 0; i < batch.rows; i++) if (!batch.validity || batch.validity[i]) tokens[row[i]!] = counts[i]!;
    });
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
    withoutDomain,
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
    domain: new Int32Array(rows).fill(-1),
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
