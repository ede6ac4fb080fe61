/**
 * Arrow IPC messages: where one lies, and its header decoded. Headers only; bodies are for buffers.ts.
 */
import { DictionaryBatch } from "apache-arrow/fb/dictionary-batch";
import { Message } from "apache-arrow/fb/message";
import { MessageHeader } from "apache-arrow/fb/message-header";
import { RecordBatch } from "apache-arrow/fb/record-batch";
import { Schema } from "apache-arrow/fb/schema";
import { ByteBuffer } from "flatbuffers";
import type { ErrorPlace } from "../../lib/errors.ts";
import type { RandomAccessFile } from "../../storage/storage.ts";
import { badShard, guarded } from "../failure.ts";
import type { ReadLimits } from "../shard.ts";

/** Where a message lies in the file; plain data. */
export interface MessagePlace {
  readonly offset: number;
  /** length prefix, flatbuffer and padding */
  readonly headBytes: number;
  readonly bodyBytes: number;
}

export interface BatchHeader {
  readonly rows: number;
  readonly nodes: readonly { readonly length: number; readonly nulls: number }[];
  /** within the body */
  readonly buffers: readonly { readonly offset: number; readonly length: number }[];
  readonly compression: "none" | "lz4" | "zstd";
  readonly variadicCounts: readonly number[];
}

export type DecodedMessage =
  | { readonly kind: "schema"; readonly version: number; readonly schema: Schema }
  | { readonly kind: "batch"; readonly batch: BatchHeader }
  | { readonly kind: "dictionary"; readonly id: number; readonly isDelta: boolean; readonly batch: BatchHeader }
  | { readonly kind: "other" };

const CONTINUATION = 0xffff_ffff;
/** Read at once at the start of a message: most headers fit. */
const HEAD_GUESS = 4096;

/**
 * The message at an offset of a stream; undefined at its end, marked or not.
 * @throws DoremiError truncated, corrupt
 */
export async function readMessage(
  file: RandomAccessFile,
  offset: number,
  place: ErrorPlace,
  limits: ReadLimits,
): Promise<{ readonly place: MessagePlace; readonly message: DecodedMessage } | undefined> {
  const guess = await file.read(offset, offset + HEAD_GUESS);
  if (guess.length === 0) return undefined;
  const prefix = prefixOf(guess);
  if (prefix === undefined) throw truncated(place, file, offset + 8);
  if (prefix.flatbufferBytes === 0) return undefined;
  const headBytes = prefix.bytes + prefix.flatbufferBytes;
  if (prefix.flatbufferBytes < 0 || prefix.flatbufferBytes > limits.maxMetadataBytes) {
    throw badShard(
      "corrupt",
      place,
      `the message at byte ${offset} says ${prefix.flatbufferBytes} bytes of header; at most ${limits.maxMetadataBytes} (maxMetadataBytes) are read`,
    );
  }
  if (offset + headBytes > file.size) throw truncated(place, file, offset + headBytes);
  const head = headBytes <= guess.length ? guess.subarray(0, headBytes) : await file.read(offset, offset + headBytes);
  const { message, bodyBytes } = decodeMessage(head.subarray(prefix.bytes), place, offset);
  if (offset + headBytes + bodyBytes > file.size) throw truncated(place, file, offset + headBytes + bodyBytes);
  return { place: { offset, headBytes, bodyBytes }, message };
}

function truncated(place: ErrorPlace, file: RandomAccessFile, needed: number): Error {
  return badShard(
    "truncated",
    place,
    `a message must end at byte ${needed}, and the file has ${file.size}: unexpected end of the stream. Fetch or write it again`,
  );
}

/** Since Arrow 0.15 a marker stands before the length. */
function prefixOf(bytes: Uint8Array): { readonly bytes: number; readonly flatbufferBytes: number } | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 4) return undefined;
  if (view.getUint32(0, true) !== CONTINUATION) return { bytes: 4, flatbufferBytes: view.getInt32(0, true) };
  return bytes.length < 8 ? undefined : { bytes: 8, flatbufferBytes: view.getInt32(4, true) };
}

/** @param bytes the flatbuffer and its padding */
export function decodeMessage(bytes: Uint8Array, place: ErrorPlace, offset: number) {
  return guarded("corrupt", place, `the message at byte ${offset} must be Arrow's`, () => {
    const message = Message.getRootAsMessage(new ByteBuffer(bytes));
    const bodyBytes = Number(message.bodyLength());
    if (bodyBytes < 0) throw new Error(`a body of ${bodyBytes} bytes`);
    return { message: headerOf(message), bodyBytes };
  });
}

function headerOf(message: Message): DecodedMessage {
  switch (message.headerType()) {
    case MessageHeader.Schema:
      return { kind: "schema", version: message.version(), schema: message.header(new Schema()) };
    case MessageHeader.RecordBatch:
      return { kind: "batch", batch: batchHeader(message.header(new RecordBatch())) };
    case MessageHeader.DictionaryBatch: {
      const dictionary: DictionaryBatch = message.header(new DictionaryBatch());
      const batch = batchHeader(dictionary.data()!);
      return { kind: "dictionary", id: Number(dictionary.id()), isDelta: dictionary.isDelta(), batch };
    }
    default:
      return { kind: "other" };
  }
}

function batchHeader(batch: RecordBatch): BatchHeader {
  const codec = batch.compression()?.codec();
  if (codec !== undefined && codec !== 0 && codec !== 1) throw new Error(`unknown compression ${codec}`);
  const header: BatchHeader = {
    rows: Number(batch.length()),
    nodes: structVector(batch, batch.nodesLength(), 16, (i) => {
      const node = batch.nodes(i)!;
      return { length: Number(node.length()), nulls: Number(node.nullCount()) };
    }),
    buffers: structVector(batch, batch.buffersLength(), 16, (i) => {
      const buffer = batch.buffers(i)!;
      return { offset: Number(buffer.offset()), length: Number(buffer.length()) };
    }),
    compression: codec === undefined ? "none" : codec === 0 ? "lz4" : "zstd",
    variadicCounts: structVector(batch, batch.variadicBufferCountsLength(), 8, (i) =>
      Number(batch.variadicBufferCounts(i)),
    ),
  };
  if (header.rows < 0) throw new Error(`a batch of ${header.rows} rows`);
  if (header.variadicCounts.some((count) => count < 0 || count > header.buffers.length))
    throw new Error("more data buffers than there are");
  return header;
}

/** A damaged length must not become an array of that length. */
function structVector<T>(batch: RecordBatch, length: number, bytesEach: number, at: (i: number) => T): T[] {
  if (length < 0 || length * bytesEach > (batch.bb?.capacity() ?? 0)) throw new Error(`a list of ${length} entries`);
  return Array.from({ length }, (_, i) => at(i));
}
