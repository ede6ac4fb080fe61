/**
 * The footer of a Parquet file: read, bounded and checked before anything is believed. Gives hyparquet's metadata and a
 * schema tree of our own, which is built without trusting the counts in it.
 */
import type { FileMetaData, SchemaElement } from "hyparquet";
import { parquetMetadata } from "hyparquet";
import type { RandomAccessFile } from "../../storage/storage.ts";
import { badShard, guarded } from "../failure.ts";
import type { ReadLimits } from "../shard.ts";

export interface ParquetField {
  readonly name: string;
  readonly element: SchemaElement;
  readonly children: readonly ParquetField[];
}

export interface Footer {
  readonly metadata: FileMetaData;
  /** top-level columns */
  readonly fields: readonly ParquetField[];
  /** where the footer begins: no page may reach beyond it */
  readonly dataEnd: number;
}

/** length and magic after the footer */
const TAIL_BYTES = 8;
const MAGIC_BYTES = 4;
const MAX_SCHEMA_DEPTH = 100;

/** @throws DoremiError bad-footer */
export async function readFooter(file: RandomAccessFile, limits: ReadLimits): Promise<Footer> {
  const place = { file: file.uri };
  const tail = Buffer.from(await file.read(file.size - TAIL_BYTES, file.size));
  const length = tail.readUInt32LE(0);
  const dataEnd = file.size - TAIL_BYTES - length;
  if (length === 0 || dataEnd < MAGIC_BYTES) {
    throw badShard(
      "bad-footer",
      place,
      `the footer's length must fit the file of ${file.size} bytes; it says ${length}`,
    );
  }
  if (length > limits.maxMetadataBytes) {
    throw badShard(
      "bad-footer",
      place,
      `the footer has ${length} bytes, over the limit of ${limits.maxMetadataBytes} (maxMetadataBytes)`,
    );
  }
  const bytes = await file.read(dataEnd, file.size);
  return guarded("bad-footer", place, "the footer must be Thrift in Parquet's schema", () => {
    const metadata = parquetMetadata(bytes, { geoparquet: false, parsers: RAW_STATISTICS });
    const [root, next] = schemaTree(metadata.schema, 0, 0);
    if (next !== metadata.schema.length) {
      throw new Error(`the schema has ${metadata.schema.length} elements, its tree ${next}`);
    }
    requireNames(metadata);
    if (metadata.row_groups.some((group) => !(group.num_rows >= 0n))) throw new Error("a row group has no row count");
    return { metadata, fields: root.children, dataEnd };
  });
}

/** hyparquet leaves out what the footer leaves out. */
function requireNames({ schema, row_groups }: FileMetaData): void {
  if (schema.slice(1).some(({ name }) => typeof name !== "string")) throw new Error("a column has no name");
  const paths = row_groups.flatMap(({ columns }) => columns.map(({ meta_data }) => meta_data?.path_in_schema ?? []));
  if (paths.flat().some((name) => typeof name !== "string")) throw new Error("a column chunk has no path");
}

/** Statistics are never read here, so their bytes need not become strings. */
const RAW_STATISTICS = { stringFromBytes: (bytes: Uint8Array) => bytes };

function schemaTree(schema: readonly SchemaElement[], at: number, depth: number): [ParquetField, number] {
  const element = schema[at];
  if (!element || depth > MAX_SCHEMA_DEPTH) throw new Error("the schema's tree does not end");
  const children: ParquetField[] = [];
  let next = at + 1;
  for (let i = 0; i < (element.num_children ?? 0); i++) {
    const [child, after] = schemaTree(schema, next, depth + 1);
    children.push(child);
    next = after;
  }
  return [{ name: element.name, element, children }, next];
}
