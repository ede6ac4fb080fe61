/**
 * The plan of a Parquet file: for each row group the exact byte ranges of the selected columns' chunks and all that
 * decoding them needs, as plain data. Reads nothing but the footer.
 */
import type { ColumnChunk } from "hyparquet";
import type { RandomAccessFile } from "../../storage/storage.ts";
import { requirePath, textRoles, wrongType } from "../columns.ts";
import { badShard, checkRows } from "../failure.ts";
import { type ColumnSelection, DEFAULT_LIMITS, type ReadLimits, type ShardLayout, type ShardUnit } from "../shard.ts";
import { WINDOW_BYTES } from "../windows.ts";
import type { Footer, ParquetField } from "./footer.ts";
import { readFooter } from "./footer.ts";

/** One column chunk of a row group. */
export interface ChunkLocator {
  readonly path: string;
  /** bytes start..end (exclusive) of the file: dictionary page, if any, and data pages */
  readonly start: number;
  readonly end: number;
  readonly codec: string;
  /** a value is there where its definition level is this; below, it or a struct around it is null */
  readonly maxDefinition: number;
  readonly uncompressedBytes: number;
}

/** What a unit's `locator` holds. */
export interface RowGroupLocator {
  readonly rows: number;
  /** of the row group's first row in the file */
  readonly rowStart: number;
  readonly text: ChunkLocator;
  readonly domain?: ChunkLocator;
}

/** Pages have about a MiB; few are larger than this, and only reading tells. */
const LARGE_PAGE_BYTES = 16 << 20;
/** offset, domain, validity and what is kept of each row */
const ROW_BYTES = 24;

interface Leaf {
  readonly path: string;
  readonly fields: readonly ParquetField[];
  readonly maxDefinition: number;
}

/** @throws DoremiError bad-footer, encrypted, missing-column, wrong-column-type, corrupt-page */
export async function parquetLayout(
  file: RandomAccessFile,
  columns: ColumnSelection,
  limits: ReadLimits,
): Promise<ShardLayout> {
  const footer = await readFooter(file, limits);
  const { units, rows } = planUnits(file.uri, footer, columns, limits);
  return { format: "parquet", size: file.size, rows, units };
}

/** Pure: the same footer and selection give the same plan. */
export function planUnits(
  uri: string,
  footer: Footer,
  columns: ColumnSelection,
  limits: Pick<ReadLimits, "maxUnitRows"> = DEFAULT_LIMITS,
) {
  const leaves = new Map(textRoles(columns).map(({ role, path }) => [role, textLeaf(uri, footer, path)]));
  const extra = (columns.extra ?? []).map((path) => requirePath(footer.fields, path, { file: uri })[0]!.name);
  const units: ShardUnit[] = [];
  let rowStart = 0;
  footer.metadata.row_groups.forEach((group, index) => {
    const place = { file: uri, rowGroup: index };
    const rows = Number(group.num_rows);
    checkRows(place, rows, limits);
    const text = locateChunk(place, group.columns, leaves.get("text")!, footer.dataEnd, rows === 0);
    const domainLeaf = leaves.get("domain");
    const domain = domainLeaf && locateChunk(place, group.columns, domainLeaf, footer.dataEnd, rows === 0);
    const extraBytes = group.columns
      .filter(({ meta_data }) => extra.includes(meta_data?.path_in_schema?.[0] ?? ""))
      .reduce((sum, { meta_data }) => sum + Number(meta_data?.total_compressed_size ?? 0), 0);
    const chunks = domain ? [text, domain] : [text];
    const storedBytes = chunks.reduce((sum, chunk) => sum + chunk.end - chunk.start, extraBytes);
    const pageBytes = Math.min(text.uncompressedBytes, LARGE_PAGE_BYTES);
    const windowBytes = Math.min(storedBytes - extraBytes, 2 * WINDOW_BYTES);
    const locator: RowGroupLocator = { rows, rowStart, text, ...(domain && { domain }) };
    units.push({
      index,
      rows,
      storedBytes,
      memoryBytes: extraBytes + windowBytes + 2 * pageBytes + rows * ROW_BYTES,
      locator,
    });
    rowStart += rows;
  });
  return { units, rows: rowStart };
}

