"""Reads a materialized set of Parquet files with Hugging Face datasets, by its dataset card: python datasets.py FOLDER

Prints one JSON line: documents, tokens, tokens by domain, and sha256 over the texts in the set's order, in UTF-8 and each
followed by a zero byte. The default configuration is loaded, streamed, and compared with the configuration of each domain
where there are such; datasets itself compares the number of rows with the card's.
"""

import collections
import hashlib
import json
import os
import pathlib
import sys
import tempfile

sys.path.pop(0)  # this folder: the file bears the package's name
os.environ.update(HF_HUB_OFFLINE="1", HF_HUB_DISABLE_PROGRESS_BARS="1")

import datasets  # noqa: E402


def read(rows) -> dict:
    documents = 0
    domains: collections.Counter = collections.Counter()
    digest = hashlib.sha256()
    for row in rows:
        documents += 1
        domains[row["domain"]] += row["tokens"]
        digest.update(row["text"].encode() + b"\0")
    tokens = sum(domains.values())
    return {"documents": documents, "tokens": tokens, "domains": dict(domains), "sha256": digest.hexdigest()}


def main(folder: pathlib.Path, cache: str) -> dict:
    datasets.disable_progress_bars()
    record = json.loads((folder / "materialized.json").read_text())
    load = {"path": str(folder), "split": "train", "cache_dir": cache}
    whole = read(datasets.load_dataset(**load))
    assert read(datasets.load_dataset(**load, streaming=True)) == whole, "streaming reads something else"
    default = datasets.get_dataset_default_config_name(str(folder))
    names = [name for name in datasets.get_dataset_config_names(str(folder)) if name != default]
    groups = [group for group in record["groups"] if group["domain"] is not None]
    assert len(names) == len(groups), f"configurations {names} of {len(groups)} domains"
    alone: dict[str, int] = {}
    for name in names:
        alone.update(read(datasets.load_dataset(**load, name=name))["domains"])
    assert not groups or alone == whole["domains"], f"by configuration {alone}, all together {whole['domains']}"
    return whole


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as cache:
        print(json.dumps(main(pathlib.Path(sys.argv[1]).resolve(), cache)))
