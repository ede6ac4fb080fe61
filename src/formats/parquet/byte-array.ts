/**
 * Values of BYTE_ARRAY pages as texts one after the other: value i is bytes[offsets[i] .. offsets[i + 1]]. No object and
 * no string per value. Every length and index is checked against the page before it is used.
 */
import { deltaBinaryUnpack } from "hyparquet/src/delta.js";
import { readVarInt } from "hyparquet/src/thrift.js";
import { decodeHybrid } from "./hybrid.ts";
import type { DataPage, DictionaryPage } from "./pages.ts";

export interface ByteValues {
  readonly bytes: Uint8Array;
  /** one more than there are values */
  readonly offsets: Uint32Array;
}

export interface DecodedPage {
  /** nulls included */
  readonly rows: number;
  /** definition level of each row; undefined where every row has a value */
  readonly levels: Int32Array | undefined;
  /** of the rows that have one, in order; the whole dictionary, where `indices` is there */
  readonly values: ByteValues;
  /** present for dictionary-encoded pages: which entry of the dictionary each value is */
  readonly indices: Int32Array | undefined;
}

/** The page's body becomes the values. */
export function decodeDictionary(page: DictionaryPage): ByteValues {
  return plainValues(page.body, page.values);
}

/**
 * The page's body becomes the values where it can.
 *
 * @param maxDefinition definition level of a row that has a value
 * @param maxBytes limit for values that have to be put together (DELTA_BYTE_ARRAY)
 * @throws Error in plain words; the caller knows the place
 */
export function decodeDataPage(
  page: DataPage,
  dictionary: ByteValues | undefined,
  maxDefinition: number,
  maxBytes: number,
): DecodedPage {
  let levels: Int32Array | undefined;
  let count = page.values;
  if (page.levels) {
    levels = new Int32Array(page.values);
    decodeHybrid(page.levels, 32 - Math.clz32(maxDefinition), levels);
    count = 0;
    for (const level of levels) if (level === maxDefinition) count++;
    if (count === page.values) levels = undefined;
  }
  if (count === 0) return { rows: page.values, levels, values: NO_VALUES, indices: undefined };
  switch (page.encoding) {
    case "PLAIN":
      return { rows: page.values, levels, values: plainValues(page.body, count), indices: undefined };
    case "PLAIN_DICTIONARY":
    case "RLE_DICTIONARY": {
      if (!dictionary) throw new Error("is dictionary-encoded, and its column chunk has no dictionary page before it");
      const indices = new Int32Array(count);
      decodeHybrid(page.body.subarray(1), page.body[0] ?? 0, indices);
      requireEntries(indices, dictionary.offsets.length - 1);
      return { rows: page.values, levels, values: dictionary, indices };
    }
    case "DELTA_LENGTH_BYTE_ARRAY":
      return { rows: page.values, levels, values: deltaLengthValues(page.body, count), indices: undefined };
    case "DELTA_BYTE_ARRAY":
      return { rows: page.values, levels, values: deltaValues(page.body, count, maxBytes), indices: undefined };
    default:
      throw new Error(`has encoding ${page.encoding}, which byte arrays do not have`);
  }
}

const NO_VALUES: ByteValues = { bytes: new Uint8Array(0), offsets: new Uint32Array(1) };

/** Below this, a byte-by-byte loop beats a call of copyWithin. */
const SMALL_MOVE = 32;

/** [length, uint32 little-endian; bytes]…: the texts move together over the lengths between them, within the page. */
function plainValues(bytes: Uint8Array, count: number): ByteValues {
  if (count * 4 > bytes.length) throw new Error(`says ${count} values and ends early, after ${bytes.length} bytes`);
  const offsets = new Uint32Array(count + 1);
  let at = 0;
  let to = 0;
  for (let i = 0; i < count; i++) {
    if (at + 4 > bytes.length) throw new Error(`says ${count} values and ends after ${i}`);
    const length = (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;
    at += 4;
    const end = at + length;
    if (end > bytes.length) throw new Error(`has a value of ${length} bytes and only ${bytes.length - at} left`);
    if (length < SMALL_MOVE) while (at < end) bytes[to++] = bytes[at++]!;
    else {
      bytes.copyWithin(to, at, end);
      to += length;
      at = end;
    }
    offsets[i + 1] = to;
  }
  return { bytes: bytes.subarray(0, to), offsets };
}

function requireEntries(indices: Int32Array, entries: number): void {
  for (const index of indices) {
    if (index >>> 0 >= entries) throw new Error(`refers to entry ${index >>> 0} of a dictionary of ${entries}`);
  }
}

function deltaLengthValues(body: Uint8Array, count: number): ByteValues {
  const reader = { view: viewOf(body), offset: 0 };
  const lengths = deltaInt32(reader, count);
  const bytes = body.subarray(reader.offset);
  const offsets = new Uint32Array(count + 1);
  let at = 0;
  for (let i = 0; i < count; i++) {
    const length = lengths[i]!;
    if (length < 0 || at + length > bytes.length)
      throw new Error(`has a value of ${length} bytes and only ${bytes.length - at} left`);
    at += length;
    offsets[i + 1] = at;
  }
  return { bytes: bytes.subarray(0, at), offsets };
}

/** Each value is a prefix of the one before and a suffix. */
function deltaValues(body: Uint8Array, count: number, maxBytes: number): ByteValues {
  const reader = { view: viewOf(body), offset: 0 };
  const prefixes = deltaInt32(reader, count);
  const suffixes = deltaInt32(reader, count);
  let total = 0;
  for (let i = 0; i < count; i++) {
    const [prefix, suffix] = [prefixes[i]!, suffixes[i]!];
    if (prefix < 0 || suffix < 0) throw new Error(`has a value of ${prefix} + ${suffix} bytes`);
    if (i > 0 ? prefix > prefixes[i - 1]! + suffixes[i - 1]! : prefix > 0)
      throw new Error("repeats more of a value than it has");
    total += prefix + suffix;
  }
  if (total > maxBytes)
    throw new Error(`has values of ${total} bytes together, over the limit of ${maxBytes} (maxPageBytes)`);
  const bytes = new Uint8Array(total);
  const offsets = new Uint32Array(count + 1);
  let from = reader.offset;
  let to = 0;
  for (let i = 0; i < count; i++) {
    const [prefix, suffix] = [prefixes[i]!, suffixes[i]!];
    if (from + suffix > body.length)
      throw new Error(`has a value of ${suffix} bytes and only ${body.length - from} left`);
    if (prefix > 0) bytes.copyWithin(to, offsets[i - 1]!, offsets[i - 1]! + prefix);
    bytes.set(body.subarray(from, from + suffix), to + prefix);
    from += suffix;
    to += prefix + suffix;
    offsets[i + 1] = to;
  }
  return { bytes, offsets };
}

interface Reader {
  readonly view: DataView;
  offset: number;
}

/** DELTA_BINARY_PACKED of lengths; its head is checked first, because the decoder would follow a negative count back. */
function deltaInt32(reader: Reader, count: number): Int32Array {
  const start = reader.offset;
  const [blockSize, miniblocks, values] = [readVarInt(reader), readVarInt(reader), readVarInt(reader)];
  if (!(miniblocks > 0 && blockSize >= 128 && blockSize % 128 === 0 && (blockSize / miniblocks) % 32 === 0)) {
    throw new Error(`has delta blocks of ${blockSize} values in ${miniblocks} parts`);
  }
  if (values !== count) throw new Error(`says ${count} values and holds ${values}`);
  reader.offset = start;
  const output = new Int32Array(count);
  deltaBinaryUnpack(reader, count, output);
  return output;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
