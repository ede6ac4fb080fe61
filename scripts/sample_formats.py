"""Reads corpus shards of any layout and writes sample shards the way different tools write them.

What is read and written here is a pyarrow table; which documents go where is build-quickstart.py's business.
Every writer gives the same bytes each time it runs with the same library versions.
"""

import gzip
import io
import json
from pathlib import Path

import duckdb
import polars
import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

ARROW_FILE_MAGIC = b"ARROW1"


def read_shard(path: Path) -> pa.Table:
    """One shard as a table; the format comes from the first bytes, for an Arrow stream may be named .arrow."""
    head = path.read_bytes()[:6]
    if head[:4] == b"PAR1":
        return pq.read_table(path)
    if head == ARROW_FILE_MAGIC:
        return pa.ipc.open_file(path).read_all()
    if head[:4] == b"\xff\xff\xff\xff":
        return pa.ipc.open_stream(path).read_all()
    if head[:2] == b"\x1f\x8b":
        lines = gzip.decompress(path.read_bytes())
    elif head[:4] == b"\x28\xb5\x2f\xfd":
        frames = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(path.read_bytes()), read_across_frames=True)
        lines = frames.read()
    else:
        raise SystemExit(f"{path}: not Parquet, Arrow, JSONL.gz or JSONL.zst (first bytes {head.hex()})")
    return pa.Table.from_pylist([json.loads(line) for line in lines.split(b"\n") if line])


def parquet_pyarrow_zstd(path: Path, table: pa.Table, group: int) -> None:
    pq.write_table(table, path, row_group_size=group, compression="zstd", compression_level=19, use_dictionary=False)


def parquet_pyarrow_snappy_v2(path: Path, table: pa.Table, group: int) -> None:
    """Data page v2, dictionary pages for every column, page index."""
    pq.write_table(
        table, path, row_group_size=group, compression="snappy", data_page_version="2.0", write_page_index=True
    )


def parquet_duckdb(path: Path, table: pa.Table, group: int, version: str) -> None:
    """version V2 makes DuckDB use the DELTA_* encodings. DuckDB ends a row group only between the chunks that it is
    handed (2048 rows from its own tables), hence the chunks of `group` rows."""
    chunks = pa.Table.from_batches(table.combine_chunks().to_batches(max_chunksize=group))
    with duckdb.connect(config={"threads": 1}) as db:
        db.register("sample", chunks)
        db.execute(
            f"COPY sample TO '{path}' (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 19, "
            f"PARQUET_VERSION {version}, ROW_GROUP_SIZE {group})"
        )


def parquet_duckdb_v1(path: Path, table: pa.Table, group: int) -> None:
    parquet_duckdb(path, table, group, "V1")


def parquet_duckdb_v2(path: Path, table: pa.Table, group: int) -> None:
    parquet_duckdb(path, table, group, "V2")


def parquet_polars_zstd(path: Path, table: pa.Table, group: int) -> None:
    polars.from_arrow(table).write_parquet(path, compression="zstd", compression_level=19, row_group_size=group)


def parquet_polars_lz4(path: Path, table: pa.Table, group: int) -> None:
    polars.from_arrow(table).write_parquet(path, compression="lz4", row_group_size=group)


def arrow_file_lz4(path: Path, table: pa.Table, group: int) -> None:
    options = pa.ipc.IpcWriteOptions(compression="lz4")
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema, options=options) as writer:
        writer.write_table(table.combine_chunks(), max_chunksize=group)


def arrow_stream_zstd(path: Path, table: pa.Table, group: int) -> None:
    options = pa.ipc.IpcWriteOptions(compression=pa.Codec("zstd", compression_level=19))
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, table.schema, options=options) as writer:
        writer.write_table(table.combine_chunks(), max_chunksize=group)


def json_lines(table: pa.Table, ascii_only: bool) -> list[bytes]:
    return [json.dumps(row, ensure_ascii=ascii_only).encode() + b"\n" for row in table.to_pylist()]


def jsonl_zst(path: Path, table: pa.Table, group: int) -> None:
    lines = json_lines(table, ascii_only=False)
    path.write_bytes(zstandard.ZstdCompressor(level=19, write_checksum=True).compress(b"".join(lines)))


def jsonl_zst_frames(path: Path, table: pa.Table, group: int) -> None:
    """A frame for every `group` documents, as pzstd or an appending logger leaves it, and \\uXXXX escapes."""
    lines = json_lines(table, ascii_only=True)
    frames = [b"".join(lines[start : start + group]) for start in range(0, len(lines), group)]
    path.write_bytes(b"".join(zstandard.ZstdCompressor(level=19).compress(frame) for frame in frames))


def jsonl_gz(path: Path, table: pa.Table, group: int) -> None:
    path.write_bytes(gzip.compress(b"".join(json_lines(table, ascii_only=False)), 9, mtime=0))


def jsonl_gz_members(path: Path, table: pa.Table, group: int) -> None:
    """A gzip member for every `group` documents, as `cat a.gz b.gz` leaves it."""
    lines = json_lines(table, ascii_only=False)
    members = [b"".join(lines[start : start + group]) for start in range(0, len(lines), group)]
    path.write_bytes(b"".join(gzip.compress(member, 9, mtime=0) for member in members))
