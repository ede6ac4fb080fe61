"""Draws from an export to Hugging Face datasets: python export_datasets.py FOLDER

Prints one JSON line: the unit, the probabilities as given to interleave_datasets, the documents that were drawn of each
domain, whether the end was reached at the number that mixture.json names, and of the first half of the draws each
domain's share of the tokens with its standard error: what the shares of documents were converted for.
"""

import collections
import json
import pathlib
import sys

sys.path[0] = str(pathlib.Path(sys.argv[1]).resolve())

import doremi_datasets  # noqa: E402
from datasets import load_dataset  # noqa: E402


def token_counts() -> dict[str, int]:
    """By text, as the materialized set says."""
    parts = [part for domain in doremi_datasets.MIXTURE["domains"] for part in domain["parts"]]
    sets = (load_dataset(one["builder"], data_files=one["data_files"], split="train", streaming=True) for one in parts)
    return {row["text"]: row["tokens"] for rows in sets for row in rows}


def shares(draws: list[tuple[str, int]]) -> dict:
    """A domain's share is a ratio of two sums over the draws, and so is its error."""
    total = sum(tokens for _, tokens in draws)
    found = {}
    for name in {domain for domain, _ in draws}:
        share = sum(tokens for domain, tokens in draws if domain == name) / total
        deviations = sum((tokens * ((domain == name) - share)) ** 2 for domain, tokens in draws)
        found[name] = {"share": share, "error": deviations**0.5 / total}
    return found


def main() -> dict:
    mixture, counts = doremi_datasets.MIXTURE, token_counts()
    draws = [(row["domain"], counts[row["text"]]) for row in doremi_datasets.load()]
    return {
        "unit": "documents",
        "weights": {domain["name"]: domain["probability"] for domain in mixture["domains"]},
        "drawn": dict(collections.Counter(domain for domain, _ in draws)),
        "complete": len(draws) == mixture["documents"],
        "tokenShares": shares(draws[: len(draws) // 2]),
    }


if __name__ == "__main__":
    print(json.dumps(main()))
