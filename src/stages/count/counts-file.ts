/**
 * Row counts as an Arrow IPC file: of one shard, or of several small ones behind each other. A record batch per unit
 * (row group, record batch, stretch) with the columns `domain` (int32), `bytes` (uint32) and, per tokenizer,
 * `tokens.<its name>` (uint32). A domain is an index into the names in the schema's metadata, which are as the column or
 * path says them: what they mean is the domain rule's to say.
 */
import { readFile } from "node:fs/promises";
import * as arrow from "apache-arrow";
import { checkArrowNumbers } from "../../formats/arrow/check.ts";
import { writeFileAtomic } from "../../lib/atomic-write.ts";
import { DoremiError } from "../../lib/errors.ts";
import { sha256 } from "../../lib/hash.ts";
import { MemoryFile } from "../../storage/memory-file.ts";
import type { UnitRows } from "./unit-rows.ts";

const DOMAINS_KEY = "doremi.domains";
const tokensColumn = (tokenizer: string) => `tokens.${tokenizer}`;

/** @param units whose domain indices point into `domains` @returns sha256 of the file */
export async function writeCountsFile(
  path: string,
  units: readonly UnitRows[],
  domains: readonly string[],
  tokenizers: readonly string[],
): Promise<string> {
  const fields = [
    new arrow.Field("domain", new arrow.Int32(), false),
    new arrow.Field("bytes", new arrow.Uint32(), false),
    ...tokenizers.map((name) => new arrow.Field(tokensColumn(name), new arrow.Uint32(), false)),
  ];
  const schema = new arrow.Schema(fields, new Map([[DOMAINS_KEY, JSON.stringify(domains)]]));
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

/** A counts file in memory. */
export interface CountsFile {
  /** names that `domain` points into */
  readonly domainNames: readonly string[];
  readonly rows: number;
  readonly domain: Int32Array;
  readonly bytes: Uint32Array;
  tokens(tokenizer: string): Uint32Array;
}

/** @param hash what the file must hash to @throws DoremiError corrupt-counts */
export async function readCountsFile(path: string, hash: string): Promise<CountsFile> {
  const data = await readFile(path);
  const fault = (what: string) =>
    new DoremiError("bad-data", "corrupt-counts", `${path}: ${what}; delete it and run again`, { file: path });
  if (sha256(data) !== hash) throw fault("is not the file that counting wrote (its SHA-256 differs)");
  let table: arrow.Table;
  let domainNames: unknown;
  try {
    await checkArrowNumbers(new MemoryFile(path, data));
    table = arrow.tableFromIPC(data);
    domainNames = JSON.parse(table.schema.metadata.get(DOMAINS_KEY) ?? "[]");
  } catch (error) {
    throw fault(`is no Arrow file of counts (${(error as Error).message})`);
  }
  if (!Array.isArray(domainNames) || !domainNames.every((name) => typeof name === "string"))
    throw fault(`must name its domains in “${DOMAINS_KEY}”`);
  const column = <T extends Int32Array | Uint32Array>(name: string, empty: T): T => {
    const vector = table.getChild(name);
    if (!vector) throw fault(`has no column “${name}”`);
    return vector.length === 0 ? empty : (vector.toArray() as T);
  };
  return {
    domainNames,
    rows: table.numRows,
    domain: column("domain", new Int32Array(0)),
    bytes: column("bytes", new Uint32Array(0)),
    tokens: (tokenizer) => column(tokensColumn(tokenizer), new Uint32Array(0)),
  };
}
