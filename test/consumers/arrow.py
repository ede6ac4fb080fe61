"""Reads a materialized set of Arrow files with pyarrow, memory-mapped, and with Hugging Face datasets where it is
installed: python arrow.py FOLDER

Prints one JSON line: documents, tokens, tokens by domain, and sha256 over the texts in the set's order, in UTF-8 and each
followed by a zero byte.
"""

import collections
import hashlib
import importlib.util
import json
import pathlib
import sys
import tempfile

sys.path.pop(0)  # this folder has files that bear the names of packages

import pyarrow  # noqa: E402
import pyarrow.ipc  # noqa: E402


def batches_of(paths: list[str]):
    for path in paths:
        with pyarrow.memory_map(path) as file, pyarrow.ipc.open_file(file) as reader:
            for index in range(reader.num_record_batches):
                batch = reader.get_batch(index)
                batch.validate(full=True)
                yield batch


def datasets_batches(paths: list[str]):
    import datasets

    datasets.disable_progress_bars()
    with tempfile.TemporaryDirectory() as cache:
        loaded = datasets.load_dataset("arrow", data_files=paths, split="train", cache_dir=cache)
        yield from loaded.data.table.to_batches()


def read(batches) -> dict:
    documents = 0
    domains: collections.Counter = collections.Counter()
    digest = hashlib.sha256()
    for batch in batches:
        columns = {name: batch.column(name).to_pylist() for name in ("text", "domain", "tokens")}
        documents += batch.num_rows
        for domain, tokens in zip(columns["domain"], columns["tokens"]):
            domains[domain] += tokens
        for text in columns["text"]:
            digest.update(text.encode() + b"\0")
    tokens = sum(domains.values())
    return {"documents": documents, "tokens": tokens, "domains": dict(domains), "sha256": digest.hexdigest()}


def main(folder: pathlib.Path) -> dict:
    record = json.loads((folder / "materialized.json").read_text())
    paths = [
        str(folder / file["path"]) for group in record["groups"] for shard in group["shards"] for file in shard["files"]
    ]
    result = read(batches_of(paths))
    if importlib.util.find_spec("datasets"):
        assert read(datasets_batches(paths)) == result, "datasets reads something else"
    return result


if __name__ == "__main__":
    print(json.dumps(main(pathlib.Path(sys.argv[1]).resolve())))
