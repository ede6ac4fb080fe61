"""Reads a materialized set of litdata's chunks with its StreamingDataset and TokensLoader: python litdata.py FOLDER

Prints one JSON line: documents, tokens (without separators), tokens by domain where each domain has its own folder, and
sha256 over the ids of all documents in the set's order, as uint32 little endian and without separators. Each chunk is
read as one block; then each folder in blocks as LitGPT reads them, which must be the same ids up to the chunks' tails.
"""

import hashlib
import json
import pathlib
import sys
import tempfile

import numpy

sys.path.pop(0)  # this folder: the file bears the package's name

from litdata import StreamingDataLoader, StreamingDataset, TokensLoader  # noqa: E402

BLOCK = 1025


def dataset_of(folder: pathlib.Path, block: int) -> StreamingDataset:
    return StreamingDataset(str(folder), item_loader=TokensLoader(block_size=block), shuffle=False, drop_last=False)


def chunks_of(folder: pathlib.Path):
    index = json.loads((folder / "index.json").read_text())
    for chunk in index["chunks"]:
        with tempfile.TemporaryDirectory() as alone:
            (pathlib.Path(alone) / "index.json").write_text(json.dumps({**index, "chunks": [chunk]}))
            (pathlib.Path(alone) / chunk["filename"]).symlink_to(folder / chunk["filename"])
            [block] = dataset_of(pathlib.Path(alone), chunk["dim"])
            yield block.numpy().copy()


def main(folder: pathlib.Path) -> dict:
    record = json.loads((folder / "materialized.json").read_text())
    separator = record["separator"]
    documents = tokens = 0
    domains: dict[str, int] = {}
    digest = hashlib.sha256()
    for group in record["groups"]:
        in_group = 0
        expected = hashlib.sha256()
        for ids in chunks_of(folder / group["folder"]):
            assert ids[-1] == separator, f"a chunk ends in {ids[-1]}"
            kept = ids[ids != separator]
            digest.update(kept.astype("<u4").tobytes())
            documents += len(ids) - len(kept)
            in_group += len(kept)
            expected.update(ids[: len(ids) // BLOCK * BLOCK].astype("<u4").tobytes())
        blocks = hashlib.sha256()
        for batch in StreamingDataLoader(dataset_of(folder / group["folder"], BLOCK), batch_size=4):
            blocks.update(batch.numpy().astype("<u4").tobytes())
        assert blocks.digest() == expected.digest(), f"blocks of {group['folder']} differ"
        tokens += in_group
        if group["domain"] is not None:
            domains[group["domain"]] = in_group
    return {"documents": documents, "tokens": tokens, "domains": domains, "sha256": digest.hexdigest()}


if __name__ == "__main__":
    print(json.dumps(main(pathlib.Path(sys.argv[1]).resolve())))
