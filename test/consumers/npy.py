"""Reads a materialized set of .npy files with OLMo-core: python npy.py FOLDER

The documents are those that OLMo-core finds, by the tables beside the ids and again by the end-of-text id in them (which
agree only where no document holds that id itself). Prints one JSON line: documents, tokens (without separators), tokens
by domain where each domain has its own folder, and sha256 over the ids of all documents in the set's order, as uint32
little endian and without separators.
"""

import hashlib
import json
import pathlib
import sys

sys.path.pop(0)  # this folder: a file here bears the package's name

import numpy  # noqa: E402
from olmo_core.data.numpy_dataset import NumpyFSLDataset  # noqa: E402
from olmo_core.data.utils import iter_document_indices, load_array_slice  # noqa: E402

SEQUENCE_LENGTH = 128


def main(folder: pathlib.Path) -> dict:
    record = json.loads((folder / "materialized.json").read_text())
    dtype = numpy.uint16 if record["idBytes"] == 2 else numpy.uint32
    separator = record["separator"]
    documents = tokens = 0
    domains: dict[str, int] = {}
    digest = hashlib.sha256()
    paths = []
    for group in record["groups"]:
        in_group = 0
        for shard in group["shards"]:
            path = folder / shard["files"][0]["path"]
            paths.append(path)
            bounds = list(iter_document_indices(path, use_array_if_local=False, dtype=dtype))
            found = list(iter_document_indices(path, eos_token_id=separator, dtype=dtype))
            assert bounds == found, f"{path}: the table of documents and the ids disagree"
            for start, end in bounds:
                ids = load_array_slice(path, start, end, dtype)
                assert ids[-1] == separator
                digest.update(ids[:-1].astype("<u4").tobytes())
                in_group += len(ids) - 1
            documents += len(bounds)
        tokens += in_group
        if group["domain"] is not None:
            domains[group["domain"]] = in_group
    # What training reads: windows of each file, without what is left at its end.
    dataset = NumpyFSLDataset(
        *paths,
        sequence_length=SEQUENCE_LENGTH,
        pad_token_id=separator,
        eos_token_id=separator,
        vocab_size=record["tokenizer"]["vocabularySize"],
        dtype=dtype,
    )
    windows = numpy.concatenate(
        [ids[: len(ids) // SEQUENCE_LENGTH * SEQUENCE_LENGTH] for ids in (numpy.fromfile(path, dtype) for path in paths)]
    ).reshape(-1, SEQUENCE_LENGTH)
    assert len(dataset) == len(windows)
    for index in (0, len(windows) // 2, len(windows) - 1):
        assert (dataset[index]["input_ids"].numpy() == windows[index]).all()
    return {"documents": documents, "tokens": tokens, "domains": domains, "sha256": digest.hexdigest()}


if __name__ == "__main__":
    print(json.dumps(main(pathlib.Path(sys.argv[1]))))
