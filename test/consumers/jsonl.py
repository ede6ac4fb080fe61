"""Reads a materialized set of JSON Lines with the json of Python and zstandard: python jsonl.py FOLDER

Prints one JSON line: documents, tokens and tokens by domain as the lines say, and sha256 over the texts in the set's
order, each followed by a zero byte.
"""

import hashlib
import json
import pathlib
import sys


def lines(path: pathlib.Path):
    if path.suffix != ".zst":
        return path.open("rb")
    import io

    import zstandard

    # As readers that know of one frame only do it.
    return io.BufferedReader(zstandard.ZstdDecompressor().stream_reader(path.open("rb")))


def main(folder: pathlib.Path) -> dict:
    record = json.loads((folder / "materialized.json").read_text())
    documents = tokens = 0
    domains: dict[str, int] = {}
    digest = hashlib.sha256()
    for group in record["groups"]:
        for shard in group["shards"]:
            in_shard = 0
            for line in lines(folder / shard["files"][0]["path"]):
                document = json.loads(line)
                assert group["domain"] in (None, document["domain"])
                digest.update(document["text"].encode() + b"\0")
                domains[document["domain"]] = domains.get(document["domain"], 0) + document["tokens"]
                tokens += document["tokens"]
                in_shard += 1
            assert in_shard == shard["documents"]
            documents += in_shard
    return {"documents": documents, "tokens": tokens, "domains": domains, "sha256": digest.hexdigest()}


if __name__ == "__main__":
    print(json.dumps(main(pathlib.Path(sys.argv[1]))))
