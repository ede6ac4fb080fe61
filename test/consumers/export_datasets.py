"""Draws from an export to Hugging Face datasets: python export_datasets.py FOLDER

Prints one JSON line: the unit, the probabilities as given to interleave_datasets, the documents and UTF-8 bytes that
were drawn of each domain, and whether the end was reached at the number that mixture.json names.
"""

import collections
import json
import pathlib
import sys

sys.path[0] = str(pathlib.Path(sys.argv[1]).resolve())

import doremi_datasets  # noqa: E402


def main() -> dict:
    documents: collections.Counter = collections.Counter()
    size: collections.Counter = collections.Counter()
    for row in doremi_datasets.load():
        documents[row["domain"]] += 1
        size[row["domain"]] += len(row["text"].encode())
    mixture = doremi_datasets.MIXTURE
    return {
        "unit": "documents",
        "weights": {domain["name"]: domain["probability"] for domain in mixture["domains"]},
        "drawn": dict(documents),
        "bytes": dict(size),
        "complete": sum(documents.values()) == mixture["documents"],
    }


if __name__ == "__main__":
    print(json.dumps(main()))
