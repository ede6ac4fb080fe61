/**
 * selection.parquet: the chosen rows, written in row groups of bounded size, whatever the number of rows. The same rows
 * give the same bytes. Paths and domains are dictionaries, numbers are packed as differences; what is left after that does
 * not compress, so nothing is compressed.
 */
import { createHash } from "node:crypto";
import { ByteWriter } from "hyparquet-writer";
import { writePageHeader } from "hyparquet-writer/src/datapage.js";
import { writeMetadata } from "hyparquet-writer/src/metadata.js";
import { BitWriter } from "../formats/parquet/bit-writer.ts";
import { encodeDelta, encodeIndices } from "../formats/parquet/encode.ts";
import { AtomicFile } from "../lib/atomic-write.ts";
import type { SelectionRow } from "./contract.ts";
import { RunBuffer, type SelectionChunk } from "./selection/run-buffer.ts";
import { SELECTION_COLUMNS } from "./selection-columns.ts";

export { readSelection } from "./selection-columns.ts";

type FileMetaData = Parameters<typeof writeMetadata>[1];
type ColumnChunk = FileMetaData["row_groups"][number]["columns"][number];
type PhysicalType = "INT32" | "INT64" | "BYTE_ARRAY";

const TYPES: Record<(typeof SELECTION_COLUMNS)[number], PhysicalType> = {
  file: "BYTE_ARRAY",
  row_group: "INT32",
  row_start: "INT64",
  row_end: "INT64",
  domain: "BYTE_ARRAY",
  epoch: "INT32",
  tokens: "INT64",
};

const SCHEMA: FileMetaData["schema"] = [
  { name: "selection", num_children: SELECTION_COLUMNS.length },
  ...SELECTION_COLUMNS.map((name) => ({
    name,
    type: TYPES[name],
    repetition_type: "REQUIRED" as const,
    ...(TYPES[name] === "BYTE_ARRAY" && { converted_type: "UTF8" as const }),
  })),
];

const MAGIC = 0x31524150; // PAR1

export interface WrittenSelection {
  readonly sha256: string;
  /** rows of the file, which are runs of documents */
  readonly rows: number;
}

/** What a selection is written from: its chunks, and the names that their indices point at. */
export interface SelectionSource {
  readonly paths: readonly string[];
  readonly names: readonly string[];
  chunks(): Iterable<SelectionChunk> | AsyncIterable<SelectionChunk>;
}

/** Writes the file as a whole or not at all. @throws DoremiError; whatever the chunks throw, with nothing left behind */
export async function writeSelectionChunks(path: string, source: SelectionSource): Promise<WrittenSelection> {
  const file = await AtomicFile.create(path);
  let written: Promise<void> = Promise.resolve();
  try {
    const hash = createHash("sha256");
    const groups = new RowGroups(source.paths, source.names);
    // While one row group is on its way to the disk, the next is chosen and encoded.
    const write = async (bytes: Uint8Array) => {
      hash.update(bytes);
      await written;
      written = file.write(bytes);
      written.catch(() => {}); // awaited above or below
    };
    for await (const chunk of source.chunks()) await write(groups.add(chunk));
    await write(groups.finish());
    await written;
    await file.commit();
    return { sha256: hash.digest("hex"), rows: groups.rows };
  } catch (error) {
    await written.catch(() => {});
    await file.discard();
    throw error;
  }
}

/** The same from rows one by one, for selections of no great size. @throws as writeSelectionChunks */
export function writeSelection(
  path: string,
  rows: Iterable<SelectionRow> | AsyncIterable<SelectionRow>,
): Promise<WrittenSelection> {
  const paths = new NameList();
  const names = new NameList();
  return writeSelectionChunks(path, {
    paths: paths.names,
    names: names.names,
    async *chunks() {
      const buffer = new RunBuffer({ joins: false });
      for await (const { file, rowGroup, rowStart, rowEnd, domain, epoch, tokens } of rows) {
        buffer.append(paths.indexOf(file), rowGroup, rowStart, rowEnd, names.indexOf(domain), epoch, tokens);
        while (buffer.hasFull) yield buffer.takeFull()!;
      }
      const rest = buffer.takeRest();
      if (rest) yield rest;
    },
  });
}

class NameList {
  readonly names: string[] = [];
  readonly #places = new Map<string, number>();

  indexOf(name: string): number {
    let place = this.#places.get(name);
    if (place === undefined) {
      place = this.names.length;
      this.names.push(name);
      this.#places.set(name, place);
    }
    return place;
  }
}

/** Encodes row groups and keeps what the footer says of them. */
class RowGroups {
  rows = 0;
  readonly #groups: FileMetaData["row_groups"] = [];
  readonly #page = new BitWriter();
  readonly #files: Dictionary;
  readonly #domains: Dictionary;
  #offset = 0; // in the file

  constructor(paths: readonly string[], names: readonly string[]) {
    this.#files = new Dictionary(paths);
    this.#domains = new Dictionary(names);
  }

