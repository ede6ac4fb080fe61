/**
 * The row counts of one shard as an Arrow IPC file: a record batch per unit (row group, record batch, stretch) with
 * the columns `domain` (int32 into the names in the schema's metadata, −1 = no document), `bytes` (uint32) and, per
 * tokenizer, `tokens.<its name>` (uint32).
 */
import { readFile } from "node:fs/promises";
import * as arrow from "apache-arrow";
import { writeFileAtomic } from "../../lib/atomic-write.ts";
import { DoremiError } from "../../lib/errors.ts";
import { sha256 } from "../../lib/hash.ts";
import type { UnitCounts } from "./worker.ts";

const DOMAINS_KEY = "doremi.domains";
const UNITS_KEY = "doremi.units";
const tokensColumn = (tokenizer: string) => `tokens.${tokenizer}`;

/** Units whose domain indices all point into `domains`. @returns sha256 of the file */
export async function writeCountsFile(
  path: string,
  units: readonly Pick<UnitCounts, "rows" | "domain" | "bytes" | "tokens">[],
  domains: readonly string[],
  tokenizers: readonly string[],
): Promise<string> {
  const fields = [
    new arrow.Field("domain", new arrow.Int32(), false),
    new arrow.Field("bytes", new arrow.Uint32(), false),
    ...tokenizers.map((name) => new arrow.Field(tokensColumn(name), new arrow.Uint32(), false)),
  ];
  const metadata = new Map([
    [DOMAINS_KEY, JSON.stringify(domains)],
    [UNITS_KEY, JSON.stringify(units.map((unit) => unit.rows))],
  ]);
  const schema = new arrow.Schema(fields, metadata);
  const batches = units.map((unit) => {
    const children = [
      arrow.makeData({ type: new arrow.Int32(), length: unit.rows, nullCount: 0, data: unit.domain }),
      arrow.makeData({ type: new arrow.Uint32(), length: unit.rows, nullCount: 0, data: unit.bytes }),
      ...unit.tokens.map((data) => arrow.makeData({ type: new arrow.Uint32(), length: unit.rows, nullCount: 0, data })),
    ];
    return new arrow.RecordBatch(
      schema,
      arrow.makeData({ type: new arrow.Struct(fields), length: unit.rows, nullCount: 0, children }),
    );
  });
  const data = arrow.tableToIPC(new arrow.Table(schema, batches), "file");
  await writeFileAtomic(path, data);
  return sha256(data);
}

export interface ShardRowCounts {
  /** names that `domain` points into */
  readonly domainNames: readonly string[];
  /** rows of each unit, in order */
  readonly unitRows: readonly number[];
  readonly domain: Int32Array;
  readonly bytes: Uint32Array;
  readonly tokens: Uint32Array;
}

/**
 * All rows of a shard, in order.
 * @param tokenizer whose tokens to read
 * @param hash what the file must hash to
 */
export async function readCountsFile(path: string, tokenizer: string, hash: string): Promise<ShardRowCounts> {
  const data = await readFile(path);
  if (sha256(data) !== hash) {
    throw new DoremiError(
      "bad-data",
      "corrupt-counts",
      `${path}: is not the file that counting wrote (its SHA-256 differs); delete it and run again`,
      { file: path },
    );
  }
  const table = arrow.tableFromIPC(data);
  const list = <T>(key: string) => JSON.parse(table.schema.metadata.get(key) ?? "[]") as T[];
  const column = <T extends Int32Array | Uint32Array>(name: string, empty: T): T => {
    const vector = table.getChild(name);
    if (!vector)
      throw new DoremiError("bad-data", "corrupt-counts", `${path}: has no column “${name}”; delete it and run again`, {
        file: path,
      });
    return vector.length === 0 ? empty : (vector.toArray() as T);
  };
  return {
    domainNames: list<string>(DOMAINS_KEY),
    unitRows: list<number>(UNITS_KEY),
    domain: column("domain", new Int32Array(0)),
    bytes: column("bytes", new Uint32Array(0)),
    tokens: column(tokensColumn(tokenizer), new Uint32Array(0)),
  };
}
