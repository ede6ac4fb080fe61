"""Reads a materialized set with megatron-core's IndexedDataset: python megatron.py FOLDER

Prints one JSON line: documents, tokens (without separators), tokens by domain where each domain has its own folder, and
sha256 over the ids of all documents in the set's order, as uint32 little endian and without separators.
"""

import hashlib
import json
import pathlib
import sys
import warnings

warnings.filterwarnings("ignore")
sys.path.pop(0)  # this folder: the file bears the package's name

from megatron.core.datasets.indexed_dataset import IndexedDataset  # noqa: E402


def main(folder: pathlib.Path) -> dict:
    record = json.loads((folder / "materialized.json").read_text())
    separator = record["separator"]
    documents = tokens = 0
    domains: dict[str, int] = {}
    digest = hashlib.sha256()
    for group in record["groups"]:
        in_group = 0
        for shard in group["shards"]:
            prefix = str(folder / shard["files"][0]["path"]).removesuffix(".bin")
            dataset = IndexedDataset(prefix)
            # Every document is one sequence, and the index of documents says so.
            assert list(dataset.document_indices) == list(range(len(dataset) + 1))
            for index in range(len(dataset)):
                ids = dataset[index]
                if separator is not None:
                    assert ids[-1] == separator, f"document {index} of {prefix} ends in {ids[-1]}"
                    ids = ids[:-1]
                digest.update(ids.astype("<u4").tobytes())
                in_group += len(ids)
            documents += len(dataset)
        tokens += in_group
        if group["domain"] is not None:
            domains[group["domain"]] = in_group
    return {"documents": documents, "tokens": tokens, "domains": domains, "sha256": digest.hexdigest()}


if __name__ == "__main__":
    print(json.dumps(main(pathlib.Path(sys.argv[1]))))
