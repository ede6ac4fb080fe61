"""Reads a materialized set of MDS shards with MosaicML Streaming: python streaming.py FOLDER

Prints one JSON line: documents, tokens (without separators), tokens by domain, and sha256 over the ids of all documents in
the set's order, as uint32 little endian and without separators. Every folder of shards is a Stream. Samples are taken by
their index and, with the shuffle off, from a StreamingDataLoader; Streaming checks the hashes of the shards.
"""

import collections
import hashlib
import json
import pathlib
import sys
import warnings

sys.path.pop(0)  # this folder: the file bears the package's name
warnings.filterwarnings("ignore")

from streaming import Stream, StreamingDataLoader, StreamingDataset  # noqa: E402
from streaming.base.util import clean_stale_shared_memory  # noqa: E402


def main(folder: pathlib.Path) -> dict:
    record = json.loads((folder / "materialized.json").read_text())
    separator = record["separator"]

    def read(samples) -> dict:
        documents = 0
        domains: collections.Counter = collections.Counter()
        digest = hashlib.sha256()
        for domain, ids in samples:
            if separator is not None:
                assert ids[-1] == separator, f"document {documents} ends in {ids[-1]}"
                ids = ids[:-1]
            documents += 1
            domains[domain] += len(ids)
            digest.update(ids.astype("<u4").tobytes())
        tokens = sum(domains.values())
        return {"documents": documents, "tokens": tokens, "domains": dict(domains), "sha256": digest.hexdigest()}

    clean_stale_shared_memory()
    folders = [folder / group["folder"] for group in record["groups"]]
    by_index: list = []
    for local in folders:
        stream = Stream(local=str(local), validate_hash="sha256")
        dataset = StreamingDataset(streams=[stream], shuffle=False, batch_size=1, num_canonical_nodes=1)
        assert dataset.num_samples == len(dataset)
        by_index.append(dataset)
    samples = (dataset[i] for dataset in by_index for i in range(len(dataset)))
    result = read((sample["domain"], sample["tokens"]) for sample in samples)
    batches = (batch for dataset in by_index for batch in StreamingDataLoader(dataset, batch_size=1))
    loaded = read((batch["domain"][0], batch["tokens"][0].numpy()) for batch in batches)
    assert loaded == result, f"the loader reads {loaded}, by index {result}"
    return result


if __name__ == "__main__":
    print(json.dumps(main(pathlib.Path(sys.argv[1]).resolve())))
