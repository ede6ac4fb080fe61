/**
 * The format of a shard from its first and last bytes, never from its name: data sets are full of Arrow streams called
 * .arrow, zstd called .gz, and HTML error pages called .parquet.
 */
import type { RandomAccessFile } from "../storage/storage.ts";
import { badShard } from "./failure.ts";
import type { ShardFormat } from "./shard.ts";

export type Compression = "none" | "gzip" | "zstd";

export type Sniffed =
  | { readonly format: Exclude<ShardFormat, "jsonl"> }
  | { readonly format: "jsonl"; readonly compression: Compression };

/** Formats that are recognised in order to say so. */
const UNSUPPORTED: readonly { readonly magic: string; readonly name: string; readonly remedy: string }[] = [
  { magic: "FEA1", name: "Feather v1", remedy: "rewrite it as an Arrow IPC file (Feather v2)" },
  { magic: "BZh", name: "bzip2", remedy: "recompress it with zstd or gzip" },
  { magic: "\xfd7zXZ\0", name: "xz", remedy: "recompress it with zstd or gzip" },
  { magic: "\x04\x22\x4d\x18", name: "LZ4-compressed", remedy: "recompress it with zstd or gzip" },
  { magic: "PK\x03\x04", name: "a ZIP archive", remedy: "unpack it" },
  { magic: "ORC", name: "ORC", remedy: "convert it to Parquet" },
  { magic: "Obj\x01", name: "Avro", remedy: "convert it to Parquet" },
  { magic: "\x89HDF", name: "HDF5", remedy: "convert it to Parquet" },
];

const GZIP = 0x1f8b;
const ZSTD_FRAME = 0xfd2fb528;
/** 0x184D2A50 to 0x184D2A5F */
const ZSTD_SKIPPABLE = 0x184d2a50;
/** Longest flatbuffer that a pre-0.15 stream, which has no marker, may begin with and still be taken for one. */
const MAX_LEGACY_SCHEMA = 1 << 24;

/** @throws DoremiError empty-file, truncated, bad-magic, encrypted, unsupported-format, bad-json */
export async function sniff(file: RandomAccessFile): Promise<Sniffed> {
  const place = { file: file.uri };
  if (file.size === 0)
    throw badShard("empty-file", place, "a shard must hold data, and this has 0 bytes; was it written whole?");
  const head = Buffer.from(await file.read(0, 512));
  const tail = Buffer.from(await file.read(Math.max(0, file.size - 8), file.size)).toString("latin1");
  const text = head.toString("latin1");

  if (text.startsWith("PAR1") || text.startsWith("PARE")) {
    if (tail.endsWith("PARE"))
      throw badShard("encrypted", place, "is encrypted (Parquet modular encryption, magic PARE); decrypt it first");
    if (!tail.endsWith("PAR1") || file.size < 12) {
      throw badShard(
        "truncated",
        place,
        `a Parquet file must end in PAR1 after its footer; it ends early, at ${file.size} bytes. Fetch or write it again`,
      );
    }
    return { format: "parquet" };
  }
  if (text.startsWith("ARROW1")) {
    if (!tail.endsWith("ARROW1") || file.size < 18) {
      throw badShard(
        "truncated",
        place,
        `an Arrow file must end in ARROW1 after its footer; it ends early, at ${file.size} bytes. Fetch or write it again`,
      );
    }
    return { format: "arrow-file" };
  }
  const unsupported = UNSUPPORTED.find(({ magic }) => text.startsWith(magic));
  if (unsupported)
    throw badShard("unsupported-format", place, `is ${unsupported.name}, which is not read; ${unsupported.remedy}`);
  if (tail.endsWith("PAR1") || tail.endsWith("PARE")) {
    throw badShard(
      "bad-magic",
      place,
      `ends like Parquet but does not begin with PAR1: its first bytes are ${shown(head)}. Fetch it again`,
    );
  }
  if (isArrowStream(head)) return { format: "arrow-stream" };
  if (head.length >= 2 && head.readUInt16BE(0) === GZIP) return { format: "jsonl", compression: "gzip" };
  if (head.length >= 4) {
    const magic = head.readUInt32LE(0);
    if (magic === ZSTD_FRAME || (magic & 0xffff_fff0) >>> 0 === ZSTD_SKIPPABLE)
      return { format: "jsonl", compression: "zstd" };
  }
  return { format: "jsonl", compression: requireJsonLines(head, file.uri) };
}

/** A marker or, before Arrow 0.15, the length of the schema message at once; then a flatbuffer's root offset. */
function isArrowStream(head: Buffer): boolean {
  if (head.length < 8) return false;
  const first = head.readUInt32LE(0);
  if (first === 0xffff_ffff) return head.readInt32LE(4) >= 0;
  if (first % 4 !== 0 || first < 16 || first > MAX_LEGACY_SCHEMA) return false;
  const root = head.readUInt32LE(4);
  return root % 2 === 0 && root >= 4 && root < Math.min(first, 4096);
}

function requireJsonLines(head: Buffer, uri: string): "none" {
  const place = { file: uri };
  const text = head.toString("latin1").replace(/^\xef\xbb\xbf/, "");
  const start = text.trimStart();
  if (start.startsWith("{") || start === "") return "none";
  if (start.startsWith("[")) {
    throw badShard(
      "bad-json",
      place,
      "is one JSON array, and must be JSON Lines, an object on each line; convert it with `jq -c '.[]'`",
    );
  }
  if (start.startsWith("version https://git-lfs")) {
    throw badShard("bad-magic", place, "is a Git LFS pointer and not the data; fetch the data with `git lfs pull`");
  }
  if (/^<(!doctype|html|\?xml)/i.test(start)) {
    throw badShard(
      "bad-magic",
      place,
      "is a web page (HTML or XML), perhaps an error that was saved in place of the data; fetch it again",
    );
  }
  throw badShard(
    "bad-magic",
    place,
    `must be Parquet, Arrow or JSON Lines; its first bytes are ${shown(head)}; convert a CSV file or plain text to JSON Lines, such as {"text": "…"} on each line`,
  );
}

function shown(head: Buffer): string {
  return `${JSON.stringify(head.subarray(0, 8).toString("latin1"))} (${head.subarray(0, 8).toString("hex")})`;
}
