#!/usr/bin/env python3
"""Draws the small real data sets of this repository from a corpus laid out as one folder of shards per domain:
pipelines/quickstart/ (all domains) and test/files/corpus/ (a tiny one), each with expected counts.

    python3 -m venv /tmp/sample && /tmp/sample/bin/pip install pyarrow==26.0.1 duckdb==2.0.1 polars==2.1.0 \\
        tiktoken==0.14.0 tokenizers==0.23.3 zstandard==0.25.0
    npm ci && /tmp/sample/bin/python scripts/build-quickstart.py CORPUS

The same corpus and library versions give the same bytes. Held-out files (valid.*) are never sampled.
"""

import hashlib
import json
import re
import shutil
import sys
from pathlib import Path

import pyarrow as pa

import sample_formats as formats
from sample_counts import Counters, totals

ROOT = Path(__file__).resolve().parent.parent
SEED = "doremi quickstart 1"
TOKENIZER = "tokenizer-4096.json"

# Domain: (text bytes to draw, writers of its shards, documents in a row group or record batch).
# Sizes fall from books to math as in the corpus; the smallest two still hold enough tokens to train on.
QUICKSTART = {
    "books": (5_600_000, [formats.parquet_pyarrow_zstd] * 3, 25),
    "csource": (1_600_000, [formats.parquet_pyarrow_snappy_v2, formats.parquet_pyarrow_zstd], 20),
    "python": (950_000, [formats.parquet_duckdb_v1, formats.parquet_duckdb_v2], 15),
    "law_de": (700_000, [formats.parquet_polars_zstd, formats.parquet_polars_lz4], 10),
    "techdocs": (500_000, [formats.arrow_stream_zstd] * 2, 8),
    "factbook": (320_000, [formats.arrow_file_lz4], 40),
    "poetry_zh": (170_000, [formats.jsonl_zst], 40),
    "math": (160_000, [formats.jsonl_gz], 40),
}

# Longer documents are left out, so that the small domains have enough documents to hold some out.
LONGEST_DOCUMENT_BYTES = 40_000

# The test's folders and the test's mixed shards; documents of at most TINY_DOCUMENT_BYTES, to have many of them.
TINY_DOCUMENT_BYTES = 6_000
TINY_FOLDERS = {
    "csource": (90_000, [formats.parquet_pyarrow_snappy_v2, formats.parquet_polars_lz4], 6),
    "factbook": (60_000, [formats.arrow_file_lz4, formats.parquet_duckdb_v2], 8),
    "math": (24_000, [formats.jsonl_gz_members], 4),
}
TINY_MIXED = {
    "books": (110_000, "Gutenberg (PD)"),
    "techdocs": (60_000, "PEPs & RFCs"),
    "poetry_zh": (30_000, "宋词"),
}
TINY_MIXED_WRITERS = [formats.parquet_pyarrow_zstd, formats.jsonl_zst_frames, formats.arrow_stream_zstd]
TINY_MIXED_GROUP = 7

# By the start of a writer's name. A stream is named .arrow too, as Hugging Face's cache does: names promise nothing.
EXTENSION = {"parquet": "parquet", "arrow": "arrow", "jsonl_zst": "jsonl.zst", "jsonl_gz": "jsonl.gz"}

EMAIL = re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]+")
KEY = re.compile(r"-----BEGIN [A-Z0-9 ]*(PRIVATE KEY|CERTIFICATE)")


def order(identifier: str) -> str:
    """Place of a document in the sample's order: a hash, so that the order is shuffled and the same every time."""
    return hashlib.sha256(f"{SEED}/{identifier}".encode()).hexdigest()


def draw(corpus: Path, domain: str, budget_bytes: int, longest_bytes: int) -> list[dict]:
    """Training documents in hash order until their text reaches the budget."""
    shards = sorted((corpus / domain).glob("part-*"))
    if not shards:
        raise SystemExit(f"{corpus / domain} has no part-* files; give the corpus folder as the argument")
    rows = [row for shard in shards for row in formats.read_shard(shard).select(["id", "text", "source"]).to_pylist()]
    rows.sort(key=lambda row: order(row["id"]))
    drawn, size = [], 0
    for row in rows:
        length = len(row["text"].encode())
        if length > longest_bytes or EMAIL.search(row["text"]) or KEY.search(row["text"]):
            continue
        drawn.append(row)
        size += length
        if size >= budget_bytes:
            return drawn
    raise SystemExit(f"{domain}: the corpus has {size} usable bytes, the sample asks for {budget_bytes}")


def extension(writer) -> str:
    return next(ext for prefix, ext in EXTENSION.items() if writer.__name__.startswith(prefix))


