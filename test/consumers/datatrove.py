"""Reads a materialized set of datatrove's .ds files with datatrove, document by document as its merger does and, where
PyTorch is installed, in windows as nanotron does: python datatrove.py FOLDER

Prints one JSON line: documents, tokens (without separators), tokens by domain where each domain has its own folder, and
sha256 over the ids of all documents in the set's order, as uint32 little endian and without separators.
"""

import hashlib
import importlib.util
import json
import pathlib
import sys

import numpy

sys.path.pop(0)  # this folder: the file bears the package's name

from datatrove.pipeline.tokens.merger import get_data_reader, load_doc_ends  # noqa: E402

WINDOW = 8192


def check_windows(folder: pathlib.Path, width: int, ids: list[numpy.ndarray], lengths: list[list[int]]) -> None:
    from datatrove.utils.dataset import DatatroveFolderDataset

    dataset = DatatroveFolderDataset(str(folder), WINDOW - 1, recursive=False, token_size=width, return_positions=True)
    item = 0
    for file, in_file in zip(ids, lengths):
        positions = numpy.concatenate([numpy.arange(length) for length in in_file])
        for start in range(0, len(file) - WINDOW + 1, WINDOW):
            window = dataset[item]
            assert numpy.array_equal(window["input_ids"], file[start : start + WINDOW]), f"window {item} differs"
            # Of a document that began in the window before, datatrove counts from the window's start.
            expected = positions[start : start + WINDOW].copy()
            first = numpy.flatnonzero(expected == 0)
            expected[: first[0] if len(first) else WINDOW] = numpy.arange(first[0] if len(first) else WINDOW)
            assert numpy.array_equal(window["positions"], expected), f"positions of window {item} differ"
            item += 1
    assert item == len(dataset), f"{item} windows, datatrove has {len(dataset)}"


def main(folder: pathlib.Path) -> dict:
    record = json.loads((folder / "materialized.json").read_text())
    separator, width = record["separator"], record["idBytes"]
    documents = tokens = 0
    domains: dict[str, int] = {}
    digest = hashlib.sha256()
    for group in record["groups"]:
        in_group = 0
        files, lengths = [], []
        for shard in group["shards"]:
            path = folder / shard["files"][0]["path"]
            tokenizer, total, _ = pathlib.Path(f"{path}.metadata").read_text().split("\n")
            assert tokenizer.split("|") == [record["tokenizer"]["name"], str(width)], tokenizer
            assert int(total) == path.stat().st_size // width
            with open(f"{path}.index", "rb") as index, open(path, "rb") as file:
                ends = load_doc_ends(index)
                in_file = []
                for raw in get_data_reader(file, ends, nb_bytes=width):
                    ids = numpy.frombuffer(raw, f"<u{width}")
                    in_file.append(ids)
                    if separator is not None:
                        assert ids[-1] == separator, f"document {documents} ends in {ids[-1]}"
                        ids = ids[:-1]
                    digest.update(ids.astype("<u4").tobytes())
                    documents += 1
                    in_group += len(ids)
            files.append(numpy.concatenate(in_file))
            lengths.append([len(ids) for ids in in_file])
        if importlib.util.find_spec("torch"):
            check_windows(folder / group["folder"], width, files, lengths)
        tokens += in_group
        if group["domain"] is not None:
            domains[group["domain"]] = in_group
    return {"documents": documents, "tokens": tokens, "domains": domains, "sha256": digest.hexdigest()}


if __name__ == "__main__":
    print(json.dumps(main(pathlib.Path(sys.argv[1]).resolve())))
