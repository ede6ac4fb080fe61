/**
 * Columns beside text and domain, of any type, for transforms: read whole through hyparquet as JavaScript values. Not
 * for text: every value becomes an object or a string here.
 */
import { type FileMetaData, parquetReadObjects } from "hyparquet";
import type { RandomAccessFile } from "../../storage/storage.ts";
import { requirePath } from "../columns.ts";
import { badShard, guarded, reason } from "../failure.ts";
import type { ReadLimits, ShardUnit } from "../shard.ts";
import { codecNamed } from "./codecs.ts";
import { readFooter } from "./footer.ts";
import type { RowGroupLocator } from "./layout.ts";
import { readPages } from "./pages.ts";

const COMPRESSORS = Object.fromEntries(
  ["SNAPPY", "GZIP", "BROTLI", "ZSTD", "LZ4", "LZ4_RAW"].map((name) => [name, codecNamed(name)!]),
);

/** Values by path, one for each row of the row group. */
export async function readExtraColumns(
  file: RandomAccessFile,
  unit: ShardUnit,
  locator: RowGroupLocator,
  paths: readonly string[],
  limits: ReadLimits,
): Promise<Map<string, ArrayLike<unknown>>> {
  const place = { file: file.uri, rowGroup: unit.index };
  const { metadata, fields } = await readFooter(file, limits);
  const fieldPaths = paths.map((path) => requirePath(fields, path, place).map(({ name }) => name));
  const topLevel = [...new Set(fieldPaths.map(([name]) => name!))];
  await checkPages(file, unit.index, metadata, topLevel, limits);
  const source = new SlicedFile(file);
  const rows = await parquetReadObjects({
    file: source,
    metadata,
    columns: topLevel,
    rowStart: locator.rowStart,
    rowEnd: locator.rowStart + locator.rows,
    compressors: COMPRESSORS,
  }).catch((error: unknown) => {
    source.rethrow();
    throw badShard("corrupt-page", place, `columns ${topLevel.join(", ")} cannot be decoded: ${reason(error)}`, error);
  });
  source.rethrow();
  if (rows.length !== locator.rows) {
    throw badShard(
      "row-count-mismatch",
      place,
      `must have ${locator.rows} rows of ${paths.join(", ")}, has ${rows.length}`,
    );
  }
  return new Map(
    fieldPaths.map((names, i) => [paths[i]!, rows.map((row) => names.reduce<unknown>(member, row) ?? null)]),
  );
}

/**
 * A file as hyparquet takes it. It asks for several ranges and waits for them one by one, so a read that fails is kept for
 * whoever asked, and nobody's promise is left rejected.
 */
class SlicedFile {
  readonly byteLength: number;
  readonly #file: RandomAccessFile;
  #failure: unknown;

  constructor(file: RandomAccessFile) {
    this.#file = file;
    this.byteLength = file.size;
  }

  async slice(start: number, end = this.byteLength): Promise<ArrayBuffer> {
    // What a damaged footer says may be no place at all; the decoder then finds nothing there.
    if (!(Number.isSafeInteger(start) && start >= 0 && end >= start)) return new ArrayBuffer(0);
    try {
      const bytes = await this.#file.read(start, Math.min(end, this.byteLength));
      return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer;
    } catch (error) {
      this.#failure ??= error;
      return new ArrayBuffer(0);
    }
  }

  /** @throws what a read failed with */
  rethrow(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }
}

/** Checksums, sizes, codecs and heads of all chunks of some columns, which hyparquet takes on trust. */
export async function checkPages(
  file: RandomAccessFile,
  rowGroup: number,
  metadata: FileMetaData,
  topLevel: readonly string[],
  limits: ReadLimits,
): Promise<void> {
  for (const { meta_data: chunk } of metadata.row_groups[rowGroup]!.columns) {
    if (!chunk || !topLevel.includes(chunk.path_in_schema?.[0] ?? "")) continue;
    const start = Number(chunk.dictionary_page_offset || chunk.data_page_offset);
    const end = start + Number(chunk.total_compressed_size);
    const locator = {
      path: chunk.path_in_schema.join("."),
      start,
      end,
      codec: String(chunk.codec),
      maxDefinition: 0,
      uncompressedBytes: Number(chunk.total_uncompressed_size),
    };
    const place = { file: file.uri, rowGroup };
    const isPlain = hasNoLevels(metadata, chunk.path_in_schema);
    for await (const page of readPages(file, locator, place, limits)) {
      if (page.kind === "data" && isPlain && page.encoding.startsWith("DELTA_")) {
        const rule = `a page of column ${locator.path} must hold what its header says`;
        guarded("corrupt-page", place, rule, () => checkDeltaHead(page.body));
      }
    }
  }
}

/** A column of the top level that is neither optional nor repeated: its pages begin with their values. */
function hasNoLevels({ schema }: FileMetaData, path: readonly string[]): boolean {
  return path.length === 1 && schema.some(({ name, repetition_type: type }) => name === path[0] && type === "REQUIRED");
}

/** Of DELTA_BINARY_PACKED: the decoder would follow negative sizes back, for ever. @throws Error */
function checkDeltaHead(body: Uint8Array): void {
  let at = 0;
  const varint = (): number => {
    for (let value = 0, factor = 1; ; factor *= 128) {
      const byte = body[at++];
      if (byte === undefined || factor > 2 ** 42) throw new Error("the head of its differences does not end");
      value += (byte & 127) * factor;
      if (byte < 128) return value;
    }
  };
  const [block, miniblocks] = [varint(), varint()];
  if (!(block > 0 && block <= MAX_BLOCK && miniblocks > 0 && block % miniblocks === 0))
    throw new Error(`its differences are in blocks of ${block}, each of ${miniblocks} parts`);
}

/** Writers have 128 or some times that. */
const MAX_BLOCK = 1 << 20;

function member(value: unknown, name: string): unknown {
  return value !== null && typeof value === "object" ? (value as Record<string, unknown>)[name] : undefined;
}
