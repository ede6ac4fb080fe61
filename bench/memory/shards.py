"""Writes one large shard by pyarrow, of real text that is repeated.

shards.py document-parquet|document-jsonl|document-jsonl-zst|row-group TEXT FILE BYTES

TEXT is UTF-8. A document-* shard holds one document of BYTES bytes, row-group one row group of documents of some 20 kB that
come to about BYTES together.
"""
import json, sys

import pyarrow as pa, pyarrow.parquet as pq

DOCUMENT_BYTES, STEP_BYTES = 20_000, 1 << 20


def whole(text, bytes_):
    """Repeats the text to so many bytes, cut where a character ends."""
    out = (text * (bytes_ // len(text) + 1))[:bytes_]
    return out.decode("utf-8", "ignore").encode()


def parquet(values, path):
    table = pa.table({"text": pa.array(values, type=pa.large_binary()).cast(pa.large_string())})
    pq.write_table(table, path, compression="snappy", use_dictionary=False, row_group_size=len(values))


def jsonl(text, path, bytes_, compression):
    raw = pa.OSFile(path, "wb")
    sink = pa.CompressedOutputStream(raw, compression) if compression else raw
    sink.write(b'{"text": "')
    written = 0
    while written < bytes_:
        piece = whole(text, min(STEP_BYTES, bytes_ - written, len(text)))
        sink.write(json.dumps(piece.decode(), ensure_ascii=False)[1:-1].encode())
        written += max(len(piece), 1)
    sink.write(b'"}\n')
    sink.close()
    if not raw.closed:
        raw.close()


def main(kind, text_path, path, bytes_):
    with open(text_path, "rb") as file:
        text = file.read()
    if kind == "document-parquet":
        parquet([whole(text, bytes_)], path)
    elif kind == "row-group":
        documents = [whole(text[at : at + DOCUMENT_BYTES], DOCUMENT_BYTES) for at in range(0, len(text), DOCUMENT_BYTES)]
        total = sum(map(len, documents))
        parquet(documents * round(bytes_ / total), path)
    else:
        jsonl(text, path, bytes_, "zstd" if kind.endswith("zst") else None)


main(*sys.argv[1:4], int(sys.argv[4]))