/** The column must be a leaf outside of lists that holds byte arrays meant as text. */
function textLeaf(uri: string, footer: Footer, path: string): Leaf {
  const place = { file: uri };
  const fields = requirePath(footer.fields, path, place);
  const type = nonTextType(fields);
  if (type !== undefined) throw wrongType(place, path, type);
  return { path, fields, maxDefinition: fields.filter(({ element }) => element.repetition_type !== "REQUIRED").length };
}

/** Logical types of byte arrays that are not text, though their bytes could pass for it. */
const BINARY_TYPES: ReadonlySet<string> = new Set(["DECIMAL", "BSON", "VARIANT", "GEOMETRY", "GEOGRAPHY", "UUID"]);

/** What the column is, in words, where it is not text; undefined where it is. */
function nonTextType(fields: readonly ParquetField[]): string | undefined {
  const { element, children } = fields.at(-1)!;
  const logical = element.logical_type?.type ?? element.converted_type;
  if (fields.some((field) => field.element.repetition_type === "REPEATED")) return "a list";
  if (children.length > 0) {
    if (logical === "LIST") return `a list of ${elementType(children)}`;
    if (logical === "MAP" || logical === "MAP_KEY_VALUE") return "a map";
    return `a struct (of ${children.map(({ name }) => name).join(", ")}); its fields are named with a dot`;
  }
  // Arrow's null type is stored as an INT32 column without a single value.
  if (logical === "NULL") return undefined;
  if (element.type !== "BYTE_ARRAY") return `${element.type}${logical === undefined ? "" : ` (${logical})`}`;
  return logical !== undefined && BINARY_TYPES.has(logical) ? `BYTE_ARRAY (${logical})` : undefined;
}

function elementType(children: readonly ParquetField[]): string {
  const inner = children[0]?.children[0] ?? children[0];
  return inner?.element.logical_type?.type ?? inner?.element.type ?? "values";
}

function locateChunk(
  place: { readonly file: string; readonly rowGroup: number },
  chunks: readonly ColumnChunk[],
  leaf: Leaf,
  dataEnd: number,
  isEmpty: boolean,
): ChunkLocator {
  const names = leaf.fields.map(({ name }) => name);
  const chunk = chunks.find(({ meta_data }) => isSame(meta_data?.path_in_schema, names));
  const column = `column ${leaf.path}`;
  if (!chunk?.meta_data) {
    if (chunks.some(({ crypto_metadata, meta_data }) => crypto_metadata || !meta_data)) throw encrypted(place, column);
    throw badShard("bad-footer", place, `must list a chunk of ${column}, and does not`);
  }
  if (chunk.crypto_metadata) throw encrypted(place, column);
  if (chunk.file_path) {
    throw badShard(
      "unsupported-format",
      place,
      `${column} lies in another file, ${chunk.file_path}; give that file as the shard`,
    );
  }
  if (isEmpty)
    return { path: leaf.path, start: 0, end: 0, codec: "UNCOMPRESSED", maxDefinition: 0, uncompressedBytes: 0 };
  const { data_page_offset, dictionary_page_offset, total_compressed_size, total_uncompressed_size } = chunk.meta_data;
  const first = Number(data_page_offset);
  const dictionary = Number(dictionary_page_offset ?? 0);
  const start = dictionary > 0 && dictionary < first ? dictionary : first;
  const end = start + Number(total_compressed_size);
  // 4: the magic at the file's head.
  if (!(start >= 4 && end >= start && end <= dataEnd)) {
    throw badShard(
      "corrupt-page",
      place,
      `the pages of ${column} must lie before the footer at byte ${dataEnd}; the footer says ${start} to ${end}`,
    );
  }
  return {
    path: leaf.path,
    start,
    end,
    codec: String(chunk.meta_data.codec),
    maxDefinition: leaf.maxDefinition,
    uncompressedBytes: Math.max(0, Number(total_uncompressed_size)),
  };
}

function encrypted(place: { readonly file: string; readonly rowGroup: number }, column: string): Error {
  return badShard("encrypted", place, `${column} is encrypted (Parquet modular encryption); decrypt the file first`);
}

function isSame(a: readonly string[] | undefined, b: readonly string[]): boolean {
  return a?.length === b.length && a.every((name, i) => name === b[i]);
}
