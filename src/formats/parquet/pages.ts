/**
 * Walks the pages of a column chunk, without ever holding the chunk: header, bounds, checksum, decompression. What comes out are page bodies of the
 * stated size; what is in them is for byte-array.ts.
 */
import { crc32 } from "node:zlib";
import type { PageHeader } from "hyparquet";
import { parquetHeader } from "hyparquet/src/column.js";
import type { ErrorPlace } from "../../lib/errors.ts";
import type { RandomAccessFile } from "../../storage/storage.ts";
import type { PageBuffer } from "../codecs/page-buffer.ts";
import { badShard, reason } from "../failure.ts";
import type { ReadLimits } from "../shard.ts";
import { ByteWindows } from "../windows.ts";
import { CODEC_NAMES, codecNamed, type Decompress, storedPage } from "./codecs.ts";
import type { ChunkLocator } from "./layout.ts";

export interface DictionaryPage {
  readonly kind: "dictionary";
  readonly values: number;
  readonly body: Uint8Array;
}

export interface DataPage {
  readonly kind: "data";
  /** nulls included */
  readonly values: number;
  readonly encoding: string;
  /** definition levels, RLE-hybrid encoded, without their length prefix; undefined where the column has none */
  readonly levels: Uint8Array | undefined;
  readonly body: Uint8Array;
}

/** A page may state at most as many values as fit this many bytes each into the largest page. */
const MIN_BYTES_PER_VALUE = 8;

/** Most page headers are far shorter; statistics of long texts make some longer. */
const HEADER_BYTES = 1 << 13;
const MAX_HEADER_BYTES = 1 << 24;

/**
 * The pages of a column chunk in order, read ahead window by window. With `buffer`, a data page's body is valid until
 * the next page is asked for.
 *
 * @throws DoremiError corrupt-page, page-too-large, unsupported-codec, unsupported-encoding
 */
export async function* readPages(
  file: RandomAccessFile,
  locator: ChunkLocator,
  place: ErrorPlace,
  limits: ReadLimits,
  buffer?: PageBuffer,
): AsyncGenerator<DictionaryPage | DataPage> {
  const decompress = codecNamed(locator.codec);
  if (!decompress) {
    throw badShard(
      "unsupported-codec",
      place,
      `column ${locator.path} is compressed with ${locator.codec}; read are ${CODEC_NAMES.join(", ")}. Write it again with one of them`,
    );
  }
  const windows = new ByteWindows(file, locator.start, locator.end, buffer ? "lent" : "owned");
  try {
    while (windows.remaining > 0) {
      const at = `column ${locator.path}, the page at byte ${windows.position}`;
      const corrupt = (message: string) => badShard("corrupt-page", place, `${at} ${message}`);
      const header = await nextHeader(windows, place, `${at} must begin with a page header`);
      const stored = header.compressed_page_size;
      const size = header.uncompressed_page_size;
      if (!(stored >= 0 && size >= 0))
        throw corrupt(`must have a size; it says ${stored} compressed, ${size} uncompressed`);
      if (stored > windows.remaining) {
        throw corrupt(`says ${stored} bytes, beyond the end of its column chunk by ${stored - windows.remaining}`);
      }
      if (header.type === "INDEX_PAGE") {
        await windows.peek(stored);
        windows.advance(stored);
        continue;
      }
      if (Math.max(stored, size) > limits.maxPageBytes) {
        throw badShard(
          "page-too-large",
          place,
          `${at} says ${size} bytes uncompressed, ${stored} compressed, over the limit of ${limits.maxPageBytes} (maxPageBytes)`,
        );
      }
      const bytes = await windows.peek(stored);
      windows.advance(stored);
      if (header.crc !== undefined && header.crc >>> 0 !== crc32(bytes)) {
        throw corrupt(
          `does not match its checksum (CRC-32): the file was damaged after it was written. Fetch it again`,
        );
      }
      // A dictionary outlives the pages after it.
      const scratch = header.type === "DICTIONARY_PAGE" ? undefined : buffer;
      const expand = (input: Uint8Array, length: number, codec = decompress): Uint8Array => {
        if (length === 0) return new Uint8Array(0);
        let output: Uint8Array;
        try {
          output = codec(input, length, scratch);
        } catch (error) {
          throw corrupt(`must decompress (${locator.codec}) to ${length} bytes: ${reason(error)}`);
        }
        if (output.length !== length)
          throw corrupt(`must decompress (${locator.codec}) to ${length} bytes, gave ${output.length}`);
        return output;
      };
      const page = bodyOf(header, bytes, locator, corrupt, expand, place);
      if (page.values > limits.maxPageBytes / MIN_BYTES_PER_VALUE) {
        throw badShard(
          "page-too-large",
          place,
          `${at} says ${page.values} values, too many for a page of at most ${limits.maxPageBytes} bytes (maxPageBytes)`,
        );
      }
      yield page;
    }
  } finally {
    await windows.close();
  }
}