def write_shards(
    folder: Path, rows: list[dict], writers: list, group: int, schema: pa.Schema | None = None
) -> list[Path]:
    """Equal runs of rows, one for each writer."""
    folder.mkdir(parents=True)
    paths = []
    for index, writer in enumerate(writers):
        start, end = (len(rows) * edge // len(writers) for edge in (index, index + 1))
        path = folder / f"part-{index:05d}.{extension(writer)}"
        writer(path, pa.Table.from_pylist(rows[start:end], schema=schema), group)
        paths.append(path)
    return paths


def counted(path: Path, counters: Counters, domain_of) -> list[tuple[str, str, dict[str, int]]]:
    """(domain, text, tokens by tokenizer) of each row, read back from the written file."""
    rows = formats.read_shard(path).to_pylist()
    tokens = counters.count([row["text"] for row in rows])
    return [(domain_of(row), row["text"], {name: tokens[name][i] for name in tokens}) for i, row in enumerate(rows)]


def summary(rows: list[tuple[str, str, dict[str, int]]]) -> dict:
    return totals([text for _, text, _ in rows], {name: [t[name] for *_, t in rows] for name in rows[0][2]})


def expected(shards: dict[str, list[tuple]], per_row: bool) -> dict:
    """Totals by domain and by shard (path below the data folder); with per_row the tokens of every row as well."""
    everything = [row for rows in shards.values() for row in rows]
    domains = sorted({domain for domain, *_ in everything})
    counts = {"domains": {d: summary([row for row in everything if row[0] == d]) for d in domains}, "shards": {}}
    for name, rows in shards.items():
        counts["shards"][name] = summary(rows)
        if per_row:
            counts["shards"][name]["rows"] = {t: [tokens[t] for *_, tokens in rows] for t in rows[0][2]}
    return counts


def write_counts(path: Path, counts: dict) -> None:
    """One line for each leaf list or totals object, so that a person can read it and git can diff it."""
    text = json.dumps(counts, ensure_ascii=False, indent=1)
    text = re.sub(r"\[[\d,\s]+\]", lambda m: re.sub(r"\s+", " ", m[0]).replace("[ ", "[").replace(" ]", "]"), text)
    path.write_text(text + "\n")


def build_quickstart(corpus: Path, counters: Counters) -> None:
    data = ROOT / "pipelines/quickstart/data"
    shutil.rmtree(data, ignore_errors=True)
    shards = {}
    for domain, (budget, writers, group) in QUICKSTART.items():
        rows = draw(corpus, domain, budget, LONGEST_DOCUMENT_BYTES)
        for path in write_shards(data / domain, rows, writers, group):
            shards[f"{domain}/{path.name}"] = counted(path, counters, lambda _, domain=domain: domain)
    write_counts(ROOT / "pipelines/quickstart/counts.json", expected(shards, per_row=False))


def build_test_corpus(corpus: Path, counters: Counters) -> None:
    base = ROOT / "test/files/corpus"
    shutil.rmtree(base / "folders", ignore_errors=True)
    shutil.rmtree(base / "mixed", ignore_errors=True)
    shards = {}
    for domain, (budget, writers, group) in TINY_FOLDERS.items():
        rows = draw(corpus, domain, budget, TINY_DOCUMENT_BYTES)
        for path in write_shards(base / "folders" / domain, rows, writers, group):
            shards[f"{domain}/{path.name}"] = counted(path, counters, lambda _, domain=domain: domain)
    write_counts(base / "folders.counts.json", expected(shards, per_row=True))

    rows = [
        {"text": row["text"], "meta": {"pile_set_name": name}, "id": row["id"]}
        for domain, (budget, name) in TINY_MIXED.items()
        for row in draw(corpus, domain, budget, TINY_DOCUMENT_BYTES)
    ]
    rows.sort(key=lambda row: order(row["id"] + "/mixed"))
    meta = pa.struct([("pile_set_name", pa.string())])
    schema = pa.schema([("text", pa.string()), ("meta", meta), ("id", pa.string())])
    paths = write_shards(base / "mixed", rows, TINY_MIXED_WRITERS, TINY_MIXED_GROUP, schema)
    shards = {path.name: counted(path, counters, lambda row: row["meta"]["pile_set_name"]) for path in paths}
    write_counts(base / "mixed.counts.json", expected(shards, per_row=True))


def main() -> None:
    if len(sys.argv) != 2:
        raise SystemExit("usage: build-quickstart.py CORPUS")
    corpus = Path(sys.argv[1])
    tokenizer = ROOT / "pipelines/quickstart" / TOKENIZER
    tokenizer.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(corpus / TOKENIZER, tokenizer)
    tokenizer.chmod(0o644)
    counters = Counters(ROOT / "node_modules/gpt-tokenizer/data/r50k_base.tiktoken", tokenizer)
    build_quickstart(corpus, counters)
    build_test_corpus(corpus, counters)


if __name__ == "__main__":
    main()