  /** @returns the bytes that follow those before */
  add(chunk: SelectionChunk): Uint8Array {
    const out = this.#writer();
    const start = out.offset;
    const columns: ColumnChunk[] = [
      this.#strings("file", this.#files, chunk.file, out),
      this.#integers("row_group", chunk.rowGroup, out),
      this.#integers("row_start", chunk.rowStart, out),
      this.#integers("row_end", chunk.rowEnd, out),
      this.#strings("domain", this.#domains, chunk.domain, out),
      this.#integers("epoch", chunk.epoch, out),
      this.#integers("tokens", chunk.tokens, out),
    ];
    const size = BigInt(out.offset - start);
    const num_rows = BigInt(chunk.count);
    this.#groups.push({ columns, total_byte_size: size, num_rows, total_compressed_size: size });
    this.rows += chunk.count;
    return this.#taken(out);
  }

  finish(): Uint8Array {
    const out = this.#writer();
    const metadata = {
      version: 2,
      created_by: "doremi",
      schema: SCHEMA,
      num_rows: BigInt(this.rows),
      row_groups: this.#groups,
    };
    writeMetadata(out, metadata as FileMetaData); // whose metadata_length is a reader's
    out.appendUint32(MAGIC);
    return this.#taken(out);
  }

  /** Knows where in the file it is. */
  #writer(): ByteWriter {
    const out = new ByteWriter(1 << 20);
    out.offset = this.#offset;
    if (this.#offset === 0) out.appendUint32(MAGIC);
    return out;
  }

  #taken(out: ByteWriter): Uint8Array {
    this.#offset = out.offset;
    return out.getBytes();
  }

  #integers(name: string, values: Int32Array | Float64Array, out: ByteWriter): ColumnChunk {
    const start = out.offset;
    this.#page.clear();
    encodeDelta(values, this.#page);
    this.#dataPage(values.length, "DELTA_BINARY_PACKED", out);
    return columnChunk(name, ["DELTA_BINARY_PACKED"], values.length, start, undefined, out.offset);
  }

  #strings(name: string, dictionary: Dictionary, values: Int32Array, out: ByteWriter): ColumnChunk {
    const start = out.offset;
    const { indices, used } = dictionary.of(values);
    this.#page.clear();
    for (const place of used) dictionary.writeName(place, this.#page);
    const size = this.#page.size;
    writePageHeader(out, {
      type: "DICTIONARY_PAGE",
      uncompressed_page_size: size,
      compressed_page_size: size,
      dictionary_page_header: { num_values: used.length, encoding: "PLAIN" },
    });
    out.appendBytes(this.#page.bytes);
    const data = out.offset;
    this.#page.clear();
    encodeIndices(indices, used.length, this.#page);
    this.#dataPage(values.length, "RLE_DICTIONARY", out);
    return columnChunk(name, ["PLAIN", "RLE_DICTIONARY"], values.length, data, start, out.offset);
  }

  #dataPage(rows: number, encoding: "DELTA_BINARY_PACKED" | "RLE_DICTIONARY", out: ByteWriter): void {
    const size = this.#page.size;
    writePageHeader(out, {
      type: "DATA_PAGE_V2",
      uncompressed_page_size: size,
      compressed_page_size: size,
      data_page_header_v2: {
        num_values: rows,
        num_nulls: 0,
        num_rows: rows,
        encoding,
        definition_levels_byte_length: 0,
        repetition_levels_byte_length: 0,
        is_compressed: false,
      },
    });
    out.appendBytes(this.#page.bytes);
  }
}

function columnChunk(
  name: string,
  encodings: ("PLAIN" | "RLE_DICTIONARY" | "DELTA_BINARY_PACKED")[],
  rows: number,
  data: number,
  dictionary: number | undefined,
  end: number,
): ColumnChunk {
  const size = BigInt(end - (dictionary ?? data));
  return {
    file_offset: 0n,
    meta_data: {
      type: TYPES[name as keyof typeof TYPES],
      encodings,
      path_in_schema: [name],
      codec: "UNCOMPRESSED",
      num_values: BigInt(rows),
      total_uncompressed_size: size,
      total_compressed_size: size,
      data_page_offset: BigInt(data),
      ...(dictionary !== undefined && { dictionary_page_offset: BigInt(dictionary) }),
    },
  };
}

/** Numbers the names that a row group uses, in the order in which they come. */
class Dictionary {
  readonly #names: readonly string[];
  readonly #bytes: Uint8Array[] = [];
  #places = new Int32Array(0);

  constructor(names: readonly string[]) {
    this.#names = names;
  }

  of(values: Int32Array): { readonly indices: Int32Array; readonly used: readonly number[] } {
    if (this.#places.length < this.#names.length) this.#places = new Int32Array(this.#names.length);
    const places = this.#places.fill(-1);
    const indices = new Int32Array(values.length);
    const used: number[] = [];
    for (let i = 0; i < values.length; i++) {
      const value = values[i]!;
      if (places[value] === -1) {
        places[value] = used.length;
        used.push(value);
      }
      indices[i] = places[value]!;
    }
    return { indices, used };
  }

  /** As PLAIN has it: its length in 4 bytes, then its bytes. */
  writeName(place: number, into: BitWriter): void {
    const bytes = this.#bytes[place] ?? new TextEncoder().encode(this.#names[place]);
    this.#bytes[place] = bytes;
    into.littleEndian(bytes.length, 4);
    into.append(bytes);
  }
}