/** A header says its length only by being decoded: tried on a little, then on more. */
async function nextHeader(windows: ByteWindows, place: ErrorPlace, rule: string): Promise<PageHeader> {
  for (let tried = HEADER_BYTES; ; tried *= 8) {
    const bytes = await windows.peek(tried);
    const isAll = bytes.length === windows.remaining || tried >= MAX_HEADER_BYTES;
    const reader = { view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), offset: 0 };
    try {
      const header = parquetHeader(reader);
      if (reader.offset > bytes.length) throw new RangeError("it ends early");
      checkNumbers(header);
      windows.advance(reader.offset);
      return header;
    } catch (error) {
      if (isAll) throw badShard("corrupt-page", place, `${rule}, but decoding failed: ${reason(error)}`, error);
    }
  }
}

/** The decoder gives whatever type a field says it is of. @throws Error */
function checkNumbers(header: PageHeader): void {
  const { dictionary_page_header: dictionary, data_page_header: v1, data_page_header_v2: v2 } = header;
  const numbers: Record<string, unknown> = {
    compressed_page_size: header.compressed_page_size,
    uncompressed_page_size: header.uncompressed_page_size,
    crc: header.crc ?? 0,
    num_values: (dictionary ?? v1 ?? v2)?.num_values ?? 0,
    ...(v2 && {
      repetition_levels_byte_length: v2.repetition_levels_byte_length ?? 0,
      definition_levels_byte_length: v2.definition_levels_byte_length ?? 0,
    }),
  };
  for (const [name, value] of Object.entries(numbers))
    if (!Number.isSafeInteger(value)) throw new TypeError(`its ${name} is no number of 32 bits`);
}

function bodyOf(
  header: PageHeader,
  bytes: Uint8Array,
  locator: ChunkLocator,
  corrupt: (message: string) => Error,
  expand: (input: Uint8Array, length: number, codec?: Decompress) => Uint8Array,
  place: ErrorPlace,
): DictionaryPage | DataPage {
  const size = header.uncompressed_page_size;
  const { dictionary_page_header: dictionary, data_page_header: v1, data_page_header_v2: v2 } = header;
  const counted = (values: number | undefined): number => {
    if (values === undefined || values < 0) throw corrupt(`must say how many values it has; it says ${values}`);
    return values;
  };
  if (header.type === "DICTIONARY_PAGE" && dictionary) {
    return { kind: "dictionary", values: counted(dictionary.num_values), body: expand(bytes, size) };
  }
  if (header.type === "DATA_PAGE" && v1) {
    const values = counted(v1.num_values);
    const page = expand(bytes, size);
    if (locator.maxDefinition === 0)
      return { kind: "data", values, encoding: v1.encoding, levels: undefined, body: page };
    if (v1.definition_level_encoding !== "RLE") {
      throw badShard(
        "unsupported-encoding",
        place,
        `column ${locator.path} has levels of encoding ${v1.definition_level_encoding}; write it again with RLE`,
      );
    }
    const length =
      page.length < 4 ? Number.POSITIVE_INFINITY : new DataView(page.buffer, page.byteOffset).getUint32(0, true);
    if (4 + length > page.length) throw corrupt(`says ${length} bytes of levels and has ${page.length} in all`);
    return {
      kind: "data",
      values,
      encoding: v1.encoding,
      levels: page.subarray(4, 4 + length),
      body: page.subarray(4 + length),
    };
  }
  if (header.type === "DATA_PAGE_V2" && v2) {
    const values = counted(v2.num_values);
    const [repetition, definition] = [v2.repetition_levels_byte_length ?? 0, v2.definition_levels_byte_length ?? 0];
    const start = repetition + definition;
    if (repetition < 0 || definition < 0 || start > Math.min(bytes.length, size)) {
      throw corrupt(`says ${repetition} + ${definition} bytes of levels and has ${bytes.length} in all`);
    }
    const stored = bytes.subarray(start);
    const body = expand(stored, size - start, v2.is_compressed === false ? storedPage : undefined);
    const levels = locator.maxDefinition === 0 ? undefined : bytes.subarray(repetition, start);
    return { kind: "data", values, encoding: v2.encoding, levels, body };
  }
  throw corrupt(`must be a dictionary or data page; its type is ${header.type}`);
}
